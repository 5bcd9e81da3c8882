import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { revokedSet } from '../../src/contract/names.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { joinNumbered, positionOf, ticketFrames } from '../support/numbered.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const REVOKED = { code: 4401, reason: 'revoked' }
const REJECTED = { code: 4401, reason: 'token-rejected' }
const DAY_MS = 86_400_000
const env = {
  AUTH_JWT_SECRET: SECRET,
  AUTH_JWT_SKEW: '0',
  RUN_AUTH: 'bearer',
  WS_AUTH_REQUIRED: 'true',
  RESUME_TICKET_TTL: '4s',
}
const seconds = () => Math.floor(Date.now() / 1000)
const sign = (claims: object): string => tokenOf(secretSigner(SECRET), { iat: seconds(), ...claims })

/** Revokes as another instance does it, which sends no order. */
async function revoke({ agent }: TestGateway, entry: string): Promise<void> {
  const [newest] = await agent.zRangeWithScores(revokedSet(), -1, -1)
  const version = Math.max(Date.now(), (newest?.score ?? 0) + 1)
  await agent.zAdd(revokedSet(), { score: version, value: `${version} ${version + DAY_MS} ${entry}` })
}

const numbered = (gateway: TestGateway, session: string, token: string): Promise<TestClient> =>
  connect(gateway.sessionUrl(session), { token, protocols: ['wsproxy.v2'] })

async function ticketOf(client: TestClient): Promise<string> {
  await eventually(() => ticketFrames(client).length > 0, 'a ticket')
  return ticketFrames(client).at(-1)!.ticket
}

describe('a revocation', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let here: TestGateway
  let there: TestGateway
  before(async () => {
    redis = await redisFor(suite)
    here = await gatewayFor(suite, { redis, env })
    there = await gatewayFor(suite, { redis, env: { ...env, RESUME_TICKET_TTL: '0' } })
  })

  it('of a `jti` closes its sockets at every door and instance within a second, and refuses the JWT there', async () => {
    const claims = { session_id: 'j1', run_id: 'run-1', topics: 'agents' }
    const [bad, good] = ['bad', 'good'].map((jti) => sign({ ...claims, jti })) as [string, string]
    const doors = (gateway: TestGateway) => [gateway.sessionUrl('j1'), `${gateway.url}/run-1`, `${gateway.url}/live`]
    const urls = [here, there].flatMap(doors)
    const enter = (token: string) => Promise.all(urls.map((url) => connect(url, { token })))
    const [closed, kept] = [await enter(bad), await enter(good)]
    const since = performance.now()
    await revoke(here, 'jti:bad')
    for (const client of closed) assert.deepEqual(await client.closed, REVOKED)
    assert.ok(performance.now() - since < 1500)
    for (const url of urls) {
      if (url.endsWith('/live')) assert.equal((await (await connect(url, { token: bad })).closed).code, 4401)
      else assert.equal((await refused(url, { token: bad })).code, 'token-rejected')
    }
    assert.deepEqual(
      kept.map(({ code }) => code),
      kept.map(() => undefined),
    )
    for (const client of kept) await client.close()
    const why = here.log.map((line) => JSON.stringify(line)).filter((line) => line.includes('the JWT was revoked'))
    assert.ok(why.length > 0)
  })

  it('of a `sub` counts for what was issued until then, and for what has no `iat`', async () => {
    const subject = 'user:7 of\nacme:5'
    const token = (iat?: number, sub = subject) => sign({ session_id: 'j2', sub, iat })
    const now = seconds()
    await revoke(here, `sub:${subject}:${now * 1000}`)
    await eventually(
      () =>
        refused(here.sessionUrl('j2'), { token: token(now - 1) }).then(
          () => true,
          () => false,
        ),
      'the refusal',
    )
    assert.equal((await refused(here.sessionUrl('j2'), { token: token() })).code, 'token-rejected')
    for (const each of [token(now + 1), token(undefined, 'user:7'), sign({ session_id: 'j2' })])
      await (await connect(here.sessionUrl('j2'), { token: each })).close()
  })

  it('of a `sid` closes all that goes back to one login', async () => {
    const first = await connect(here.sessionUrl('j3'), { token: sign({ session_id: 'j3', sid: 'login-1' }) })
    const ticket = await ticketOf(await numbered(here, 'j3', sign({ session_id: 'j3', sid: 'login-1' })))
    const byTicket = await numbered(here, 'j3', ticket)
    await positionOf(byTicket)
    await revoke(here, 'sid:login-1')
    for (const client of [first, byTicket]) assert.deepEqual(await client.closed, REVOKED)
    assert.deepEqual(await (await numbered(here, 'j3', ticket)).closed, REJECTED)
  })

  it('of a `jti` or `sub` refuses the tickets that go back to the JWT, and closes their sockets', async () => {
    const token = sign({ session_id: 'j4', sub: 'alice', jti: 'four' })
    for (const entry of ['jti:four', `sub:alice:${Date.now() + 1000}`]) {
      const own = await gatewayFor(suite, { env })
      const ticket = await ticketOf(await numbered(own, 'j4', token))
      const byTicket = await numbered(own, 'j4', ticket)
      await positionOf(byTicket)
      await revoke(own, entry)
      assert.deepEqual(await byTicket.closed, REVOKED)
      assert.deepEqual(await (await numbered(own, 'j4', ticket)).closed, REJECTED)
      const byToken = await joinNumbered(own, 'j4')
      assert.equal(byToken.code, undefined)
    }
  })

  it('counts on an instance that starts later, and none is forgotten while Redis is away', async () => {
    const token = sign({ session_id: 'j5', jti: 'five' })
    await revoke(here, 'jti:five')
    const later = await gatewayFor(suite, { redis, env })
    assert.equal((await refused(later.sessionUrl('j5'), { token })).code, 'token-rejected')
  })

  it('is asked for before the first JWT is accepted: a set that cannot be read refuses them all', async (t) => {
    const own = await redisFor(t)
    const writer = await own.client()
    await writer.set(revokedSet(), 'no set')
    const gateway = await gatewayFor(t, { redis: own, env })
    const token = sign({ session_id: 'j6' })
    assert.equal((await refused(gateway.sessionUrl('j6'), { token })).code, 'redis-unavailable')
    assert.ok(gateway.log.some(({ why }) => String(why).includes('the revoked tokens cannot be read')))
    await (await connect(gateway.sessionUrl('j6'), { token: await gateway.token('j6') })).close()
    await writer.del(revokedSet())
    await (await connect(gateway.sessionUrl('j6'), { token })).close()
  })
})

