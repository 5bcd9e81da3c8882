import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { sessionDown } from '../../src/contract/names.ts'
import { type BareGateway, bareGatewayFor } from '../support/bare.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { proxyFor, type TcpProxy } from '../support/proxy.ts'
import { RawSocket } from '../support/raw.ts'
import { redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))

interface ApiResponse {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly body: Record<string, unknown>
}

async function get(url: string, init: RequestInit = {}): Promise<ApiResponse> {
  const response = await fetch(url, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json' && text !== ''
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : {} }
}

function assertRefusal(answer: ApiResponse, status: number, code: string): void {
  assert.equal(answer.status, status)
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.deepEqual(Object.keys(answer.body), ['error'])
  const error = answer.body.error as Record<string, unknown>
  assert.equal(error.code, code)
  assert.equal(typeof error.message, 'string')
}

describe('the HTTP surface', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  it('/health reports the round trip of Redis and the number of sockets', async () => {
    const clients = await Promise.all([gateway.join('health-1'), gateway.join('health-2')])
    const { status, headers, body } = await get(`${gateway.http}/health`)
    assert.equal(status, 200)
    assert.equal(headers.get('content-type'), 'application/json')
    assert.equal(headers.get('cache-control'), 'no-store')
    const { redis, ...rest } = body as { redis: Record<string, unknown> }
    assert.deepEqual(Object.keys(rest).sort(), ['connections', 'status', 'uptime_seconds', 'ws_contract_version'])
    assert.equal(body.status, 'healthy')
    assert.equal(body.connections, 2)
    assert.ok(Number.isInteger(body.uptime_seconds))
    assert.equal(redis.status, 'up')
    assert.ok(Number(redis.ping_ms) > 0 && Number(redis.ping_ms) < 250)
    for (const client of clients) await client.close()
  })

  it('/ready answers 200 while upgrades are accepted', async () => {
    const { status, body } = await get(`${gateway.http}/ready`)
    assert.equal(status, 200)
    assert.deepEqual(body, { status: 'ready' })
  })

  it('/version names the versions of the gateway and of Node', async () => {
    const { status, body } = await get(`${gateway.http}/version`)
    assert.equal(status, 200)
    assert.deepEqual(body, { name: 'wsproxy', version, node: process.version })
  })

  it('HEAD is answered as GET, without the body', async () => {
    for (const path of ['/health', '/ready', '/version', '/metrics']) {
      const raw = await RawSocket.open(gateway.http)
      raw.write(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const head = await raw.head()
      assert.match(head, /^HTTP\/1\.1 200 OK/)
      assert.match(head, /\r\ncontent-type: /i)
      assert.match(head, /\r\ncontent-length: [1-9]\d*/i)
      raw.write('GET /version HTTP/1.1\r\nHost: x\r\n\r\n')
      await eventually(() => raw.text.includes(`"version":"${version}"`), 'the answer to the request after it')
      assert.match(raw.text.slice(head.length), /^HTTP\/1\.1 200 OK/, `${path}: no byte of a body`)
      raw.destroy()
    }
  })

  it('POST /health answers as GET', async () => {
    const { status, body } = await get(`${gateway.http}/health`, { method: 'POST' })
    assert.equal(status, 200)
    assert.equal(body.status, 'healthy')
    const answer = await get(`${gateway.http}/health`, { method: 'PUT' })
    assertRefusal(answer, 405, 'method-not-allowed')
    assert.equal(answer.headers.get('allow'), 'GET, HEAD, POST')
  })

  it('other methods are refused with 405 and the methods that are allowed', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      for (const path of ['/livez', '/ready', '/version', '/metrics']) {
        const answer = await get(`${gateway.http}${path}`, { method })
        assertRefusal(answer, 405, 'method-not-allowed')
        assert.equal(answer.headers.get('allow'), 'GET, HEAD')
      }
    }
    const door = await get(`${gateway.http}/agent-1/ws/s1`, { method: 'POST' })
    assertRefusal(door, 405, 'method-not-allowed')
    assert.equal(door.headers.get('allow'), 'GET')
  })

  it('a GET with a body is answered, and the connection stays usable', async () => {
    assertRefusal(
      await get(`${gateway.http}/version`, { method: 'POST', body: 'x'.repeat(100_000) }),
      405,
      'method-not-allowed',
    )
    assert.equal((await get(`${gateway.http}/ready`)).status, 200)
  })

  it('unknown paths are refused with 404', async () => {
    for (const path of ['/metrics/x', '/a/b/c', '/agent/ws/s1/more', '/agent/wss/s1', '/admin/x/y', '//']) {
      assertRefusal(await get(`${gateway.http}${path}`), 404, 'not-found')
    }
  })

  it('a path with a query is found as without one', async () => {
    assert.equal((await get(`${gateway.http}/ready?x=1`)).status, 200)
  })

  it('a plain request to a door is refused with 426', async () => {
    const answer = await get(`${gateway.http}/agent-1/ws/s1`)
    assertRefusal(answer, 426, 'upgrade-required')
    assert.equal(answer.headers.get('upgrade'), 'websocket')
  })

  it('concurrent requests of /health share one PING', { skip: withoutRealRedis }, async () => {
    const pings = async () =>
      Number(/cmdstat_ping:calls=(\d+)/.exec(await gateway.agent.info('commandstats'))?.[1] ?? 0)
    const before = await pings()
    const startedAt = Date.now()
    const answers = await Promise.all(Array.from({ length: 200 }, () => get(`${gateway.http}/health`)))
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
    // The watch over both connections asks as well, once a second each.
    const watched = 2 * (1 + Math.ceil((Date.now() - startedAt) / 1000))
    const asked = (await pings()) - before - watched
    assert.ok(asked < 100, `${asked} pings for 200 questions`)
  })

  it('a client that leaves before the answer harms no other', async () => {
    for (let i = 0; i < 20; i++) {
      const raw = await RawSocket.open(gateway.http)
      raw.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
      raw.destroy()
    }
    assert.equal((await get(`${gateway.http}/health`)).status, 200)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })
})

