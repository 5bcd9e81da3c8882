import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { bareGatewayFor } from '../../support/bare.ts'
import { killCommands, serve } from '../../support/cli.ts'
import type { TestClient } from '../../support/client.ts'
import { gatewayFor, sample, type TestGateway } from '../../support/gateway.ts'
import { answersTo, live } from '../../support/live.ts'
import { freePort } from '../../support/ports.ts'
import { redisFor, type TestRedis } from '../../support/redis.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

const ADMIN_TOKEN = 'the-admin-token-of-tests'
const ENV = { LIVE_TOPICS: 'news,build.*', ADMIN_TOKEN }
const BASE = '/api/dashboard/websocket'

type Body = Record<string, unknown>
const get = async (http: string, path: string) => {
  const response = await fetch(http + path)
  return { status: response.status, type: response.headers.get('content-type'), body: (await response.json()) as Body }
}
const post = async (http: string, path: string, body: unknown = {}, token = ADMIN_TOKEN) => {
  const headers: Record<string, string> = token === '' ? {} : { Authorization: `Bearer ${token}` }
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(http + BASE + path, { method: 'POST', headers, body: text })
  return { status: response.status, body: (await response.json()) as Body }
}
const idOf = ({ values }: TestClient) => String(values[0]?.connection_id)

