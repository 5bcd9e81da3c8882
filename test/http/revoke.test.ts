import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { revokedSet } from '../../src/contract/names.ts'
import { killCommands, run } from '../support/cli.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually, within } from '../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const ADMIN_TOKEN = 'admin-token-of-this-test'
const CLOSED = { code: 4401, reason: 'revoked' }

const post = async (http: string, body: unknown, token = ADMIN_TOKEN) => {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const response = await fetch(`${http}/api/auth/revoke`, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('revoke, with three instances', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  const env = { AUTH_JWT_SECRET: SECRET, ADMIN_TOKEN, RUN_AUTH: 'bearer', WS_AUTH_REQUIRED: 'true' }
  let redis: TestRedis
  let gateways: TestGateway[]
  before(async () => {
    redis = await redisFor(suite)
    atEnd(suite, killCommands)
    gateways = await Promise.all([1, 2, 3].map(() => gatewayFor(suite, { redis, env })))
  })

  const now = () => Math.floor(Date.now() / 1000)
  const tokenFor = (claims: object) =>
    tokenOf(signer, { session_id: 'v1', run_id: 'run-v', topics: '*', iat: now(), ...claims })
  const enter = (gateway: TestGateway, claims: object) => connect(gateway.sessionUrl('v1'), { token: tokenFor(claims) })
  const assertClosed = async (clients: TestClient[], since: number): Promise<void> => {
    for (const client of clients) assert.deepEqual(await within(client.closed, 'the close'), CLOSED)
    const ms = Date.now() - since
    assert.ok(ms < 1000, `${ms} ms`)
  }

  it('of a jti closes its sockets at every door of every instance within a second, and counts them', async () => {
    const token = tokenFor({ jti: 'j1' })
    const paths = ({ url, sessionUrl }: TestGateway) => [sessionUrl('v1'), `${url}/run-v`, `${url}/live`]
    const clients = await Promise.all(gateways.flatMap(paths).map((url) => connect(url, { token })))
    const others = await Promise.all(gateways.map((gateway) => enter(gateway, { jti: 'j2' })))
    const since = Date.now()
    const { status, body } = await post(gateways[0]!.http, { jti: 'j1' })
    const expected = { closed: 9, instances: 3, expected: 3, complete: true, local_only: false }
    assert.deepEqual([status, body], [200, expected])
    await assertClosed(clients, since)
    for (const { sessionUrl } of gateways)
      assert.equal((await refused(sessionUrl('v1'), { token })).code, 'token-rejected')
    for (const client of others) {
      assert.equal(client.code, undefined)
      await client.close()
    }
    const closed = await Promise.all(
      gateways.map(({ metric }) => metric('wsproxy_operator_closes_total', { by: 'jti' })),
    )
    assert.deepEqual(closed, [3, 3, 3])
    assert.ok(
      gateways[0]!.log.some(({ event, value, sockets }) => event === 'revoked' && value === 'j1' && sockets === 9),
    )
  })

  it('of a sub spares tokens that were issued later, of a sid those of other logins', async () => {
    const [first, second, third] = gateways as [TestGateway, TestGateway, TestGateway]
    const early = await enter(first, { sub: 'u1', iat: now() - 100 })
    const bare = await connect(second.sessionUrl('v1'), { token: tokenOf(signer, { session_id: 'v1', sub: 'u1' }) })
    const late = await enter(third, { sub: 'u1', iat: now() - 10 })
    const other = await enter(first, { sub: 'u10', iat: now() - 100, sid: 'l2' })
    let since = Date.now()
    const past = new Date((now() - 50) * 1000).toISOString()
    assert.equal((await post(second.http, { sub: 'u1', before: past })).body.closed, 2)
    await assertClosed([early, bare], since)
    await (await enter(first, { sub: 'u1' })).close()
    since = Date.now()
    assert.equal((await post(third.http, { sub: 'u1' })).body.closed, 1)
    await assertClosed([late], since)
    const login = await enter(second, { sub: 'u10', sid: 'l1' })
    since = Date.now()
    assert.equal((await post(first.http, { sid: 'l1', ttl: '1h' })).body.closed, 1)
    await assertClosed([login], since)
    assert.equal(other.code, undefined)
    await other.close()
  })

  it('counts sockets once, also when an instance has read Redis before the order', async () => {
    for (let i = 0; i < 5; i++) {
      const clients = await Promise.all(gateways.map((gateway) => enter(gateway, { jti: `race-${i}` })))
      // As an instance that writes the entry, and whose order is late.
      const at = Date.now()
      await gateways[0]!.agent.zAdd(revokedSet(), { score: at, value: `${at} ${at + 60_000} jti:race-${i}` })
      if (i % 2 === 0) for (const client of clients) await within(client.closed, 'the close')
      assert.equal((await post(gateways[i % 3]!.http, { jti: `race-${i}` })).body.closed, 3)
      assert.equal((await post(gateways[i % 3]!.http, { jti: `race-${i}` })).body.closed, 0)
    }
  })

  it('closes many sockets of a user within a second, and counts each of them once', async () => {
    const enterMany = (gateway: TestGateway) =>
      Promise.all(Array.from({ length: 25 }, (_, i) => enter(gateway, { sub: 'crowd', jti: `crowd-${i}` })))
    const clients = (await Promise.all(gateways.map(enterMany))).flat()
    const other = await enter(gateways[0]!, { sub: 'another' })
    const since = Date.now()
    const { status, body } = await post(gateways[0]!.http, { sub: 'crowd' })
    assert.deepEqual([status, body.closed, body.complete], [200, 75, true])
    await assertClosed(clients, since)
    assert.equal(other.code, undefined)
    await other.close()
  })

  it('survives a restart of all instances', async () => {
    await post(gateways[0]!.http, { jti: 'old' })
    const next = await gatewayFor(suite, { redis, env })
    assert.equal((await refused(next.sessionUrl('v1'), { token: tokenFor({ jti: 'old' }) })).code, 'token-rejected')
    await (await enter(next, { jti: 'new' })).close()
    await next.stop()
  })

  it('refuses a call without the admin token, and what is no revocation', async () => {
    const { http } = gateways[0]!
    assert.equal((await post(http, { jti: 'x' }, 'wrong-admin-token-of-this-test')).status, 403)
    const wrong: [unknown, string | undefined][] = [
      [{}, undefined],
      [[], undefined],
      [null, undefined],
      [{ jti: 'x', sub: 'y' }, 'jti'],
      [{ user: 'x' }, 'user'],
      [{ jti: '' }, 'jti'],
      [{ jti: 7 }, 'jti'],
      [{ jti: 'x'.repeat(257) }, 'jti'],
      [{ jti: '\ud800' }, 'jti'],
      [{ jti: 'x', before: '2026-01-31T12:00:00Z' }, 'before'],
      [{ sub: 'x', before: 'yesterday' }, 'before'],
      [{ sub: 'x', before: '2026-13-31T12:00:00Z' }, 'before'],
      [{ sub: 'x', ttl: 'soon' }, 'ttl'],
      [{ sub: 'x', ttl: 60 }, 'ttl'],
      [{ sub: 'x', ttl: '0' }, 'ttl'],
    ]
    for (const [body, field] of wrong) {
      const { status, body: answer } = await post(http, body)
      const { code, field: named } = answer.error as Record<string, unknown>
      assert.deepEqual([status, code, named], [400, 'bad-request', field], JSON.stringify(body))
    }
    const names = ['a:1', 'a b', 'a\nb', 'ключ', ':', 'a:1700000000000']
    for (const name of names) {
      const token = tokenFor({ jti: name, sub: name })
      await (await connect(gateways[1]!.sessionUrl('v1'), { token })).close()
      assert.equal((await post(http, { jti: name })).status, 200)
      assert.equal((await refused(gateways[1]!.sessionUrl('v1'), { token })).code, 'token-rejected', name)
      assert.equal((await post(http, { sub: name })).status, 200)
      const other = tokenFor({ sub: name, iat: now() - 1 })
      assert.equal((await refused(gateways[2]!.sessionUrl('v1'), { token: other })).code, 'token-rejected', name)
    }
  })

  it('answers 507 when the set is full, and revokes nothing', async () => {
    const own = await redisFor(suite)
    const full = await gatewayFor(suite, { redis: own, env: { ...env, AUTH_REVOKED_MAX: '2' } })
    const client = await enter(full, { jti: 'third' })
    for (const jti of ['first', 'second']) assert.equal((await post(full.http, { jti, ttl: '1h' })).status, 200)
    const { status, body } = await post(full.http, { jti: 'third' })
    assert.deepEqual([status, (body.error as Record<string, unknown>).code], [507, 'revocations-full'])
    assert.equal(await full.agent.zCard(revokedSet()), 2)
    const again = await enter(full, { jti: 'third' })
    assert.equal(client.code, undefined)
    for (const each of [client, again]) await each.close()
  })

  it('is a command, too', async () => {
    const { http } = gateways[0]!
    const revoke = (...args: string[]) => run(['token', 'revoke', ...args, '--gateway', http], { env: { ADMIN_TOKEN } })
    const client = await enter(gateways[1]!, { sub: 'cli' })
    const { status, stdout, stderr } = await revoke('--sub', 'cli', '--ttl', '1h')
    assert.deepEqual([status, stdout, stderr], [0, 'closed 1 socket on 3 of 3 instances\n', ''])
    assert.deepEqual(await within(client.closed, 'the close'), CLOSED)
    for (const args of [
      [],
      ['--sub', 'a', '--jti', 'b'],
      ['--jti', 'a', '--before', 'x'],
      ['--jti', 'a', '--ttl', 'x'],
    ])
      assert.equal((await revoke(...args)).status, 2, args.join(' '))
    assert.match((await revoke('--sub', 'a', '--before', 'x')).stderr, /400.*before/)
    await eventually(() => client.code !== undefined, 'the close')
  })
})
