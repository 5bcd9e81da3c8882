import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { revokedSet, sessionAuth } from '../../src/contract/names.ts'
import { killCommands, serveReady } from '../support/cli.ts'
import { connect, type TestClient } from '../support/client.ts'
import { positionOf, ticketFrames } from '../support/numbered.ts'
import { type Client, redisFor } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const REFUSED = { code: 4401, reason: 'token-rejected' }
/** More than the life of a ticket. */
const OFF_MS = 20_000

/** Starts the clock of a process so many ms from that of the machine. */
const withClock = (offsetMs: number): string => {
  const code = `const now=Date.now;Date.now=()=>now()+(${offsetMs})`
  return `--import data:text/javascript,${encodeURIComponent(code)}`
}

describe('instances whose clocks differ', () => {
  const suite = scopeOf(after)
  let agent: Client
  let fast: { http: string; ws: string }
  let slow: { http: string; ws: string }
  before(async () => {
    const redis = await redisFor(suite)
    agent = await redis.client()
    const start = (offsetMs: number) =>
      serveReady({
        REDIS_URL: redis.url,
        ADMIN_TOKEN,
        RESUME_TICKET_TTL: '6s',
        NODE_OPTIONS: withClock(offsetMs),
      })
    fast = await start(OFF_MS)
    slow = await start(-OFF_MS)
  })
  after(killCommands)

  const enter = async (at: { ws: string }, session: string, credential?: string): Promise<TestClient> => {
    const token = credential ?? `token-of-${session}`
    if (credential === undefined) await agent.set(sessionAuth(session), token)
    return connect(`${at.ws}/agent-1/ws/${session}`, { token, protocols: ['wsproxy.v2'] })
  }
  const ticketOf = async (client: TestClient): Promise<string> => {
    await eventually(() => ticketFrames(client).length > 0, 'a ticket')
    return ticketFrames(client).at(-1)!.ticket
  }
  /** A socket that comes before its instance knows of the disconnect is closed with 4403. */
  const isRefused = async (at: { ws: string }, session: string, ticket: string) =>
    (await (await enter(at, session, ticket)).closed).code === REFUSED.code
  const disconnect = async (at: { http: string }, session: string) => {
    const response = await fetch(`${at.http}/api/admin/disconnect`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ session }),
    })
    assert.equal(response.status, 200)
  }

  it('accept the tickets of each other, for as long as both say', async () => {
    for (const [from, to] of [
      [fast, slow],
      [slow, fast],
    ] as const) {
      const ticket = await ticketOf(await enter(from, 'mutual'))
      const client = await enter(to, 'mutual', ticket)
      assert.equal((await positionOf(client)).command, 'position')
      const { exp } = JSON.parse(Buffer.from(ticket.slice(5).split('.')[0]!, 'base64url').toString())
      assert.ok(Math.abs(exp - Date.now() - 6000) < 2000, 'the ticket has the time of Redis')
      await eventually(() => Date.now() > exp + 500, 'its end', 10_000)
      assert.deepEqual(await (await enter(to, 'mutual', ticket)).closed, REFUSED)
    }
  })

  it('revoke what was admitted before a disconnect, and nothing that came later', async () => {
    for (const [from, to] of [
      [fast, slow],
      [slow, fast],
    ] as const) {
      const session = from === fast ? 'ended-1' : 'ended-2'
      const client = await enter(from, session)
      const ticket = await ticketOf(client)
      await disconnect(to, session)
      // Not by the order, which the bus may refuse as too old.
      assert.equal((await client.closed).code, 4403)
      for (const at of [fast, slow]) await eventually(() => isRefused(at, session, ticket), 'the refusal')
      const later = await enter(from, session)
      const fresh = await ticketOf(later)
      await eventually(async () => (await agent.zCard(revokedSet())) > 0, 'the entry')
      const again = await enter(to, session, fresh)
      assert.equal((await positionOf(again)).command, 'position')
      await ticketOf(again)
      assert.deepEqual([later.code, again.code], [undefined, undefined])
    }
  })
})
