import assert from 'node:assert/strict'
import { it } from 'node:test'
import { connect } from '../support/client.ts'
import { gatewayFor } from '../support/gateway.ts'
import { ticketFrames } from '../support/numbered.ts'
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
