import assert from 'node:assert/strict'
import { it } from 'node:test'
import { connect } from '../support/client.ts'
import { gatewayFor } from '../support/gateway.ts'
import { joinNumbered, positionOf, ticketFrames } from '../support/numbered.ts'
import { PATIENT, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'

const DAY_MS = 86_400_000

it('the secret of the day is made behind the prefix, older ones go, and the hash expires', async (t) => {
  const gateway = await gatewayFor(t, { env: { REDIS_KEY_PREFIX: 'mine:' } })
  const today = Math.floor(Date.now() / DAY_MS)
  const key = 'mine:wsproxy:ticket-secret'
  await gateway.agent.hSet(key, { [today - 1]: 'y'.repeat(43), [today - 2]: 'o'.repeat(43) })
  await gateway.agent.set('mine:session:day:auth', 'a-token')
  const client = await connect(gateway.sessionUrl('day'), { token: 'a-token', protocols: ['wsproxy.v2'] })
  await eventually(() => ticketFrames(client).length > 0, 'a ticket')
  const days = Object.keys(await gateway.agent.hGetAll(key)).map(Number)
  assert.deepEqual(
    days.sort((a, b) => a - b),
    [today - 1, today],
  )
  assert.ok((await gateway.agent.ttl(key)) > DAY_MS / 1000)
  assert.equal(await gateway.agent.exists('wsproxy:ticket-secret'), 0)
})

it('a full Redis does not keep tickets from being checked', { skip: withoutRealRedis, ...PATIENT }, async (t) => {
  const redis = await realRedisFor(t)
  const [one, two] = [await gatewayFor(t, { redis }), await gatewayFor(t, { redis })]
  const first = await joinNumbered(one, 'full')
  await eventually(() => ticketFrames(first).length > 0, 'a ticket')
  // The second gateway has not read the secrets yet.
  await one.agent.configSet('maxmemory', '1')
  const token = ticketFrames(first)[0]!.ticket
  const client = await connect(two.sessionUrl('full'), { token, protocols: ['wsproxy.v2'] })
  assert.equal((await positionOf(client)).command, 'position')
  await eventually(() => ticketFrames(client).length > 0, 'the next ticket')
  await one.agent.configSet('maxmemory', '0')
})
