import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sessionCancel, sessionDown, sessionLog } from '../../../src/contract/names.ts'
import { connect } from '../../support/client.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { controls, epochOf, joinNumbered, positionOf, say, takeMessages, ticketFrames } from '../../support/numbered.ts'
import { embeddedRedisFor } from '../../support/redis.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'

it('a socket of wsproxy.v2 resumes, fills a hole and cancels on the embedded server', async (t) => {
  const redis = await embeddedRedisFor(t)
  const gateway = await gatewayFor(t, { redis, env: { ADMIN_TOKEN } })
  const agent = await redis.client()
  for (const n of [1, 2, 3]) assert.equal(await say(agent, 'small', `w${n}`), n)
  const epoch = await epochOf(agent, 'small')
  const client = await joinNumbered(gateway, 'small', `cursor=${epoch}.1`)
  const { recovered, offset } = await positionOf(client)
  assert.deepEqual([recovered, offset], [true, 1])
  assert.deepEqual(await takeMessages(client, 2), ['2 w2', '3 w3'])
  // The publication of the fourth is lost.
  await agent.sendCommand(['XADD', sessionLog('small'), '0-4', 'm', 'w4'])
  await agent.sendCommand(['XADD', sessionLog('small'), '0-5', 'm', 'w5'])
  await agent.publish(sessionDown('small'), `\x1e${epoch}.5\x1ew5`)
  assert.deepEqual(await takeMessages(client, 4), ['2 w2', '3 w3', '4 w4', '5 w5'])
  client.socket.send('1 {"type":"control","command":"cancel","run":"r7"}')
  const ack = await eventually(() => controls(client)[1], 'the ack')
  assert.deepEqual(ack, { type: 'control', command: 'ack', n: 1, receivers: 0 })
  assert.equal(await agent.get(sessionCancel('small')), 'r7')
  const { ticket } = ticketFrames(client)[0]!
  const enter = () => connect(gateway.sessionUrl('small'), { token: ticket, protocols: ['wsproxy.v2'] })
  assert.equal((await positionOf(await enter())).command, 'position')
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' }
  const order = { method: 'POST', headers, body: '{"session":"small"}' }
  assert.equal((await fetch(`${gateway.http}/api/admin/disconnect`, order)).status, 200)
  await eventually(async () => (await (await enter()).closed).code === 4401, 'the refusal of the ticket')
})
