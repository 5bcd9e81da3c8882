import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { liveChannel } from '../../src/contract/names.ts'
import { instance } from '../../src/telemetry/log.ts'
import { connect } from '../support/client.ts'
import { assertProblem } from '../support/config.ts'
import { gatewayFor, sample } from '../support/gateway.ts'
import { answersTo } from '../support/live.ts'
import { parseQuery } from '../support/promql.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const TOKEN = 'a-token-of-24-characters'
const ADMIN = { Authorization: `Bearer ${TOKEN}` }

/** The names in the TYPE lines of a page, with their types. */
const typesIn = (page: string, prefix: string): Record<string, string> =>
  Object.fromEntries(
    [...page.matchAll(/^# TYPE (\S+) (\w+)$/gm)]
      .filter(([, name]) => name!.startsWith(prefix))
      .map(([, name, type]) => [name, type]),
  )

describe('METRICS_ALIASES', () => {
  const suite = scopeOf(after)
  const NAMES = ['connections_active', 'messages_sent_total', 'redis_reconnects_total', 'write_errors_total']
  const pageOf = async (http: string) => (await fetch(`${http}/metrics`)).text()

  it('adds the series of the run gateways with the values of the run door', async () => {
    const { http, url, metric, join, agent } = await gatewayFor(suite, {
      env: { METRICS_ALIASES: 'preflight2,preflight' },
    })
    const page = await pageOf(http)
    for (const program of ['preflight2', 'preflight'])
      for (const name of NAMES) assert.match(page, new RegExp(`^${program}_${name} 0$`, 'm'))
    const clients = [await connect(`${url}/run-1`), await connect(`${url}/run-2`)]
    await join('not-a-run')
    for (const client of clients) await client.find({ type: 'preflight' })
    await eventually(async () => (await metric('preflight2_connections_active')) === 2, 'two sockets')
    assert.equal(
      await metric('preflight_messages_sent_total'),
      await metric('wsproxy_messages_sent_total', { door: 'run' }),
    )
    for (const client of clients) await client.close()
    await eventually(async () => (await metric('preflight2_connections_active')) === 0, 'no socket')
    await agent.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    await eventually(async () => (await metric('preflight2_redis_reconnects_total')) > 0, 'the new connection')
  })

  it('adds the series of the older dashboard to both pages', async (t) => {
    const { http, url, metric } = await gatewayFor(t, { env: { METRICS_ALIASES: 'leanvibe', ADMIN_TOKEN: TOKEN } })
    const client = await connect(`${url}/live?subscriptions=agents,tasks`)
    await answersTo(client, { type: 'nope' })
    const path = `${http}/api/dashboard/websocket/broadcast?subscription=agents&message_type=agent_update`
    const sentBefore = await metric('leanvibe_ws_messages_sent_total')
    await fetch(path, { method: 'POST', headers: ADMIN, body: '{"active_count":1}' })
    await client.find({ type: 'agent_update' })
    for (const at of [`${http}/metrics`, `${http}/api/dashboard/metrics/websockets`]) {
      const page = await (await fetch(at)).text()
      const types = typesIn(page, 'leanvibe_')
      assert.deepEqual(
        [types.leanvibe_websocket_connections_total, types.leanvibe_websocket_connections_active],
        ['gauge', 'gauge'],
      )
      assert.equal(sample(page, 'leanvibe_websocket_connections_total'), 1)
      assert.equal(sample(page, 'leanvibe_websocket_connections_active'), 1)
      assert.equal(sample(page, 'leanvibe_websocket_subscriptions', { subscription: 'tasks' }), 1)
      assert.equal(sample(page, 'leanvibe_ws_messages_sent_total'), sentBefore + 1)
      assert.equal(sample(page, 'leanvibe_ws_errors_sent_total'), 1)
      assert.equal(sample(page, 'leanvibe_ws_last_broadcast_fanout'), 1)
      for (const name of Object.keys(typesIn(page, 'wsproxy_live_')).filter(
        (each) => !/plain|compressed|unusable|retained|outbox/.test(each),
      ))
        if (!name.endsWith('subscriptions')) assert.ok(types[name.replace('wsproxy_live_', 'leanvibe_ws_')], name)
    }
    await client.close()
  })

  it('adds the series of the older preflight system, and its two example queries find them', async (t) => {
    const env = { METRICS_ALIASES: 'tumulte', ADMIN_TOKEN: TOKEN, MAX_CONNECTIONS: '100' }
    const { http, agent } = await gatewayFor(t, { env })
    await agent.hSet('events:config', 'poll_launch', 'false')
    for (const eventType of ['poll_launch', 'dice_roll', 'dice_roll']) {
      const init = { method: 'POST', headers: ADMIN, body: JSON.stringify({ eventType }) }
      await fetch(`${http}/api/preflight/run`, init)
    }
    const page = await pageOf(http)
    const runs = (labels: Record<string, string>) => sample(page, 'tumulte_preflight_runs_total', labels)
    assert.equal(runs({ mode: 'full', event_type: 'dice_roll', success: 'true' }), 2)
    assert.equal(runs({ mode: 'full', event_type: 'poll_launch', success: 'false' }), 1)
    assert.equal(sample(page, 'tumulte_preflight_failures_total', { check_name: 'event-enabled' }), 1)
    assert.equal(typesIn(page, 'tumulte_').tumulte_preflight_check_duration_seconds, 'histogram')
    const buckets = { check_name: 'event-enabled', le: '+Inf' }
    assert.equal(sample(page, 'tumulte_preflight_check_duration_seconds_bucket', buckets), 3)
    assert.equal(sample(page, 'tumulte_preflight_check_duration_seconds_count', { check_name: 'event-enabled' }), 3)
    for (const expression of [
      'rate(tumulte_preflight_runs_total{success="true"}[5m]) / rate(tumulte_preflight_runs_total[5m])',
      'topk(5, sum by (check_name) (rate(tumulte_preflight_failures_total[1h])))',
    ]) {
      const { metrics, groupedBy } = parseQuery(expression)
      for (const { metric, matchers } of metrics) {
        const lines = page.split('\n').filter((line) => line.startsWith(`${metric}{`))
        assert.ok(lines.length > 0, metric)
        for (const { label, value } of matchers)
          assert.ok(
            lines.some((line) => line.includes(`${label}="${value}"`)),
            expression,
          )
        for (const label of groupedBy)
          assert.ok(
            lines.every((line) => line.includes(`${label}="`)),
            expression,
          )
      }
    }
  })

  it('adds the series of a processor service by type, for types of the contract only', async (t) => {
    const { http, url, agent } = await gatewayFor(t, { env: { METRICS_ALIASES: 'processor' } })
    const start = await pageOf(http)
    const inbound = (page: string, type: string) =>
      sample(page, 'processor_live_messages_inbound_total', { instance_id: instance, type })
    const outbound = (page: string, type: string) =>
      sample(page, 'processor_live_messages_outbound_total', { instance_id: instance, type })
    assert.match(start, new RegExp(`^processor_live_connections{instance_id="${instance}"} 0$`, 'm'))
    assert.match(start, /^processor_live_messages_outbound_total{.*type="agent_update"} 0$/m)
    const clients = [
      await connect(`${url}/live?subscriptions=agents`),
      await connect(`${url}/live?subscriptions=agents`),
    ]
    await answersTo(clients[0]!, { type: 'made-up"type' }, { type: 'subscribe', topic: 'tasks', id: 1 }, '{')
    await agent.publish(liveChannel('agents'), '{"a":1}')
    await agent.publish(liveChannel('agents'), '{ "type" : "task_update", "data": {} }')
    await agent.publish(liveChannel('agents'), '{"type":"of-an-agent"}')
    for (const client of clients) await client.find({ type: 'of-an-agent' })
    const page = await pageOf(http)
    assert.equal(sample(page, 'processor_live_connections', { instance_id: instance }), 2)
    assert.deepEqual(
      ['ping', 'subscribe', 'other'].map((type) => inbound(page, type)),
      [1, 1, 2],
    )
    assert.deepEqual(
      ['connection_established', 'error', 'subscribed', 'pong', 'agent_update', 'task_update', 'other'].map((type) =>
        outbound(page, type),
      ),
      [2, 2, 1, 1, 2, 2, 2],
    )
    assert.ok(!page.includes('made-up') && !page.includes('of-an-agent'))
    for (const client of clients) await client.close()
  })

  it('adds nothing by default, and refuses a program that it does not know', async (t) => {
    const { http } = await gatewayFor(t)
    assert.doesNotMatch(await pageOf(http), /^(preflight|leanvibe|tumulte|processor)/m)
    assertProblem({ METRICS_ALIASES: 'preflight3' }, /^METRICS_ALIASES: "preflight3" is not one of preflight2, /)
  })
})
