import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { sessionAuth } from '../../src/contract/names.ts'
import { killCommands } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { epochOf, positionOf, say, takeMessages, ticketFrames } from '../support/numbered.ts'
import { redisFor } from '../support/redis.ts'
import { eventually, within } from '../support/wait.ts'
import { serveWorkers } from '../support/workers.ts'

const RETURNS = 12

describe('the sessions of workers', () => {
  after(killCommands)

  it('go on with a ticket and a cursor at whichever worker', async (t) => {
    const redis = await redisFor(t)
    const agent = await redis.client()
    const served = await serveWorkers(t, { REDIS_URL: redis.url, LOG_LEVEL: 'info' })
    await served.allListen()
    await agent.set(sessionAuth('s1'), 'used-once')
    const enter = (token: string, query = '') =>
      connect(`${served.ws}/agent/ws/s1${query}`, { token, protocols: ['wsproxy.v2'] })
    let client = await enter('used-once')
    const ticketOf = async () => {
      await eventually(() => ticketFrames(client).length > 0, 'a ticket')
      return ticketFrames(client).at(-1)!.ticket
    }
    let ticket = await ticketOf()
    for (let n = 1; n <= RETURNS; n++) {
      client.socket.terminate()
      await say(agent, 's1', `word ${n}`)
      // The kernel gives the connection to one of the workers.
      client = await enter(ticket, `?cursor=${await epochOf(agent, 's1')}.${n - 1}`)
      const { recovered, offset } = await within(positionOf(client), 'the position')
      assert.deepEqual([recovered, offset], [true, n - 1])
      assert.deepEqual(await within(takeMessages(client, 1), 'the message'), [`${n} word ${n}`])
      ticket = await ticketOf()
    }
    const takers = new Set(served.events('accepted').map(({ worker }) => worker))
    assert.equal(takers.size, 2)
  })
})