describe('/metrics', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  it('/metrics is Prometheus text with help and type for each metric', async () => {
    const client = await gateway.join('parse')
    const { headers, text } = await get(`${gateway.http}/metrics`)
    assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    const types = new Map<string, string>()
    const helped = new Set<string>()
    for (const line of text.split('\n').filter(Boolean)) {
      const help = /^# HELP ([a-z_0-9]+) \S.*$/.exec(line)
      const type = /^# TYPE ([a-z_0-9]+) (counter|gauge|histogram|summary)$/.exec(line)
      if (help) helped.add(help[1]!)
      else if (type) types.set(type[1]!, type[2]!)
      else {
        const sample =
          /^([a-z_0-9]+)(?:\{[a-z_]+="[^"\n]*"(?:,[a-z_]+="[^"\n]*")*\})? (-?[\d.e+-]+|NaN|[+-]Inf)( \d+)?$/i.exec(line)
        assert.ok(sample, line)
        const name = sample[1]!
        assert.ok(types.has(name) || types.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram', line)
      }
    }
    assert.deepEqual([...types.keys()].sort(), [...helped].sort())
    await client.close()
  })

  it('/metrics is rendered once for all that ask within METRICS_MAX_AGE', async (t) => {
    const { http, metric } = await gatewayFor(t, { env: { METRICS_MAX_AGE: '1s' } })
    const refusals = () => metric('wsproxy_connections_total', { door: 'none', result: 'not-found' })
    for (const path of ['/metrics', '/api/dashboard/metrics/websockets']) {
      // The CPU time in a page differs from one rendering to the next.
      const pages = await Promise.all(Array.from({ length: 20 }, async () => (await get(http + path)).text))
      assert.equal(new Set(pages).size, 1, path)
    }
    const before = await refusals()
    await refused(`${http.replace('http', 'ws')}/no/such/path/here`)
    await eventually(async () => (await refusals()) === before + 1, 'a page with the refusal')
  })

  it('/metrics has the promised names and labels', async () => {
    const client = await gateway.join('names')
    client.send('{"a":1}')
    client.send('no json')
    await gateway.agent.publish(sessionDown('names'), '{"b":2}')
    await client.take(2)
    await refused(gateway.sessionUrl('names'), { token: 'wrong' })
    const leaves = await gateway.join('names')
    leaves.socket.close(1000)
    await leaves.closed
    const { text } = await get(`${gateway.http}/metrics`)
    await client.close()
    for (const sample of [
      'wsproxy_active_connections{door="session"} ',
      'wsproxy_connections_total{door="session",result="accepted"} ',
      'wsproxy_connections_total{door="session",result="token-rejected"} 1',
      'wsproxy_disconnections_total{door="session",code=',
      'wsproxy_messages_received_total{source="redis"} 1',
      'wsproxy_messages_received_total{source="client"} 2',
      'wsproxy_messages_sent_total{door="session"} 2',
      'wsproxy_bytes_sent_total{door="session"} ',
      'wsproxy_message_latency_seconds_bucket{le="0.00005"} ',
      'wsproxy_message_latency_seconds_bucket{le="+Inf"} 2',
      'wsproxy_message_latency_seconds_count 2',
      'wsproxy_buffer_utilization_bytes_bucket{le="+Inf"} ',
      'wsproxy_redis_pubsub_channels_active ',
      'wsproxy_redis_up 1',
      'wsproxy_handshake_seconds_count ',
      'wsproxy_upstream_held_messages 0',
      'wsproxy_upstream_unheard_total 1',
      'wsproxy_event_loop_delay_seconds{quantile="0.99"} ',
      'wsproxy_lost_messages_total{reason="invalid"} 1',
      'process_cpu_seconds_total ',
      'nodejs_heap_size_used_bytes ',
    ]) {
      assert.ok(
        text.includes(`\n${sample}`),
        `${sample}\n${text
          .split('\n')
          .filter((line) => line.startsWith(sample.split(/[{ ]/)[0]!))
          .join('\n')}`,
      )
    }
    for (const name of [
      'redis_reconnects_total',
      'errors_total',
      'backpressure_events_total',
      'rate_limited_total',
      'gaps_total',
    ]) {
      assert.match(text, new RegExp(`^# TYPE wsproxy_${name} counter$`, 'm'))
    }
  })

  it('no label of /metrics holds an id, a token or an address', async () => {
    const ids = ['label-session', 'label-agent', 'label-token']
    const token = await gateway.token('label-session', 'label-token')
    const client = await connect(gateway.sessionUrl('label-session', 'label-agent'), { token })
    client.send('{"x":1}')
    await refused(gateway.sessionUrl('label-session', 'label-agent'), { token })
    await refused(gateway.sessionUrl('label%3Asession', 'label-agent'), { token })
    await gateway.agent.publish(sessionDown('label-session'), '{}')
    await client.take(1)
    const { text } = await get(`${gateway.http}/metrics`)
    for (const id of [...ids, 'label', '127.0.0.1']) assert.ok(!text.includes(id), id)
    const labels = new Set(
      [...text.matchAll(/^wsproxy_\w+\{([^}]*)\}/gm)].flatMap(([, all]) =>
        [...all!.matchAll(/(\w+)=/g)].map(([, name]) => name!),
      ),
    )
    const closed = 'by check code door grade le limit link method quantile reason result source stage type what'.split(
      ' ',
    )
    assert.deepEqual([...labels].sort(), closed)
    await client.close()
  })

  it('/metrics does not grow with the codes and paths that clients make up', async () => {
    const lines = async () => (await get(`${gateway.http}/metrics`)).text.split('\n').length
    const warm = await gateway.join('grow')
    warm.socket.close(4000)
    await warm.closed
    await fetch(`${gateway.http}/agent/ws/grow`)
    const before = await lines()
    for (let i = 1; i <= 5; i++) {
      const client = await gateway.join(`grow-${i}`)
      client.socket.close(4000 + i)
      await client.closed
      await fetch(`${gateway.http}/agent-${i}/ws/grow`)
      await fetch(`${gateway.http}/made-up-${i}`)
    }
    assert.ok((await lines()) - before <= 1, 'no line for each of them')
  })
})