describe('the endpoints of the live door', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
  })

  it('stats counts the open sockets by type and topic', async () => {
    const before = (await get(gateway.http, `${BASE}/stats`)).body.websocket_stats as Body
    assert.deepEqual([before.active_connections, before.oldest_connection], [0, null])
    const clients = [
      await live(gateway, '/live?subscriptions=news'),
      await live(gateway, '/api/dashboard/ws/tasks'),
      await live(gateway, '/api/dashboard/ws/tasks?subscriptions=news,build.7'),
    ]
    const { body } = await get(gateway.http, `${BASE}/stats`)
    const { oldest_connection: oldest, ...stats } = body.websocket_stats as Body
    assert.deepEqual(stats, {
      total_connections: 3,
      connections_since_start: Number(before.connections_since_start) + 3,
      connections_by_type: { dashboard: 1, tasks: 2 },
      subscription_counts: {
        agents: 1,
        alerts: 0,
        'build.7': 1,
        coordination: 0,
        news: 2,
        project_index: 0,
        system: 0,
        tasks: 1,
      },
      active_connections: 3,
      background_tasks_running: true,
    })
    assert.ok(Math.abs(Date.parse(String(oldest)) - Date.now()) < 30_000)
    assert.ok((body.endpoints as string[]).includes('/live'))
    assert.ok((body.subscription_types as string[]).includes('build.*'))
    assert.match(String(body.last_updated), /Z$/)
    for (const client of clients) await client.close()
  })

  it('health has a score, and which background tasks run', async (t) => {
    const { status, body } = await get(gateway.http, `${BASE}/health`)
    assert.equal(status, 200)
    assert.deepEqual(body.overall_health, { score: 100, status: 'healthy' })
    assert.deepEqual([body.websocket_manager, body.redis_connectivity], ['operational', 'healthy'])
    assert.ok(Number(body.redis_ping_ms) >= 0)
    assert.deepEqual(body.background_tasks, { socket_sweep: true, bus: true, coordination_samples: true })
    const away = bareGatewayFor(t, `redis://127.0.0.1:${await freePort()}`, ENV)
    const without = (await get(away.http, `${BASE}/health`)).body
    assert.deepEqual(without.overall_health, { score: 40, status: 'unhealthy' })
    assert.deepEqual([without.redis_connectivity, without.redis_ping_ms], ['unhealthy', undefined])
    assert.deepEqual(without.background_tasks, { socket_sweep: true, bus: false, coordination_samples: true })
    assert.equal((without.connection_stats as Body).background_tasks_running, false)
    const refused = await post(away.http, '/broadcast?subscription=news', {})
    assert.deepEqual([refused.status, (refused.body.error as Body).code], [503, 'redis-unavailable'])
  })

  it('limits reports the limits in force', async () => {
    const { timestamp, ...limits } = (await get(gateway.http, `${BASE}/limits`)).body
    assert.match(String(timestamp), /Z$/)
    assert.deepEqual(limits, {
      rate_limit_tokens_per_second: 20,
      rate_limit_burst_capacity: 40,
      rate_limit_notify_cooldown_seconds: 5,
      max_inbound_message_bytes: 65536,
      max_subscriptions_per_connection: 10,
      backpressure_disconnect_threshold: 5,
      idle_disconnect_seconds: 600,
      ws_auth_required: false,
      ws_allowed_origins_configured: false,
      contract_version: '2.4.0',
      supported_versions: ['2.4.0'],
    })
  })

  it('the contract, its schema and its AsyncAPI document are served', async () => {
    const { body } = await get(gateway.http, `${BASE}/contract`)
    assert.deepEqual([body.current_version, body.supported_versions], ['2.4.0', ['2.4.0']])
    assert.deepEqual(Object.keys(body.deprecation_policy as Body), ['policy', 'notice'])
    const schema = await get(gateway.http, String(body.schema_url))
    assert.equal(schema.type, 'application/schema+json')
    assert.equal(schema.body.version, '2.4.0')
    const asyncApi = await get(gateway.http, `${BASE}/contract/asyncapi`)
    assert.equal(asyncApi.body.asyncapi, '3.0.0')
  })

  it('the metrics page of the live door has the same values as /metrics', async () => {
    const client = await live(gateway, '/live?subscriptions=news,build.1,build.2')
    await answersTo(client, { type: 'nope' })
    const page = await (await fetch(`${gateway.http}/api/dashboard/metrics/websockets`)).text()
    const all = await (await fetch(`${gateway.http}/metrics`)).text()
    const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    for (const line of lines) {
      assert.match(line, /^wsproxy_live_/)
      assert.ok(all.includes(line), line)
    }
    assert.equal(sample(page, 'wsproxy_live_subscriptions', { subscription: 'build.*' }), 2)
    assert.equal(sample(page, 'wsproxy_live_subscriptions', { subscription: 'news' }), 1)
    for (const name of [
      'messages_sent',
      'messages_received',
      'errors_sent',
      'connections',
      'bytes_sent',
      'bytes_received',
    ]) {
      assert.ok(sample(page, `wsproxy_live_${name}_total`) > 0, name)
    }
    for (const name of [
      'messages_send_failures',
      'messages_dropped_rate_limit',
      'disconnections',
      'backpressure_disconnects',
      'auth_denied',
      'origin_denied',
      'idle_disconnects',
    ]) {
      assert.match(page, new RegExp(`^wsproxy_live_${name}_total \\d+$`, 'm'))
    }
    await client.close()
  })

  it('broadcast and disconnect are refused without the admin token', async () => {
    for (const path of ['/broadcast?subscription=news', '/disconnect/x-1']) {
      assert.equal((await post(gateway.http, path, {}, '')).status, 401)
      assert.equal((await post(gateway.http, path, {}, 'another-token-of-tests')).status, 403)
    }
  })

  it('a broadcast with a reserved type, without a topic or without JSON is refused', async () => {
    for (const type of [
      'pong',
      'ping',
      'subscribe',
      'connection_established',
      'error',
      'disconnect_notice',
      '',
      'x'.repeat(129),
    ]) {
      const { status, body } = await post(gateway.http, `/broadcast?subscription=news&message_type=${type}`)
      assert.deepEqual([status, (body.error as Body).field], [400, 'message_type'], type)
    }
    assert.equal((await post(gateway.http, '/broadcast?message_type=x')).status, 400)
    assert.equal((await post(gateway.http, '/broadcast?subscription=news', '{')).status, 400)
    assert.equal(
      (await post(gateway.http, '/broadcast?subscription=news&message_type=critical_alert', { alerts: [] })).status,
      400,
    )
    assert.equal(
      (await post(gateway.http, '/broadcast?subscription=alerts&message_type=critical_alert', {})).status,
      400,
    )
    for (const name of ['nope', 'NEWS', 'a*', '__proto__']) {
      const { status, body } = await post(gateway.http, `/broadcast?subscription=${name}`)
      assert.equal(status, 200)
      assert.equal(body.error, `Invalid subscription: ${name}`)
      assert.ok((body.valid_subscriptions as string[]).includes('news'))
    }
  })

  it('a broadcast reaches the sockets that hold the topic, with one correlation id', async () => {
    const clients = [
      await live(gateway, '/live?subscriptions=alerts'),
      await live(gateway, '/live?subscriptions=alerts,news'),
    ]
    const other = await live(gateway, '/live?subscriptions=news')
    const sent = await post(gateway.http, '/broadcast?subscription=alerts&message_type=critical_alert', {
      alerts: ['fire'],
      n: 1,
    })
    const { success, subscription, message_type, clients_reached, correlation_id } = sent.body
    assert.deepEqual([success, subscription, message_type, clients_reached], [true, 'alerts', 'critical_alert', 2])
    for (const client of clients) {
      const got = await client.find({ type: 'critical_alert' })
      assert.deepEqual([got.data, got.correlation_id], [{ alerts: ['fire'], n: 1 }, correlation_id])
    }
    assert.equal((await post(gateway.http, '/broadcast?subscription=build.nobody', 5)).body.clients_reached, 0)
    assert.equal((await post(gateway.http, '/broadcast?subscription=news', [1])).body.clients_reached, 2)
    assert.deepEqual((await other.find({ type: 'news_update' })).data, [1])
    assert.equal(await gateway.metric('wsproxy_live_last_broadcast_fanout'), 2)
    for (const client of [...clients, other]) client.socket.terminate()
  })

  it('disconnect closes the socket with the reason in a notice, and answers 200 with an error for an unknown id', async () => {
    const [one, two] = [await live(gateway), await live(gateway)]
    const reason = 'ä'.repeat(100)
    assert.equal((await post(gateway.http, `/disconnect/${idOf(one)}?reason=${reason}`)).status, 200)
    assert.equal((await within(one.closed, 'the close')).code, 1000)
    assert.deepEqual([one.values.at(-1)?.type, one.values.at(-1)?.reason], ['disconnect_notice', 'ä'.repeat(61)])
    assert.equal(one.values.at(-1)?.reconnect_after_ms, undefined)
    for (const id of [idOf(one), 'nobody-1', 'a%20b', 'x'.repeat(200)]) {
      const { status, body } = await post(gateway.http, `/disconnect/${id}`)
      const error = `No live socket has the id ${decodeURIComponent(id)}.`
      assert.deepEqual([status, body.success, body.error], [200, false, error])
    }
    assert.equal(two.code, undefined)
    two.socket.terminate()
  })
})

