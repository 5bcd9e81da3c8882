import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { get as requestOf } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { binaryOf, runFront } from '../support/balancer.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { RawSocket } from '../support/raw.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { type Scope, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const shipped = (file: string) => readFileSync(new URL(`../../../k8s/lb/${file}`, import.meta.url), 'utf8')

/** A proxy with its shipped configuration, apart from addresses and timeouts. */
interface Proxy {
  readonly name: 'envoy' | 'traefik'
  readonly versionArgs: readonly string[]
  /** Whether all sockets and streams of a session go to one instance. */
  readonly pins: boolean
  /** Writes the configuration into the folder and returns the arguments. */
  readonly configure: (folder: string, port: number, gateways: readonly number[]) => string[]
}

const PROXIES: readonly Proxy[] = [
  {
    name: 'envoy',
    versionArgs: ['--version'],
    pins: true,
    configure: (folder, port, [one, two]) => {
      const file = join(folder, 'envoy.yaml')
      const text = shipped('envoy.yaml')
        .replace('address: 0.0.0.0, port_value: 8080', `address: 127.0.0.1, port_value: ${port}`)
        .replaceAll('address: gateway-1, port_value: 8080', `address: 127.0.0.1, port_value: ${one}`)
        .replaceAll('address: gateway-2, port_value: 8080', `address: 127.0.0.1, port_value: ${two}`)
        .replace('stream_idle_timeout: 90s', 'stream_idle_timeout: 2s')
      writeFileSync(file, text)
      return ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']
    },
  },
  {
    name: 'traefik',
    versionArgs: ['version'],
    pins: false,
    configure: (folder, port, [one, two]) => {
      const [file, routes] = [join(folder, 'traefik.yaml'), join(folder, 'traefik-routes.yaml')]
      const start = shipped('traefik.yaml')
        .replace('":8080"', `"127.0.0.1:${port}"`)
        .replace('/etc/traefik/traefik-routes.yaml', routes)
        .replace('idleTimeout: 90s', 'idleTimeout: 2s')
      writeFileSync(file, start)
      const text = shipped('traefik-routes.yaml')
      writeFileSync(
        routes,
        text.replaceAll('gateway-1:8080', `127.0.0.1:${one}`).replaceAll('gateway-2:8080', `127.0.0.1:${two}`),
      )
      return [`--configFile=${file}`]
    },
  },
]

interface Running {
  readonly http: string
  readonly ws: string
}

async function proxyOf(scope: Scope, proxy: Proxy, gateways: readonly TestGateway[]): Promise<Running> {
  const folder = temporaryFolder(scope).TMPDIR
  const port = await freePort()
  const ports = gateways.map(({ http }) => Number(new URL(http).port))
  const args = proxy.configure(folder, port, ports)
  return runFront(scope, port, binaryOf(proxy.name, proxy.versionArgs)!, args, { cwd: folder })
}

for (const proxy of PROXIES) {
  const skip = binaryOf(proxy.name, proxy.versionArgs) === undefined && `needs ${proxy.name} on the PATH`
  describe(`behind ${proxy.name}`, { skip }, () => {
    const suite = scopeOf(after)
    const env = { TRUST_PROXY: 'x-forwarded-for', PREFLIGHT_CHECK_TIMEOUT: '2s', PING_INTERVAL: '500ms' }
    let redis: TestRedis
    let gateways: TestGateway[]
    let front: Running
    before(async () => {
      redis = await redisFor(suite)
      gateways = await Promise.all([0, 1].map(() => gatewayFor(suite, { redis, env })))
      front = await proxyOf(suite, proxy, gateways)
    })
    const enter = async (session: string, options = {}, url = front.ws): Promise<TestClient> =>
      connect(`${url}/agent/ws/${session}`, { token: await gateways[0]!.token(session), ...options })
    const accepted = (session: string, of = gateways) =>
      of.map(
        ({ log }) =>
          log.filter(({ event, conn }) => event === 'accepted' && (conn as { session?: string }).session === session)
            .length,
      )

    it('passes an upgrade, and frames in both directions, and keeps a quiet socket that is pinged', async () => {
      const client = await enter('both')
      const heard: string[] = []
      await (await redis.client()).subscribe('session:both:up', (frame) => void heard.push(frame))
      await new Promise((resolve) => setTimeout(resolve, 3000))
      client.send({ up: 1 })
      await eventually(() => heard.length === 1, 'the frame')
      await gateways[0]!.agent.publish('session:both:down', '{"down":1}')
      await client.find({ down: 1 })
      await client.close()
    })

    it('passes the address of the client, whatever address the client claims', async () => {
      const client = await enter('claims', { localAddress: '127.0.0.9', headers: { 'X-Forwarded-For': '203.0.113.9' } })
      const remotes = gateways.flatMap(({ log }) =>
        log.flatMap(({ event, conn }) => {
          const { session, remote } = (conn ?? {}) as { session?: string; remote?: string }
          return event === 'accepted' && session === 'claims' ? [remote] : []
        }),
      )
      assert.equal(remotes.length, 1)
      assert.match(String(remotes[0]), /(^|:)127\.0\.0\.9$/)
      await client.close()
    })

    it(`${proxy.pins ? 'sends all sockets of a session to one instance' : 'spreads sockets'}`, async () => {
      const clients: TestClient[] = []
      const token = async (session: string) => ({ token: await gateways[0]!.token(session) })
      for (let i = 0; i < 12; i++)
        clients.push(await connect(`${front.ws}/agent-${i % 3}/ws/same?v=${i}`, await token('same')))
      if (proxy.pins) assert.deepEqual(accepted('same').sort(), [0, 12])
      for (let i = 0; i < 24; i++) clients.push(await enter(`spread-${i}`))
      const places = Array.from({ length: 24 }, (_, i) => accepted(`spread-${i}`)[0])
      assert.deepEqual([...new Set(places)].sort(), [0, 1], 'both instances have some')
      for (const client of clients) client.socket.terminate()
    })

    it('passes a refusal of the gateway unchanged, and nothing that is for operators', async () => {
      const { status, code } = await refused(`${front.ws}/agent/ws/none`, { token: 'wrong' })
      assert.deepEqual([status, code], [403, 'token-rejected'])
      const paths = ['/metrics', '/version', '/admin/monitoring', '/admin', '/api/preflight/reports', '/api/admin/x']
      for (const path of [...paths, '/metrics/', '/version?x=1', '//metrics', '/./version', '/a/../metrics']) {
        const raw = await RawSocket.open(front.http)
        raw.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
        await raw.untilClosed()
        assert.doesNotMatch(raw.text, /^HTTP\/1\.1 200|"node":"v|# HELP/, path)
      }
      assert.equal((await fetch(`${front.http}/health`)).status, 200)
    })

    it('passes each event of a stream when it comes, also after a silence longer than its timeouts', async () => {
      const token = await gateways[0]!.token('stream')
      const ticket = await fetch(`${front.http}/agent/ticket/stream`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      })
      const { ticket: value } = (await ticket.json()) as { ticket: string }
      let text = ''
      const asked = requestOf(`${front.http}/agent/sse/stream?ticket=${value}`)
      const [answer] = await once(asked, 'response')
      answer.on('data', (chunk: Buffer) => {
        text += chunk
      })
      for (const wait of [0, 1500]) {
        await new Promise((resolve) => setTimeout(resolve, wait))
        await gateways[0]!.agent.publish('session:stream:down', `{"after":${wait}}`)
        await eventually(() => text.includes(`"after":${wait}`), `the event after ${wait} ms`)
      }
      asked.destroy()
    })

    it('sends upgrades past an instance that drains, and leaves open sockets alone', async (t) => {
      const slow = { ...env, DRAIN_DELAY: '4s', DRAIN_WINDOW: '200ms' }
      const own = await Promise.all([0, 1].map(() => gatewayFor(t, { redis, env: slow })))
      const theirs = await proxyOf(t, proxy, own)
      const before = await Promise.all(Array.from({ length: 8 }, (_, i) => enter(`old-${i}`, {}, theirs.ws)))
      const stopped = own[0]!.gateway.stop()
      for (let i = 0; i < 16; i++) await (await enter(`new-${i}`, {}, theirs.ws)).close()
      assert.deepEqual(
        Array.from({ length: 16 }, (_, i) => accepted(`new-${i}`, own)[1]),
        Array(16).fill(1),
      )
      assert.ok(before.every(({ code }) => code === undefined))
      await stopped
      for (const [i, client] of before.entries())
        if (accepted(`old-${i}`, own)[0] === 1) assert.equal((await client.closed).code, 1001)
        else assert.equal(client.code, undefined)
      for (const client of before) client.socket.terminate()
    })

    it('passes the 503 of a gateway while both instances have lost Redis', async (t) => {
      const alone = await redisFor(t)
      const own = await Promise.all([0, 1].map(() => gatewayFor(t, { redis: alone, env })))
      const theirs = await proxyOf(t, proxy, own)
      await alone.stop()
      await eventually(() => own.every(({ gateway }) => !gateway.redisReady), 'both instances to lose Redis')
      const from = Date.now()
      // Long enough for its health checks to notice.
      for (let i = 0; Date.now() - from < 4000; i++) {
        const { status, code, headers } = await refused(`${theirs.ws}/agent/ws/away-${i}`, { token: 'x' })
        assert.deepEqual([status, code, 'retry-after' in headers], [503, 'redis-unavailable', true])
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })

    it('opens 300 clients that come at once', async () => {
      const all = await Promise.all(Array.from({ length: 300 }, (_, i) => connect(`${front.ws}/crowd-${i}`)))
      assert.equal(all.filter(({ code }) => code === undefined).length, 300)
      for (const { socket } of all) socket.terminate()
    })
  })
}
