import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { revokedSet } from '../../src/contract/names.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { joinNumbered, positionOf, ticketFrames } from '../support/numbered.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const REFUSED = { code: 4401, reason: 'token-rejected' }
const DAY_MS = 86_400_000

async function ticketOf(client: TestClient): Promise<string> {
  await eventually(() => ticketFrames(client).length > 0, 'a ticket')
  return ticketFrames(client).at(-1)!.ticket
}

describe('a disconnect revokes the resume tickets of its session', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let here: TestGateway
  let there: TestGateway
  const start = () => gatewayFor(suite, { redis, env: { ADMIN_TOKEN } })
  before(async () => {
    redis = await redisFor(suite)
    here = await start()
    there = await start()
  })
  const disconnect = async (order: object, gateway = here) => {
    const response = await fetch(`${gateway.http}/api/admin/disconnect`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(order),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const enter = (gateway: TestGateway, session: string, token: string) =>
    connect(gateway.sessionUrl(session), { token, protocols: ['wsproxy.v2'] })
  /** Whether the ticket still admits. Each socket that it opens is closed by the revocation. */
  const isRefused = async (gateway: TestGateway, session: string, ticket: string) => {
    const client = await enter(gateway, session, ticket)
    await eventually(() => client.frames.length > 0 || client.code !== undefined, 'an answer')
    client.socket.terminate()
    return client.code === REFUSED.code
  }

  it('on every instance within a second, and on one that starts later', async () => {
    const ticket = await ticketOf(await joinNumbered(there, 'gone'))
    const other = await ticketOf(await joinNumbered(there, 'other'))
    assert.equal((await disconnect({ session: 'gone' })).status, 200)
    const since = performance.now()
    for (const gateway of [here, there])
      await eventually(() => isRefused(gateway, 'gone', ticket), 'the refusal of the ticket')
    assert.ok(performance.now() - since < 1500)
    const later = await start()
    assert.deepEqual(await (await enter(later, 'gone', ticket)).closed, REFUSED)
    assert.equal((await positionOf(await enter(later, 'other', other))).command, 'position')
  })

  it('also when the set has members that are no revocations', async () => {
    const ticket = await ticketOf(await joinNumbered(here, 'foreign'))
    const members = ['oldest', '12 34'].map((value) => ({ score: 1, value }))
    await here.agent.zAdd(revokedSet(), [...members, { score: Date.now() + DAY_MS, value: 'newest' }])
    assert.equal((await disconnect({ session: 'foreign' })).status, 200)
    for (const gateway of [here, there])
      await eventually(() => isRefused(gateway, 'foreign', ticket), 'the refusal of the ticket')
  })

  it('and closes a socket that came back before its instance knew', async () => {
    const ticket = await ticketOf(await joinNumbered(here, 'quick'))
    const client = await enter(there, 'quick', ticket)
    await positionOf(client)
    // As another instance writes it, without an order.
    const now = Date.now()
    const member = `${now} ${now + DAY_MS} session:quick:${now}`
    await here.agent.zAdd(revokedSet(), { score: now, value: member })
    assert.equal((await client.closed).code, 4403)
  })

  it('but not those of a later admission by token', async () => {
    await joinNumbered(here, 'again')
    await disconnect({ session: 'again' })
    const client = await joinNumbered(here, 'again')
    const ticket = await ticketOf(client)
    await eventually(async () => (await here.agent.zCard(revokedSet())) > 0, 'the revocation')
    assert.equal((await positionOf(await enter(there, 'again', ticket))).command, 'position')
  })

  it('unless it says reconnect', async () => {
    const ticket = await ticketOf(await joinNumbered(here, 'kept'))
    const before = await here.agent.zCard(revokedSet())
    assert.equal((await disconnect({ session: 'kept', reconnect: true })).status, 200)
    assert.equal(await here.agent.zCard(revokedSet()), before)
    assert.equal((await positionOf(await enter(here, 'kept', ticket))).command, 'position')
    assert.equal((await disconnect({ session: 'kept', reconnect: 'yes' })).status, 400)
  })

  it('and a `sid` revokes one admission alone', async () => {
    const [one, two] = [
      await ticketOf(await joinNumbered(here, 'sid')),
      await ticketOf(await joinNumbered(here, 'sid')),
    ]
    const { sid } = JSON.parse(Buffer.from(one.slice('wst1_'.length, one.indexOf('.')), 'base64url').toString())
    const version = Date.now()
    await here.agent.zAdd(revokedSet(), { score: version, value: `${version} ${version + DAY_MS} sid:${sid}` })
    await eventually(() => isRefused(there, 'sid', one), 'the refusal of the ticket')
    assert.equal(await isRefused(there, 'sid', two), false)
  })

  it('says loudly that the set is full, and closes the sockets all the same', async () => {
    const client = await joinNumbered(here, 'full')
    const until = Date.now() + DAY_MS
    const many = Array.from({ length: 100_000 }, (_, i) => ({ score: i + 1, value: `${i + 1} ${until} sid:${i}` }))
    await here.agent.zAdd(revokedSet(), many)
    const { status, body } = await disconnect({ session: 'full' })
    assert.equal(status, 503)
    assert.match(JSON.stringify(body), /100000 revocations/)
    assert.equal((await client.closed).code, 4403)
    assert.equal(here.log.filter(({ event }) => event === 'not-revoked').length, 1)
    // Expired ones make room.
    await here.agent.del(revokedSet())
    const old = many.slice(0, 10).map(({ score }) => ({ score, value: `${score} 1 sid:${score}` }))
    await here.agent.zAdd(revokedSet(), old)
    assert.equal((await disconnect({ session: 'full' })).status, 200)
    assert.equal(await here.agent.zCard(revokedSet()), 1)
  })
})