describe('two gateway processes on one Redis', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateways: { http: string; ws: string; url: string }[]
  before(async () => {
    redis = await redisFor(suite)
    const start = async () => {
      const { http, ws } = await serve({ REDIS_URL: redis.url, CONNECT_RATE_PER_IP: '0', ...ENV })
      await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
      return { http, ws, url: ws }
    }
    gateways = [await start(), await start()]
    atEnd(suite, killCommands)
  })

  it('a broadcast on one instance reaches the clients of both exactly once and counts them all', async () => {
    const clients = await Promise.all([0, 1, 1, 0, 1].map((at) => live(gateways[at]!, '/live?subscriptions=news')))
    for (let n = 0; n < 20; n++) {
      const { body } = await post(gateways[n % 2]!.http, '/broadcast?subscription=news', { n })
      assert.equal(body.clients_reached, 5)
    }
    for (const client of clients) {
      await client.take(21)
      const numbers = client.values.slice(1).map(({ data }) => (data as { n: number }).n)
      assert.deepEqual(
        numbers,
        Array.from({ length: 20 }, (_, n) => n),
      )
      await client.close()
    }
  })

  it('disconnect finds a socket on either instance', async () => {
    const there = await live(gateways[1]!)
    assert.equal((await post(gateways[0]!.http, `/disconnect/${idOf(there)}?reason=elsewhere`)).status, 200)
    assert.equal((await within(there.closed, 'the close')).code, 1000)
    assert.equal(there.values.at(-1)?.reason, 'elsewhere')
    assert.equal((await post(gateways[0]!.http, `/disconnect/${idOf(there)}`)).body.success, false)
  })
})