describe('the HTTP surface while Redis is away or the instance drains', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let proxy: TcpProxy
  before(async () => {
    redis = await redisFor(suite)
    proxy = await proxyFor(suite, redis.port)
  })

  it('/health and /ready answer 503 with the reason while Redis is away', async (t) => {
    const bare = bareGatewayFor(t, `redis://127.0.0.1:${proxy.port}`)
    await eventually(() => bare.gateway.redisReady, 'Redis')
    proxy.cut()
    await eventually(() => !bare.gateway.redisReady, 'the loss')
    const health = await get(`${bare.http}/health`)
    assert.equal(health.status, 503)
    assert.equal(health.body.status, 'unhealthy')
    assert.deepEqual(health.body.redis, { status: 'down' })
    const ready = await get(`${bare.http}/ready`)
    assert.equal(ready.status, 503)
    assert.deepEqual(ready.body, { status: 'not ready', reason: 'redis-unavailable' })
    assert.equal((await get(`${bare.http}/version`)).status, 200)
    proxy.restore()
    await eventually(() => bare.gateway.redisReady, 'Redis again')
    assert.equal((await get(`${bare.http}/health`)).status, 200)
  })

  it('/health answers 503 in time while Redis hangs, and 200 once it goes on', async (t) => {
    const bare = bareGatewayFor(t, `redis://127.0.0.1:${proxy.port}`)
    await eventually(() => bare.gateway.redisReady, 'Redis')
    proxy.hold()
    const heldAt = performance.now()
    await eventually(async () => (await get(`${bare.http}/health`)).status === 503, 'its loss')
    assert.ok(performance.now() - heldAt < 1500, 'within a second or so')
    assert.ok(!bare.log.some(({ event }) => event === 'redis-lost'), 'before the connection is given up')
    proxy.release()
    await eventually(async () => (await get(`${bare.http}/health`)).status === 200, 'its health')
  })

  it('/ready answers 503 and upgrades are refused as soon as the drain begins', async (t) => {
    const bare = bareGatewayFor(t, redis.url, { DRAIN_DELAY: '20s', SHUTDOWN_GRACE_PERIOD: '30s' })
    await eventually(() => bare.gateway.redisReady, 'Redis')
    const stopped = bare.gateway.stop()
    const ready = await get(`${bare.http}/ready`)
    assert.equal(ready.status, 503)
    assert.deepEqual(ready.body, { status: 'not ready', reason: 'draining' })
    assert.equal((await refused(`${bare.ws}/agent/ws/s1`, { token: 'any' })).code, 'draining')
    assert.equal((await get(`${bare.http}/health`)).status, 200)
    void bare.gateway.stop()
    await within(stopped, 'the end of the drain')
  })
})