describe('the resume ticket of a JWT', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env })
  })

  it('stays read only, like the JWT', async () => {
    const ticket = await ticketOf(await numbered(gateway, 't1', sign({ session_id: 't1', up: false })))
    const client = await numbered(gateway, 't1', ticket)
    await positionOf(client)
    client.send('1 {"ask":1}')
    assert.equal((await client.find({ n: 1 })).error, 'forbidden')
    const next = await ticketOf(client)
    const again = await numbered(gateway, 't1', next)
    await positionOf(again)
    again.send('1 {"ask":1}')
    assert.equal((await again.find({ n: 1 })).error, 'forbidden')
  })

  it('publishes where the JWT does', async () => {
    const ticket = await ticketOf(await numbered(gateway, 't2', sign({ session_id: 't2' })))
    const client = await numbered(gateway, 't2', ticket)
    client.send('1 {"ask":1}')
    assert.equal((await client.find({ n: 1 })).error, undefined)
  })

  it('ends with `exp`, and so do its sockets, which get the notice before', async () => {
    const exp = seconds() + 3
    const first = await numbered(gateway, 't3', sign({ session_id: 't3', exp }))
    const ticket = await ticketOf(first)
    assert.ok(ticketFrames(first)[0]!.expires_in_ms <= exp * 1000 - Date.now() + 1000)
    const client = await numbered(gateway, 't3', ticket)
    await client.find({ command: 'auth_expiring' })
    const renewed = await ticketOf(client)
    for (const each of [first, client]) assert.deepEqual(await each.closed, { code: 4401, reason: 'expired retry=0' })
    assert.ok(Date.now() >= exp * 1000)
    for (const each of [ticket, renewed]) assert.deepEqual(await (await numbered(gateway, 't3', each)).closed, REJECTED)
  })

  it('and its sockets end with AUTH_JWT_MAX_LIFETIME of the first admission', async (t) => {
    const short = await gatewayFor(t, { env: { ...env, AUTH_JWT_MAX_LIFETIME: '3s' } })
    const first = await numbered(short, 't5', sign({ session_id: 't5' }))
    const ticket = await ticketOf(first)
    await eventually(() => ticketFrames(first).length >= 2, 'a renewal')
    const client = await numbered(short, 't5', await ticketOf(first))
    await positionOf(client)
    const end = Number(JSON.parse(Buffer.from(ticket.slice(5).split('.')[0]!, 'base64url').toString()).jwt.exp)
    for (const each of [first, client]) assert.equal((await each.closed).reason, 'expired retry=0')
    assert.ok(Date.now() < end * 1000 + 1500, 'it has no more time than the first one')
    assert.deepEqual(await (await numbered(short, 't5', ticket)).closed, REJECTED)
  })

  it('is replaced when the client renews its JWT, and a revoked JWT renews nothing', async () => {
    const client = await numbered(gateway, 't6', sign({ session_id: 't6', jti: 'old', up: false, exp: seconds() + 5 }))
    await ticketOf(client)
    await revoke(gateway, 'jti:stolen')
    await eventually(
      () =>
        refused(gateway.sessionUrl('t6'), { token: sign({ session_id: 't6', jti: 'stolen' }) }).then(
          () => true,
          () => false,
        ),
      'the revocation',
    )
    const auth = (claims: object) => client.send({ type: 'control', command: 'auth', token: sign(claims) })
    auth({ session_id: 't6', jti: 'stolen' })
    await client.find({ code: 'auth-rejected' })
    assert.equal(ticketFrames(client).length, 1)
    auth({ session_id: 't6', jti: 'new', exp: seconds() + 60 })
    await eventually(() => ticketFrames(client).length === 2, 'the ticket of the new JWT')
    const { jti, up } = JSON.parse(
      Buffer.from((await ticketOf(client)).slice(5).split('.')[0]!, 'base64url').toString(),
    ).jwt
    assert.deepEqual([jti, up], ['new', true])
    await revoke(gateway, 'jti:old')
    const again = await numbered(gateway, 't6', await ticketOf(client))
    await positionOf(again)
    await revoke(gateway, 'jti:new')
    for (const each of [client, again]) assert.deepEqual(await each.closed, REVOKED)
  })

  it('is left out when the claims are too long for it', async () => {
    const client = await numbered(gateway, 't4', sign({ session_id: 't4', sub: 'x'.repeat(3000) }))
    client.send('{"type":"ping"}')
    await client.find({ type: 'pong' })
    assert.deepEqual(ticketFrames(client), [])
  })
})
