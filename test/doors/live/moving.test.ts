import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { liveChannel } from '../../../src/contract/names.ts'
import { connect } from '../../support/client.ts'
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