describe('with ADMIN_PORT', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let bare: BareGateway
  before(async () => {
    redis = await redisFor(suite)
    bare = bareGatewayFor(suite, redis.url, { ADMIN_PORT: String(await freePort()) })
    await eventually(() => bare.gateway.redisReady, 'Redis')
  })

  it('ADMIN_PORT serves everything but the doors, /health and /ready', async () => {
    for (const path of ['/metrics', '/version']) {
      assert.equal((await get(`${bare.admin}${path}`)).status, 200)
      const answer = await get(`${bare.http}${path}`)
      assert.ok(answer.status >= 400 && 'error' in answer.body, `${path} is not here: ${answer.text}`)
    }
  })

  it('the doors, /health and /ready stay on the main port beside ADMIN_PORT', async () => {
    for (const path of ['/health', '/ready']) assert.equal((await get(`${bare.http}${path}`)).status, 200)
    assert.equal((await refused(`${bare.ws}/agent/ws/s1`, { token: 'wrong' })).code, 'token-rejected')
    for (const path of ['/health', '/ready', '/agent/ws/s1']) {
      assertRefusal(await get(`${bare.admin}${path}`), 404, 'not-found')
    }
    const upgrade = await refused(`${bare.admin.replace('http', 'ws')}/agent/ws/s1`, { token: 'wrong' })
    assert.equal(upgrade.code, 'not-found')
  })

  it('an admin port that is taken is an error that names it', async (t) => {
    const taken = Number(new URL(bare.admin).port)
    const free = await freePort()
    const env = { LISTEN_ADDR: `127.0.0.1:${free}`, ADMIN_PORT: String(taken) }
    assert.throws(() => bareGatewayFor(t, redis.url, env), new RegExp(`127\\.0\\.0\\.1:${taken}`))
  })
})
