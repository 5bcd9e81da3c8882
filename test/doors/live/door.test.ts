import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { connectionId, instance } from '../../../src/telemetry/log.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { answersTo, live, tell, untilHeard } from '../../support/live.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

const ENV = { LIVE_TOPICS: 'build.*,news', LIVE_RATE: '0' }
const idOf = (value: Record<string, unknown> | undefined) => String(value?.connection_id)

describe('the live door', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
  })

  describe('at the start', () => {
    for (const [path, subscriptions] of [
      ['/live', ['agents', 'coordination', 'project_index', 'system', 'tasks']],
      ['/api/dashboard/ws/dashboard', ['agents', 'coordination', 'project_index', 'system', 'tasks']],
      ['/api/dashboard/ws/agents', ['agents', 'system']],
      ['/api/dashboard/ws/coordination', ['alerts', 'coordination', 'system']],
      ['/api/dashboard/ws/tasks', ['agents', 'tasks']],
      ['/api/dashboard/ws/system', ['alerts', 'system']],
      ['/live?subscriptions=news,build.x,news', ['build.x', 'news']],
      ['/api/dashboard/ws/tasks?subscriptions=alerts', ['alerts']],
    ] as const) {
      it(`${path} starts with its topics in one frame`, async () => {
        const client = await live(gateway, path)
        const [first, ...rest] = client.values
        assert.equal(first?.type, 'connection_established')
        assert.deepEqual(first?.subscriptions, subscriptions)
        assert.match(idOf(first), new RegExp(`^${instance}-`))
        assert.equal(first?.contract_version, '2.4.0')
        assert.deepEqual(rest, [])
        await client.close()
      })
    }

    it('initialized=1 adds dashboard_initialized as the second frame', async () => {
      const client = await live(gateway, '/api/dashboard/ws/agents?initialized=1')
      await client.take(2)
      const [first, second] = client.values
      const { connection_id, server_time } = first as Record<string, unknown>
      assert.deepEqual(second?.connection_info, { connection_id, client_type: 'agents', server_time })
      assert.deepEqual(second?.subscriptions, ['agents', 'system'])
    })

    it('unknown and surplus topics of the query are answered with errors after the first frame', async () => {
      const many = Array.from({ length: 12 }, (_, i) => `build.${i}`).join(',')
      const client = await live(gateway, `/live?subscriptions=zz,${many},Ä,zz`)
      await client.take(3)
      const [first, over, unknown] = client.values
      assert.deepEqual(
        first?.subscriptions,
        Array.from({ length: 10 }, (_, i) => `build.${i}`),
      )
      assert.equal(over?.code, 'too-many-subscriptions')
      assert.equal(unknown?.message, 'Invalid subscription(s): zz, Ä')
    })

    it('connection_established comes before any message of Redis, with an id that the client did not choose', async () => {
      // Another client holds the topic, so its messages come before Redis confirms the other one.
      const holder = await live(gateway, '/live?subscriptions=build.storm')
      let stop = false
      const storm = (async () => {
        for (let n = 0; !stop; n++) await tell(gateway, 'live:build.storm', { n })
      })()
      for (let i = 0; i < 20; i++) {
        const client = await live(gateway, `/live?subscriptions=build.storm,build.new-${i}&connection_id=mine`)
        await client.take(3)
        assert.equal(client.values[0]?.type, 'connection_established')
        assert.notEqual(client.values[0]?.connection_id, 'mine')
        const numbers = client.values.slice(1).map(({ data }) => (data as { n: number }).n)
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
        )
        client.socket.terminate()
      }
      stop = true
      await storm
      holder.socket.terminate()
    })

    it('the upgrade answers the subprotocol of a browser even when no token is needed', async () => {
      const socket = new WebSocket(`${gateway.url}/live`, ['x', 'wsproxy.v1', 'bearer.eA'])
      await within(once(socket, 'open'), 'the open event')
      assert.equal(socket.protocol, 'wsproxy.v1')
      socket.terminate()
    })
  })

  describe('from Redis', () => {
    const cases: [string, string, unknown, Record<string, unknown>][] = [
      ['system_events', 'system', { type: 'x', n: 1 }, { type: 'system_event', data: { type: 'x', n: 1 } }],
      ['agent_events:a-1', 'agents', { s: 'up' }, { type: 'agent_event', agent_id: 'a-1', data: { s: 'up' } }],
      ['agent_events:', 'agents', { s: 2 }, { type: 'agent_event', agent_id: '', data: { s: 2 } }],
      ['project_index:websocket_events', 'project_index', { event: [1] }, { type: 'project_index_event', data: [1] }],
      [
        'project_index:websocket_events',
        'project_index',
        { event: { a: null }, subscribers: [] },
        { type: 'project_index_event', data: { a: null } },
      ],
      ['live:news', 'news', { a: 1 }, { type: 'news_update', data: { a: 1 } }],
      ['live:system', 'system', { type: 'load', data: 3, more: [] }, { type: 'load', data: 3, more: [] }],
      ['live:news', 'news', { type: 'plain' }, { type: 'plain', data: null }],
      ['live:news', 'news', { type: 5 }, { type: 'news_update', data: { type: 5 } }],
      ['live:news', 'news', { type: 'pong', data: 1 }, { type: 'news_update', data: { type: 'pong', data: 1 } }],
      ['live:alerts', 'alerts', { type: 'critical_alert', data: { alerts: [1] } }, { type: 'critical_alert' }],
    ]
    for (const [channel, topic, sent, expected] of cases) {
      it(`${JSON.stringify(sent)} on ${channel} becomes ${expected.type} for ${topic}`, async () => {
        const [one, two, other] = [
          await live(gateway, `/live?subscriptions=${topic}`),
          await live(gateway, `/live?subscriptions=${topic},build.x`),
          await live(gateway, '/live?subscriptions=build.x'),
        ]
        await tell(gateway, channel, sent)
        const frames = await Promise.all([one.take(2), two.take(2)])
        assert.equal(frames[0][1], frames[1][1])
        const got = one.values[1]!
        for (const [key, value] of Object.entries(expected)) assert.deepEqual(got[key], value, key)
        assert.equal(got.subscription, topic)
        assert.deepEqual(other.values.slice(1), [])
        for (const client of [one, two, other]) client.socket.terminate()
      })
    }

    it('a frame keeps every digit of a number, and the correlation id and timestamp of the agent', async () => {
      const client = await live(gateway, '/live?subscriptions=news,system')
      await tell(gateway, 'system_events', '{"big": 12345678901234567890, "e": 1e400}')
      const sent = { type: 'x_update', correlation_id: 'mine', timestamp: '2026-01-01T00:00:00Z' }
      await tell(gateway, 'live:news', sent)
      await tell(gateway, 'live:news', { ...sent, correlation_id: 7, timestamp: 'yesterday', subscription: 'tasks' })
      const [, big] = await client.take(4)
      assert.match(String(big), /"data":\{"big": 12345678901234567890, "e": 1e400\},/)
      const [, , kept, given] = client.values
      assert.deepEqual([kept?.correlation_id, kept?.timestamp], ['mine', '2026-01-01T00:00:00Z'])
      assert.match(String(given?.correlation_id), /^[0-9a-f-]{36}$/)
      assert.equal(given?.subscription, 'news')
    })

    it('a payload that is not a JSON object is counted, not sent, and logged once a topic, without the payload', async () => {
      const client = await live(gateway, '/live?subscriptions=news,project_index,agents,alerts')
      const before = await gateway.metric('wsproxy_live_messages_unusable_total')
      const deep = `{"type":"deep","data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
      const bad = ['secret', '[1]', '"secret"', '7', 'null', '', '{"secret":', deep]
      for (const payload of bad) await tell(gateway, 'live:news', payload)
      await tell(gateway, 'project_index:websocket_events', { secret: 1 })
      await tell(gateway, 'project_index:websocket_events', { event: 1, subscribers: 'all' })
      await tell(gateway, 'live:news', { type: 'critical_alert', data: { alerts: [] } })
      await tell(gateway, 'live:alerts', { type: 'critical_alert', data: {} })
      await tell(gateway, 'live:news', { last: true })
      await client.take(2)
      assert.deepEqual(client.values[1]?.data, { last: true })
      assert.equal(await gateway.metric('wsproxy_live_messages_unusable_total'), before + bad.length + 4)
      const lines = gateway.log.filter(({ event }) => event === 'unusable-message')
      assert.deepEqual(lines.map(({ topic }) => topic).sort(), ['alerts', 'news', 'project_index'])
      assert.ok(!JSON.stringify(gateway.log).includes('secret'))
    })

    it('a message with subscribers reaches these connections only', async () => {
      const clients = await Promise.all([0, 1, 2].map(() => live(gateway, '/live?subscriptions=project_index')))
      const [first, second, third] = clients.map(({ values }) => idOf(values[0]))
      await tell(gateway, 'project_index:websocket_events', { event: 'two', subscribers: [first, third, 'x-1', 5] })
      await tell(gateway, 'project_index:websocket_events', { event: 'none', subscribers: [connectionId(1e9)] })
      await tell(gateway, 'project_index:websocket_events', { event: 'all' })
      await Promise.all([clients[0]!.take(3), clients[1]!.take(2), clients[2]!.take(3)])
      const data = clients.map(({ values }) => values.slice(1).map((value) => value.data))
      assert.deepEqual(data, [['two', 'all'], ['all'], ['two', 'all']])
      assert.ok(second)
    })

    it('a socket that receives only addressed messages is not idle', async (t) => {
      const other = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, LIVE_IDLE_TIMEOUT: '1s' } })
      const client = await live(other, '/live?subscriptions=project_index')
      const subscribers = [idOf(client.values[0])]
      const telling = setInterval(
        () => void tell(other, 'project_index:websocket_events', { event: 1, subscribers }),
        200,
      )
      await client.take(10)
      clearInterval(telling)
      assert.equal(client.code, undefined)
    })

    it('unusual messages of agents leave in the shape of the contract', async () => {
      const client = await live(gateway, '/live?subscriptions=news,agents,project_index')
      await tell(gateway, 'live:news', { type: 'status', agent_id: 42 })
      await tell(gateway, 'live:news', { type: 'odd', agent_id: {}, timestamp: { toString: 1, valueOf: 2 } })
      await tell(gateway, 'live:news', { type: 'list', timestamp: ['2026-01-01T00:00:00Z'] })
      await tell(gateway, 'agent_events:é', { a: 1 })
      await tell(gateway, 'project_index:websocket_events', { event: 'x', subscribers: null })
      await tell(gateway, 'project_index:websocket_events', { event: 'y', subscribers: [{ toString: 1, valueOf: 1 }] })
      assert.equal((await client.find({ type: 'status' })).agent_id, '42')
      const odd = await client.find({ type: 'odd' })
      assert.equal(odd.agent_id, undefined)
      for (const { timestamp } of [odd, await client.find({ type: 'list' })]) assert.equal(typeof timestamp, 'string')
      assert.equal((await client.find({ type: 'agent_event' })).agent_id, 'é')
      assert.equal((await client.find({ type: 'project_index_event' })).data, 'x')
      assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
    })

    it('the gateway listens to the channel of a topic only while a socket holds it', async () => {
      await untilHeard(gateway, 'live:build.only', 0)
      const client = await live(gateway, '/live?subscriptions=build.only')
      await untilHeard(gateway, 'live:build.only', 1)
      const second = await live(gateway, '/live?subscriptions=build.only')
      await untilHeard(gateway, 'live:build.only', 1)
      await client.close()
      second.send({ type: 'unsubscribe', topic: 'build.only' })
      await untilHeard(gateway, 'live:build.only', 0)
    })
  })

  describe('to its clients', () => {
    it('subscribe is answered with the full set, at most one error for the cap and one for unknown names', async () => {
      const client = await live(gateway, '/live?subscriptions=news')
      const asked = [
        'build.9',
        ...Array.from({ length: 12 }, (_, i) => `build.${i}`),
        'b b',
        'b b',
        'Älg',
        'constructor',
        'news',
      ]
      client.send({ type: 'subscribe', subscriptions: asked, correlation_id: 'c-1' })
      await client.find({ type: 'subscription_updated' })
      const [over, unknown, updated, ...rest] = client.values.slice(1)
      assert.equal(over?.code, 'too-many-subscriptions')
      assert.equal(over?.message, 'Too many subscriptions')
      assert.equal(unknown?.message, 'Invalid subscription(s): b b, constructor, Älg')
      const first = ['build.9', ...Array.from({ length: 8 }, (_, i) => `build.${i}`)]
      assert.deepEqual(updated?.subscriptions, [...first, 'news'].sort())
      assert.deepEqual(
        [over, unknown, updated].map((frame) => frame?.correlation_id),
        ['c-1', 'c-1', 'c-1'],
      )
      assert.deepEqual(rest, [])
    })

    it('unsubscribe answers an unknown name with an error, and a name that is not held without one', async () => {
      const client = await live(gateway, '/live?subscriptions=news,build.1')
      const answers = await answersTo(client, { type: 'unsubscribe', subscriptions: ['build.1', 'tasks', 'nope'] })
      assert.equal(answers[0]?.message, 'Invalid subscription(s): nope')
      assert.deepEqual(answers[1]?.subscriptions, ['news'])
      await tell(gateway, 'live:build.1', { gone: true })
      await tell(gateway, 'live:news', { there: true })
      assert.deepEqual((await client.find({ subscription: 'news' })).data, { there: true })
      assert.ok(!client.values.some(({ subscription }) => subscription === 'build.1'))
    })

    it('requests with one topic are answered with their id', async () => {
      const client = await live(gateway, '/live?subscriptions=news')
      client.send({ type: 'subscribe', topic: 'build.t', id: 7 })
      await client.find({ type: 'subscribed', topic: 'build.t', id: 7 })
      await tell(gateway, 'live:build.t', { n: 1 })
      await client.find({ type: 'build.t_update' })
      const answers = await answersTo(
        client,
        { type: 'subscribe', topic: 'nope', id: 'a' },
        { type: 'unsubscribe', topic: 'build.t' },
        { type: 'unsubscribe', topic: 'tasks', id: 0 },
        { type: 'unsubscribe', topic: 'no pe', id: 'b' },
      )
      assert.deepEqual(
        answers.map(({ type, code, topic, id }) => [type, code ?? topic, id]),
        [
          ['error', 'unknown-topic', 'a'],
          ['unsubscribed', 'build.t', undefined],
          ['unsubscribed', 'tasks', 0],
          ['error', 'unknown-topic', 'b'],
        ],
      )
    })

    it('too-many-subscriptions answers a topic beyond the cap, and not a topic that is held', async () => {
      const ten = Array.from({ length: 10 }, (_, i) => `build.${i}`)
      const client = await live(gateway, `/live?subscriptions=${ten}`)
      client.send({ type: 'subscribe', topic: 'news', id: 1 })
      client.send({ type: 'subscribe', topic: 'build.3', id: 2 })
      await client.find({ type: 'subscribed', id: 2 })
      assert.equal((await client.find({ type: 'error', id: 1 })).code, 'too-many-subscriptions')
    })

    it('answers come in the order of the requests, even when Redis confirms some late', async () => {
      const client = await live(gateway, '/live?subscriptions=news')
      const names = Array.from({ length: 8 }, (_, i) => `build.order-${i}`)
      for (const topic of names) {
        client.send({ type: 'subscribe', topic, id: `+${topic}` })
        client.send({ type: 'unsubscribe', topic, id: `-${topic}` })
      }
      client.send({ type: 'subscribe', subscriptions: [] })
      await client.find({ type: 'subscription_updated' })
      const answers = client.values.slice(1)
      assert.deepEqual(
        answers.slice(0, -1).map(({ id }) => id),
        names.flatMap((topic) => [`+${topic}`, `-${topic}`]),
      )
      assert.deepEqual(answers.at(-1)?.subscriptions, ['news'])
    })

    it('a client misses nothing that is published after its subscribed frame', async () => {
      const client = await live(gateway, '/live?subscriptions=news')
      for (let i = 0; i < 30; i++) {
        client.send({ type: 'subscribe', topic: `build.m-${i}` })
        await client.find({ type: 'subscribed', topic: `build.m-${i}` })
        await tell(gateway, `live:build.m-${i}`, { i })
        await client.find({ subscription: `build.m-${i}` })
        client.send({ type: 'unsubscribe', topic: `build.m-${i}` })
      }
    })

    it('ping is answered with pong, and with client_time when it is a scalar', async () => {
      const client = await live(gateway)
      const times = [1.5, 'now', true, null, undefined, { deep: 1 }]
      for (const client_time of times) client.send({ type: 'ping', client_time, x: 1, correlation_id: 'p' })
      await client.take(1 + times.length)
      const pongs = client.values.slice(1)
      assert.deepEqual(
        pongs.map((pong) => pong.client_time),
        [1.5, 'now', true, null, undefined, undefined],
      )
      assert.deepEqual(new Set(pongs.map((pong) => `${pong.type} ${pong.correlation_id}`)), new Set(['pong p']))
    })

    it('request_data is answered from the state of the instance', async () => {
      const sessions = [await gateway.join('s1'), await gateway.join('s2')]
      const client = await live(gateway)
      client.send({ type: 'request_data', data_type: 'agent_status', correlation_id: 'd' })
      const { data, correlation_id } = await client.find({ type: 'data_response', data_type: 'agent_status' })
      assert.deepEqual(data, { agents: [{ agent_id: 'agent-1', sessions: 2 }], summary: { total: 1, active: 1 } })
      assert.equal(correlation_id, 'd')
      for (const each of sessions) each.socket.terminate()
      client.send({ type: 'request_data', data_type: 'coordination_metrics' })
      const metrics = (await client.find({ data_type: 'coordination_metrics' })).data as Record<string, unknown>
      assert.equal(metrics.success_rate, 1)
      assert.equal(metrics.trend, 'stable')
      client.send({ type: 'request_data', data_type: 'system_health', params: [] })
      const health = (await client.find({ data_type: 'system_health' })).data
      const { overall_status, components } = health as { overall_status: string; components: Record<string, string> }
      assert.equal(overall_status, 'healthy')
      // The light run of the preflight checks, and what is known without it.
      for (const part of ['gateway', 'redis', 'redis-pubsub', 'token-store'])
        assert.equal(components[part], 'healthy', part)
      client.send({ type: 'request_data', data_type: 'toString' })
      assert.equal((await client.find({ type: 'data_error' })).error, 'Unknown data type: toString')
    })
  })

  it('an idle socket is closed with a notice and 4408, and one that receives or sends is not', async (t) => {
    const other = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, LIVE_IDLE_TIMEOUT: '600ms' } })
    const [idle, getting, sending] = [
      await live(other, '/live?subscriptions=build.idle'),
      await live(other, '/live?subscriptions=news'),
      await live(other, '/live?subscriptions=build.idle'),
    ]
    const busy = setInterval(() => {
      void tell(gateway, 'live:news', {})
      sending.send({ type: 'ping' })
    }, 100)
    assert.equal((await within(idle.closed, 'the close')).code, 4408)
    const notice = idle.values.at(-1)
    assert.deepEqual([notice?.type, notice?.reason], ['disconnect_notice', 'idle_timeout'])
    assert.ok(Number(notice?.reconnect_after_ms) > 0)
    assert.deepEqual([getting.code, sending.code], [undefined, undefined])
    clearInterval(busy)
    await within(getting.closed, 'the other close')
    await eventually(async () => (await other.metric('wsproxy_live_idle_disconnects_total')) === 3, 'all to be counted')
  })
})
