import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { CONTRACT_VERSION } from '../../../src/contract/live/schema.ts'
import { liveChannel } from '../../../src/contract/names.ts'
import { connect, refused } from '../../support/client.ts'
import { assertProblem } from '../../support/config.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { scopeOf } from '../../support/scope.ts'

const ADMIN = 'correct-horse-battery'

describe('the live door for clients of older systems', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ADMIN_TOKEN: ADMIN } })
  })

  for (const [topic, type] of [
    ['agents', 'agent_update'],
    ['tasks', 'task_update'],
    ['alerts', 'alerts_update'],
  ] as const) {
    it(`sends what an agent publishes to ${topic} as ${type}`, async () => {
      const client = await connect(`${gateway.url}/live?subscriptions=${topic}`)
      await client.find({ type: 'connection_established' })
      await gateway.agent.publish(liveChannel(topic), '{"a":1}')
      assert.deepEqual((await client.find({ type })).data, { a: 1 })
      await client.close()
    })
  }

  it('trims the names in ?subscriptions=', async () => {
    const client = await connect(`${gateway.url}/live?subscriptions=%20alerts%20,%20,%20system`)
    const { subscriptions } = await client.find({ type: 'connection_established' })
    assert.deepEqual(subscriptions, ['alerts', 'system'])
    assert.equal(client.frames.length, 1)
    await client.close()
  })

  it('broadcasts {} when the body is empty', async () => {
    const client = await connect(`${gateway.url}/live?subscriptions=agents`)
    await client.find({ type: 'connection_established' })
    const path = '/api/dashboard/websocket/broadcast?subscription=agents'
    const headers = { Authorization: `Bearer ${ADMIN}` }
    const response = await fetch(gateway.http + path, { method: 'POST', headers })
    assert.equal(response.status, 200)
    assert.deepEqual((await client.find({ type: 'agent_update' })).data, {})
    await client.close()
  })

  it('answers subscribe and unsubscribe without a list with all topics of the socket', async () => {
    const client = await connect(`${gateway.url}/live?subscriptions=alerts`)
    for (const type of ['subscribe', 'unsubscribe']) {
      client.send({ type, correlation_id: type })
      const { subscriptions } = await client.find({ type: 'subscription_updated', correlation_id: type })
      assert.deepEqual(subscriptions, ['alerts'])
    }
    client.send({ type: 'subscribe', subscriptions: 'agents', topic: 'agents' })
    assert.equal((await client.find({ type: 'error' })).code, 'protocol-violation')
    assert.equal(client.frames.length, 4)
    await client.close()
  })

  it('repeats ?connection_id= as a label, and keeps its own connection id', async () => {
    const given = `dash"board-${'x'.repeat(200)}`
    const query = `initialized=1&connection_id=${encodeURIComponent(given)}`
    const client = await connect(`${gateway.url}/api/dashboard/ws/agents?${query}`)
    const { connection_info } = await client.find({ type: 'dashboard_initialized' })
    const { connection_id, label } = connection_info as Record<string, string>
    assert.equal(label, given.slice(0, 128))
    assert.equal(connection_id, client.values[0]!.connection_id)
    const plain = await connect(`${gateway.url}/live?initialized=1`)
    const info = (await plain.find({ type: 'dashboard_initialized' })).connection_info as object
    assert.deepEqual(Object.keys(info), ['connection_id', 'server_time', 'client_type'])
    for (const each of [client, plain]) await each.close()
  })

  it('answers the metrics as JSON when asked for application/json', async () => {
    const client = await connect(`${gateway.url}/live?subscriptions=tasks,alerts`)
    await client.find({ type: 'connection_established' })
    const path = `${gateway.http}/api/dashboard/metrics/websockets`
    const response = await fetch(path, { headers: { Accept: 'application/json' } })
    assert.equal(response.headers.get('content-type'), 'application/json')
    const { timestamp, subscriptions, ...counts } = (await response.json()) as Record<string, unknown>
    assert.match(String(timestamp), /Z$/)
    assert.deepEqual(subscriptions, { alerts: 1, tasks: 1 })
    assert.ok(Number(counts.messages_sent_total) > 0)
    const text = await (await fetch(path, { headers: { Accept: '*/*' } })).text()
    const names = text.match(/(?<=^# TYPE wsproxy_live_)\w+/gm)!
    assert.deepEqual(Object.keys(counts).sort(), names.filter((name) => name !== 'subscriptions').sort())
    await client.close()
  })

  it('/health has the version of the contract', async () => {
    const health = (await (await fetch(`${gateway.http}/health`)).json()) as Record<string, unknown>
    assert.equal(health.ws_contract_version, CONTRACT_VERSION)
  })

  it('LIVE_UNKNOWN_TYPE=protocol-violation names an unknown type as other servers do', async (t) => {
    const other = await gatewayFor(t, { env: { LIVE_UNKNOWN_TYPE: 'protocol-violation' } })
    for (const [{ url }, code] of [
      [gateway, 'unknown-type'],
      [other, 'protocol-violation'],
    ] as const) {
      const client = await connect(`${url}/live`)
      client.send({ type: 'nope', id: 7 })
      const { message, id } = await client.find({ type: 'error', code })
      assert.deepEqual([message, id], ['Unknown message type: nope', 7])
      await client.close()
    }
    assertProblem({ LIVE_UNKNOWN_TYPE: 'x' }, /^LIVE_UNKNOWN_TYPE: must be one of unknown-type, protocol-violation/)
  })

  it('sends and subscribes nothing unasked with LIVE_START=none', async (t) => {
    const silent = await gatewayFor(t, { env: { LIVE_START: 'none' } })
    const client = await connect(`${silent.url}/live`)
    await silent.agent.publish(liveChannel('agents'), '{"a":1}')
    client.send({ type: 'subscribe', subscriptions: ['alerts'] })
    const { subscriptions } = await client.find({ type: 'subscription_updated' })
    assert.deepEqual(subscriptions, ['alerts'])
    await silent.agent.publish(liveChannel('alerts'), '{"b":2}')
    assert.deepEqual((await client.find({ type: 'alerts_update' })).data, { b: 2 })
    assert.equal(client.frames.length, 2)
    await client.close()
  })
})

