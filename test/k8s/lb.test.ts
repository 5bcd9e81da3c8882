import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { parseDuration } from '../../src/config/kinds.ts'
import { settings } from '../../src/config/table.ts'
import { balancerFor, balancers, configurationOf, type RunningBalancer, without } from '../support/balancer.ts'
import { connect, refused, TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const portOf = ({ http }: TestGateway): number => Number(new URL(http).port)

/** Of the log lines of a gateway those of one event and session. */
const lines = (gateway: TestGateway, event: string, session: string) =>
  gateway.log
    .filter((line) => line.event === event)
    .map(({ conn }) => conn as { session?: string; run?: string; remote: string })
    .filter((conn) => conn.session === session || conn.run === session)

/** The answer to an upgrade that is refused, whether the gateway or the load balancer wrote it. */
async function answerTo(url: string): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'),
    Authorization: 'Bearer token',
  }
  const asked = request(url, { headers }).end()
  const [answer] = (await within(once(asked, 'response'), `an answer of ${url}`)) as [IncomingMessage]
  let body = ''
  for await (const chunk of answer) body += chunk
  return { status: answer.statusCode ?? 0, headers: answer.headers, body }
}

for (const balancer of balancers) {
  describe(`behind ${balancer.name}`, { skip: without(balancer) }, () => {
    const suite = scopeOf(after)
    let redis: TestRedis
    let gateways: TestGateway[]
    let front: RunningBalancer
    const clients: TestClient[] = []
    const env = {
      TRUST_PROXY: balancer.trustProxy,
      DRAIN_WINDOW: '200ms',
      DRAIN_DELAY: '100ms',
      // On a busy machine a check that takes longer than usual must not turn `/ready` into a 503.
      PREFLIGHT_CHECK_TIMEOUT: '2s',
    }
    const enter = async (session: string, options = {}, url = front.ws): Promise<TestClient> => {
      const client = await connect(`${url}/agent/ws/${session}`, {
        token: await gateways[0]!.token(session),
        ...options,
      })
      clients.push(client)
      return client
    }
    /** How many sockets of a session each gateway has had. */
    const placesOf = (session: string) => gateways.map((gateway) => lines(gateway, 'accepted', session).length)

    /**
     * Enters new sessions, at least `count` of them, until each instance has `each`. nginx hashes
     * the ports of this run, so in one run of seventy eight sessions all land on one instance.
     */
    const enterUntilBothHave = async (prefix: string, count: number, each: number) => {
      const sockets = new Map<string, TestClient>()
      const enough = () =>
        sockets.size >= count &&
        [0, 1].every((at) => [...sockets.keys()].filter((name) => placesOf(name)[at]! > 0).length >= each)
      await eventually(async () => {
        if (enough()) return true
        const name = `${prefix}-${sockets.size}`
        sockets.set(name, await enter(name))
        return enough()
      }, `sessions ${prefix}-* on both instances`)
      return sockets
    }

    before(async () => {
      redis = await redisFor(suite)
      gateways = await Promise.all([0, 1].map(() => gatewayFor(suite, { redis, env })))
      front = await balancerFor(suite, balancer, gateways.map(portOf))
      atEnd(suite, () => {
        for (const { socket } of clients) socket.terminate()
      })
    })

    it('passes an upgrade, and frames in both directions', async () => {
      const client = await enter('both-ways')
      const agent = gateways[0]!.agent
      await agent.publish('session:both-ways:down', '{"n":1}')
      assert.deepEqual(await client.take(1), ['{"n":1}'])
      client.send({ type: 'ping' })
      await client.find({ type: 'pong' })
    })

    it('passes a token in the subprotocol, and a refusal of the gateway unchanged', async () => {
      const token = await gateways[0]!.token('browser')
      const bearer = `bearer.${Buffer.from(token).toString('base64url')}`
      const socket = new WebSocket(`${front.ws}/agent/ws/browser`, ['wsproxy.v1', bearer])
      const client = new TestClient(socket)
      clients.push(client)
      await within(once(socket, 'open'), 'the upgrade')
      assert.equal(socket.protocol, 'wsproxy.v1')
      const { status, code } = await refused(`${front.ws}/agent/ws/browser`, { token: 'wrong' })
      assert.deepEqual([status, code], [403, 'token-rejected'])
    })

    it('sends all sockets of a session to one instance, and spreads sessions over both', async () => {
      const names = [...(await enterUntilBothHave('pinned', 24, 3)).keys()]
      // One after the other: a second token of the same session replaces the first.
      for (const name of [...names, ...names]) await enter(name)
      const places = names.map(placesOf)
      for (const [i, counts] of places.entries()) {
        assert.ok(counts.includes(0), `${names[i]}: ${counts}`)
        assert.equal(Math.max(...counts), 3, names[i])
      }
      for (const at of [0, 1]) assert.ok(places.filter((counts) => counts[at]! > 0).length >= 3, JSON.stringify(places))
    })

    it('chooses the instance of a session without regard to the agent id and the query', async () => {
      for (let i = 0; i < 8; i++) {
        const token = await gateways[0]!.token('same')
        clients.push(await connect(`${front.ws}/agent-${i}/ws/same?v=${i}`, { token }))
      }
      assert.deepEqual(placesOf('same').sort(), [0, 8])
    })

    it('sends the sockets of a run to one instance', async () => {
      for (let i = 0; i < 6; i++) clients.push(await connect(`${front.ws}/some-run`))
      assert.deepEqual(placesOf('some-run').sort(), [0, 6])
    })

    it('passes the address of the client, whatever address the client claims', async () => {
      await enter('addressed', { localAddress: '127.0.0.9', headers: { 'X-Forwarded-For': '203.0.113.7' } })
      const [conn] = gateways.flatMap((gateway) => lines(gateway, 'accepted', 'addressed'))
      assert.match(conn!.remote, /(^|:)127\.0\.0\.9$/)
    })

    it('writes no token into its log', async () => {
      await refused(`${front.ws}/agent/ws/x?access_token=hidden-thing`)
      await eventually(() => front.log().includes('/agent/ws/x'), 'the request in its log')
      assert.doesNotMatch(front.log(), /hidden-thing|token-of-/)
    })

    it('has a timeout longer than PONG_TIMEOUT, and than twice PING_INTERVAL', () => {
      const [, tunnel] = /(?:proxy_read_timeout|timeout tunnel) (\w+)/.exec(configurationOf(balancer)) ?? []
      assert.ok(parseDuration(tunnel!)! > parseDuration(settings.pongTimeoutMs.default!)!)
      assert.ok(parseDuration(settings.pingIntervalMs.default!)! < parseDuration(tunnel!)! / 2)
    })

    it('keeps a quiet socket open while the gateway pings it, and cuts one that is not pinged', async (t) => {
      const pinging = await gatewayFor(t, { redis, env: { ...env, PING_INTERVAL: '400ms', PONG_TIMEOUT: '5s' } })
      const short = (text: string) => text.replaceAll(/(_timeout|tunnel) 90s/g, '$1 2s')
      const ports = [portOf(pinging), portOf(pinging)]
      const own = await balancerFor(t, balancer, ports, short)
      const mute = await balancerFor(t, balancer, gateways.map(portOf), short)
      // The older one: when the other is cut, this has been quiet for longer.
      const quiet = await enter('quiet', {}, own.ws)
      const cut = await enter('cut', {}, mute.ws)
      await eventually(() => cut.code !== undefined, 'the socket without pings to be cut')
      assert.equal(quiet.code, undefined)
      await gateways[0]!.agent.publish('session:quiet:down', '{"still":"here"}')
      await quiet.find({ still: 'here' })
      quiet.socket.terminate()
    })

    it('passes the 503 of a gateway for every upgrade while both instances have lost Redis', async (t) => {
      const alone = await redisFor(t)
      const own = await Promise.all([0, 1].map(() => gatewayFor(t, { redis: alone, env })))
      const theirs = await balancerFor(t, balancer, own.map(portOf))
      const answers = new Set<string>()
      await alone.stop()
      await eventually(() => own.every(({ gateway }) => !gateway.redisReady), 'both instances to lose Redis')
      const ask = async (session: string) => {
        const { status, headers, body } = await answerTo(`${theirs.http}/agent/ws/${session}`)
        const code = /"code":"([^"]*)"/.exec(body)?.[1] ?? body
        answers.add(`${status} ${code}, Retry-After ${headers['retry-after'] ? 'set' : 'missing'}`)
      }
      for (let i = 0; i < 20; i++) await ask(`away-${i}`)
      await eventually(() => balancer.bothDown?.test(theirs.log()) ?? true, 'the health checks to notice')
      for (let i = 0; i < 20; i++) await ask(`down-${i}`)
      assert.deepEqual([...answers], ['503 redis-unavailable, Retry-After set'])
    })

    it('opens 300 clients that come at once, with the default settings of the gateway', async (t) => {
      const limits = { CONNECT_RATE: '2000', CONNECT_RATE_PER_IP: '500', REFUSED_RATE_PER_IP: '50' }
      const own = await Promise.all([0, 1].map(() => gatewayFor(t, { redis, env: { ...env, ...limits } })))
      const crowd = await balancerFor(t, balancer, own.map(portOf))
      const all = await Promise.all(Array.from({ length: 300 }, (_, i) => connect(`${crowd.ws}/crowd-${i}`)))
      assert.equal(all.filter(({ code }) => code === undefined).length, 300)
      for (const { socket } of all) socket.terminate()
    })

    it('does not pass on what is for operators', async () => {
      const paths = ['/metrics', '/version', '/admin/monitoring', '/admin', '/api/preflight/reports', '/api/admin/x']
      for (const path of [...paths, '/metrics/', '/version?x=1', '//metrics', '/./version', '/a/../metrics']) {
        const raw = await RawSocket.open(front.http)
        raw.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
        await raw.untilClosed()
        assert.doesNotMatch(raw.text, /^HTTP\/1\.1 200|"node":"v|# HELP/, path)
      }
      assert.equal((await fetch(`${gateways[0]!.http}/metrics`)).status, 200)
    })

    it('passes an upgrade whose bytes come in two segments, wherever they are cut', async () => {
      const request = upgradeRequest('/cut-run')
      const end = request.indexOf('\r\n') + 12
      const statuses = await Promise.all(
        Array.from({ length: end }, async (_, i) => {
          const raw = await RawSocket.open(front.http)
          raw.socket.setNoDelay(true)
          raw.write(request.slice(0, i + 1))
          await new Promise((resolve) => setTimeout(resolve, 60))
          raw.write(request.slice(i + 1))
          const status = await raw.status()
          raw.destroy()
          return status
        }),
      )
      assert.deepEqual([...new Set(statuses)], [101])
    })

    it('passes requests in absolute form, pipelined ones, and with nginx those of HTTP/1.0', async () => {
      for (const [request, answers] of [
        ['GET http://x/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 1],
        // HAProxy passes the version on, and the native library answers 505.
        ['GET /health HTTP/1.0\r\nHost: x\r\n\r\n', balancer.name === 'nginx' ? 1 : undefined],
        [
          `${'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2)}GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
          3,
        ],
      ] as const) {
        const raw = await RawSocket.open(front.http)
        raw.write(request)
        await raw.untilClosed()
        assert.equal(raw.text.match(/HTTP\/1\.[01] 200/g)?.length, answers, request)
      }
    })

    it('lets no second request through behind an ambiguous one', async () => {
      const smuggled = 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n'
      const chunks = '7\r\n{"a":1}\r\n0\r\n\r\n'
      for (const [headers, rest] of [
        ['Content-Length: 7\r\nContent-Length: 60', '{"a":1}'],
        ['Content-Length: 7\r\nTransfer-Encoding: chunked', chunks],
        ['Transfer-Encoding: xchunked', chunks],
        ['Transfer-Encoding: chunked, gzip', chunks],
        ['Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', chunks],
        ['Transfer-Encoding: chunked', '7\r\n{"a":1}XX0\r\n\r\n'],
        ['Host: y', ''],
      ]) {
        const raw = await RawSocket.open(front.http)
        raw.write(`POST /ready HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${rest}${smuggled}`)
        await eventually(() => raw.ended || raw.text.includes('\r\n\r\n'), 'an answer')
        await new Promise((resolve) => setTimeout(resolve, 100))
        assert.doesNotMatch(raw.text, /"uptime_seconds"/, headers)
        raw.destroy()
      }
    })

    it('an old process ends within its bound, although a socket is open', async (t) => {
      const bounded = (text: string) => text.replace(/(worker_shutdown_timeout|hard-stop-after) 10m/, '$1 1s')
      assert.notEqual(bounded(configurationOf(balancer)), configurationOf(balancer))
      const old = await balancerFor(t, balancer, gateways.map(portOf), bounded)
      const client = await connect(`${old.ws}/old-run`)
      await within(old.signal(balancer.graceful), 'the end of the process')
      await eventually(() => client.code !== undefined, 'the close of the socket')
    })

    it('sends the clients of a draining instance to the other one, and fails no upgrade meanwhile', async () => {
      const sockets = await enterUntilBothHave('moved', 8, 2)
      const names = [...sockets.keys()]
      const there = names.filter((name) => placesOf(name)[0] === 1)
      assert.ok(there.length > 0 && there.length < names.length, `${there.length} of ${names.length} are on the first`)
      const stopped = gateways[0]!.gateway.stop()
      const returning = there.map(async (name) => {
        const { code } = await sockets.get(name)!.closed
        assert.equal(code, 1001)
        const agent = gateways[1]!
        clients.push(await connect(`${front.ws}/agent/ws/${name}`, { token: await agent.token(name) }))
      })
      await Promise.all(returning)
      await stopped
      for (const name of there) assert.equal(placesOf(name)[1], 1, name)
      for (const name of names.filter((each) => !there.includes(each))) assert.equal(sockets.get(name)!.code, undefined)
    })
  })
}
