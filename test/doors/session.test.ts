import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionDown, sessionUp } from '../../src/contract/topics.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { eventually } from '../support/wait.ts'

describe('the session door', () => {
  let gateway: TestGateway
  before(async () => {
    gateway = await startGateway()
  })
  after(() => gateway.stop())

  it('forwards each message of :down to every socket of the session, byte for byte and in order', async () => {
    const clients = await Promise.all([gateway.join('order'), gateway.join('other')])
    const second = await gateway.join('order')
    const sent = Array.from({ length: 500 }, (_, i) => `{ "n":${i},  "text":"é😀\\u0041" }`)
    for (const message of sent) void gateway.agent.publish(sessionDown('order'), message)
    for (const client of [clients[0], second]) assert.deepEqual(await client.take(500), sent)
    assert.deepEqual(clients[1].frames, [])
  })

  it('publishes text frames to :up unchanged and in order', async () => {
    const heard: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp('up'), (message) => heard.push(message))
    const client = await gateway.join('up')
    const sent = Array.from({ length: 150 }, (_, i) => `{"n" : ${i}}`)
    for (const frame of sent) client.send(frame)
    await eventually(() => heard.length === sent.length, 'all frames on :up')
    assert.deepEqual(heard, sent)
  })
})