describe('LIVE_PATH', () => {
  const suite = scopeOf(after)

  it('LIVE_PATH=/ is the live door, beside the page at / and the runs, and /live is none', async () => {
    const { url, http, agent } = await gatewayFor(suite, { env: { LIVE_PATH: '/', LIVE_START: 'none' } })
    for (const path of ['', '/', '/?subscriptions=alerts']) {
      const client = await connect(url + path)
      client.send({ type: 'subscribe', topic: 'tasks', id: 1 })
      await client.find({ type: 'subscribed', id: 1 })
      await agent.publish(liveChannel('tasks'), '{"a":1}')
      await client.find({ type: 'task_update' })
      await client.close()
    }
    const run = await connect(`${url}/some-run`)
    await run.find({ type: 'preflight' })
    await run.close()
    assert.equal((await refused(`${url}/live`)).code, 'not-found')
    assert.match(await (await fetch(`${http}/`)).text(), /\/\?subscriptions=system/)
    const older = await connect(`${url}/api/dashboard/ws/agents?subscriptions=alerts`)
    await older.close()
    const stats = (await (await fetch(`${http}/api/dashboard/websocket/stats`)).json()) as { endpoints: string[] }
    assert.equal(stats.endpoints[0], '/')
  })

  it('without the page a plain GET of LIVE_PATH=/ asks for an upgrade', async (t) => {
    const { http } = await gatewayFor(t, { env: { LIVE_PATH: '/', LANDING_PAGE: 'false' } })
    assert.equal((await fetch(`${http}/`)).status, 426)
  })

  it('LIVE_PATH is / or one segment that is not another path of the gateway', async (t) => {
    const { url } = await gatewayFor(t, { env: { LIVE_PATH: '/stream' } })
    const client = await connect(`${url}/stream/`)
    await client.find({ type: 'connection_established' })
    await client.close()
    for (const path of ['live', '/live/', '/a/b', '/health', '/:x', '/*'])
      assertProblem({ LIVE_PATH: path }, /^LIVE_PATH: .* must be \/ or one segment/)
  })
})
