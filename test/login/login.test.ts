import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { refreshFamily, userKey } from '../../src/contract/user-names.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { addUser, bearer, get, LOGIN_ENV, PASSWORD, post } from '../support/login.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const GRACE_MS = 10_000

describe('a login', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway
  let now = Date.now()

  before(async () => {
    redis = await redisFor(suite)
    const env = { ...LOGIN_ENV, TRUST_PROXY: 'x-forwarded-for', LOG_LEVEL: 'trace' }
    gateway = await gatewayFor(suite, { redis, env, now: () => now })
  })

  const login = async (email: string, base = '/api/auth') =>
    (await post(gateway, `${base}/login`, { email, password: PASSWORD })).body
  const refresh = (refresh_token: string, on = gateway) => post(on, '/api/auth/refresh', { refresh_token })
  const me = async (token: string, on = gateway) => (await get(on, '/api/auth/me', bearer(token))).status
  const results = (result: string) => gateway.metric('wsproxy_login_total', { result })
  const codeOf = ({
    status,
    body,
  }: {
    status: number
    body: { error: { code: string; message: string }; detail: string }
  }) => {
    assert.equal(body.detail, body.error.message)
    return [status, body.error.code]
  }

  it('gives the tokens and the user that the dashboard of HiveOps reads, on both paths', async () => {
    const { id } = await addUser(gateway, 'shapes@example.org', 'admin')
    for (const base of ['/api/auth', '/api/v1/auth']) {
      const { access_token, refresh_token, user, ...rest } = await login('Shapes@Example.org', base)
      assert.deepEqual(rest, { token_type: 'bearer', expires_in: 900 })
      const { last_login, ...shown } = user
      assert.deepEqual(shown, {
        id,
        email: 'shapes@example.org',
        full_name: 'Ada L.',
        role: 'admin',
        permissions: [],
        company_name: null,
        pilot_ids: [],
        is_active: true,
      })
      assert.equal(last_login, new Date(now).toISOString())
      const again = await get(gateway, `${base}/me`, bearer(access_token))
      assert.deepEqual([again.status, again.body], [200, user])
      const refreshed = await post(gateway, `${base}/refresh`, { refresh_token })
      assert.deepEqual([refreshed.status, refreshed.body.success, refreshed.body.expires_in], [200, true, 900])
      assert.notEqual(refreshed.body.refresh_token, refresh_token)
      assert.equal(await me(refreshed.body.access_token), 200)
    }
    const text = JSON.stringify(gateway.log)
    for (const secret of [PASSWORD, 'rt_', 'eyJ']) assert.ok(!text.includes(secret), `the log holds ${secret}`)
  })

  it('serves the protected routes of the smoke test of HiveOps', async () => {
    await addUser(gateway, 'smoke@example.org', 'admin')
    await addUser(gateway, 'smaller@example.org', 'operator')
    const { access_token } = await login('smoke@example.org', '/api/v1/auth')
    const smaller = await login('smaller@example.org')
    assert.deepEqual(codeOf(await get(gateway, '/api/v1/protected/ping')), [401, 'login-required'])
    for (const path of ['ping', 'admin'])
      assert.equal((await get(gateway, `/api/v1/protected/${path}`, bearer(access_token))).status, 200)
    const refused = await get(gateway, '/api/v1/protected/admin', bearer(smaller.access_token))
    assert.deepEqual(codeOf(refused), [403, 'role-required'])
  })

  it('refuses a wrong password, an unknown address and a disabled user in the same words', async () => {
    await addUser(gateway, 'right@example.org')
    const off = await addUser(gateway, 'off@example.org')
    await gateway.agent.hSet(userKey(off.id), 'active', '0')
    const before = await results('rejected')
    const bodies: string[] = []
    for (const [email, password] of [
      ['right@example.org', 'wrong'],
      ['unknown@example.org', PASSWORD],
      ['not an address', PASSWORD],
      ['off@example.org', PASSWORD],
    ]) {
      const answer = await post(gateway, '/api/auth/login', { email, password })
      assert.deepEqual(codeOf(answer), [401, 'bad-credentials'])
      bodies.push(JSON.stringify(answer.body))
    }
    assert.equal(new Set(bodies).size, 1)
    assert.equal(await results('rejected'), before + 4)
    assert.ok(!JSON.stringify(gateway.log).includes('not an address'))
  })

  it('refuses bodies that are not what it takes', async () => {
    for (const body of [
      '',
      '[]',
      'null',
      '{"email":"a@example.org"}',
      '{"email":1,"password":"x"}',
      { email: 'a@b.c', password: 'x'.repeat(1025) },
    ])
      assert.deepEqual(codeOf(await post(gateway, '/api/auth/login', body)), [400, 'bad-request'], String(body))
    const form = await post(gateway, '/api/auth/login', {}, { 'content-type': 'text/plain' })
    assert.equal(form.status, 400)
    assert.equal((await get(gateway, '/api/auth/login')).status, 405)
    assert.equal((await post(gateway, '/api/auth/login', { email: 'a@b.c', password: 'x'.repeat(9000) })).status, 413)
  })

  it('gives 20 tabs that refresh at once one successor, and keeps one family', async () => {
    await addUser(gateway, 'tabs@example.org')
    const first = await login('tabs@example.org')
    const other = await gatewayFor(suite, { redis, env: LOGIN_ENV, now: () => now })
    const tabs = await Promise.all(
      Array.from({ length: 20 }, (_, i) => refresh(first.refresh_token, i % 2 === 0 ? gateway : other)),
    )
    assert.deepEqual(new Set(tabs.map(({ status }) => status)), new Set([200]))
    assert.equal(new Set(tabs.map(({ body }) => body.refresh_token)).size, 1)
    const next = await refresh(tabs[0]!.body.refresh_token)
    assert.equal(next.status, 200)
    now += GRACE_MS - 1
    const late = await refresh(first.refresh_token)
    assert.deepEqual([late.status, late.body.refresh_token], [200, next.body.refresh_token], 'the newest one')
    now += GRACE_MS
    assert.equal((await refresh(next.body.refresh_token)).status, 200)
  })

  it('ends with all its tokens when a used refresh token comes again after 11 s', async () => {
    await addUser(gateway, 'stolen@example.org')
    const first = await login('stolen@example.org')
    const owner = (await refresh(first.refresh_token)).body
    const before = await results('reused')
    now += 11_000
    assert.deepEqual(codeOf(await refresh(first.refresh_token)), [401, 'refresh-rejected'])
    assert.equal(await results('reused'), before + 1)
    assert.deepEqual(codeOf(await refresh(owner.refresh_token)), [401, 'refresh-rejected'])
    await eventually(async () => (await me(owner.access_token)) === 401, 'the access token to end')
    const other = await gatewayFor(suite, { redis, env: LOGIN_ENV, now: () => now })
    assert.equal(await me(owner.access_token, other), 401)
  })

  it('is not ended by a made-up token of its user, and takes no made-up token', async () => {
    await addUser(gateway, 'forged@example.org')
    const { refresh_token, access_token } = await login('forged@example.org')
    const { sid } = JSON.parse(Buffer.from(access_token.split('.')[1], 'base64url').toString())
    assert.equal(await gateway.agent.exists(refreshFamily(sid)), 1)
    for (const made of [
      `rt_${sid}_${'a'.repeat(43)}`,
      'rt_',
      `${refresh_token}x`,
      access_token,
      sid,
      ''.padEnd(1024, 'r'),
    ])
      assert.equal((await refresh(made)).status, 401)
    assert.equal((await refresh(refresh_token)).status, 200)
  })

  it('lives as long as it is used, and no longer than AUTH_REFRESH_TTL without use', async () => {
    await addUser(gateway, 'unused@example.org')
    const { access_token, refresh_token } = await login('unused@example.org')
    const { sid } = JSON.parse(Buffer.from(access_token.split('.')[1], 'base64url').toString())
    const left = async () => Number(await gateway.agent.pTTL(refreshFamily(sid)))
    assert.ok((await left()) > 13.9 * 86_400_000 && (await left()) <= 14 * 86_400_000)
    await gateway.agent.pExpire(refreshFamily(sid), 50_000)
    assert.equal((await refresh(refresh_token)).status, 200)
    assert.ok((await left()) > 13.9 * 86_400_000)
  })

  it('ends with logout, which needs the bearer alone, on every instance', async () => {
    await addUser(gateway, 'leaves@example.org')
    const { access_token, refresh_token } = await login('leaves@example.org')
    const other = await gatewayFor(suite, { redis, env: LOGIN_ENV, now: () => now })
    assert.equal(await me(access_token, other), 200)
    const sent = await fetch(`${gateway.http}/api/auth/logout`, { method: 'POST', headers: bearer(access_token) })
    assert.deepEqual([sent.status, await sent.json()], [200, { success: true }])
    assert.deepEqual(codeOf(await refresh(refresh_token)), [401, 'refresh-rejected'])
    for (const on of [gateway, other])
      await eventually(async () => (await me(access_token, on)) === 401, 'the access token to end', 2000)
    assert.deepEqual(codeOf(await post(gateway, '/api/auth/logout')), [401, 'login-required'])
  })

  it('follows what becomes of its user: a new role at the next refresh, the end when it is disabled', async () => {
    const { id } = await addUser(gateway, 'changes@example.org')
    let { refresh_token, access_token } = await login('changes@example.org')
    await gateway.agent.hSet(userKey(id), 'role', 'super_admin')
    ;({ refresh_token, access_token } = (await refresh(refresh_token)).body)
    assert.equal((await get(gateway, '/api/v1/protected/admin', bearer(access_token))).status, 200)
    await gateway.agent.hSet(userKey(id), 'active', '0')
    assert.equal(await me(access_token), 401)
    assert.equal((await refresh(refresh_token)).status, 401)
    await gateway.agent.hSet(userKey(id), 'active', '1')
    assert.equal((await refresh(refresh_token)).status, 401, 'the login has ended')
  })

  it('expires, and is not taken with another secret', async () => {
    await addUser(gateway, 'old@example.org')
    const { access_token } = await login('old@example.org')
    now += 900_000 + 29_000
    assert.equal(await me(access_token), 200, 'within the skew')
    now += 2000
    assert.equal(await me(access_token), 401)
    const fresh = await login('old@example.org')
    const AUTH_JWT_SECRET = 'another-secret-of-a-test-of-32-bytes-or-more'
    const rotated = await gatewayFor(suite, {
      redis,
      env: { ...LOGIN_ENV, AUTH_JWT_SECRET: `${AUTH_JWT_SECRET} ${LOGIN_ENV.AUTH_JWT_SECRET}` },
      now: () => now,
    })
    assert.equal(await me(fresh.access_token, rotated), 200)
    assert.equal((await refresh(fresh.refresh_token, rotated)).status, 200)
    const foreign = await gatewayFor(suite, { redis, env: { ...LOGIN_ENV, AUTH_JWT_SECRET }, now: () => now })
    assert.equal(await me(fresh.access_token, foreign), 401)
  })

  it('is not there without AUTH_LOGIN', async () => {
    const plain = await gatewayFor(suite, { redis, env: { AUTH_JWT_SECRET: LOGIN_ENV.AUTH_JWT_SECRET } })
    for (const path of ['/api/auth/login', '/api/v1/auth/login', '/api/auth/refresh'])
      assert.equal((await post(plain, path)).status, 404)
    assert.equal((await get(plain, '/api/v1/protected/ping')).status, 404)
  })

  it('accepts the admin of DEFAULT_ADMIN_EMAIL, which the gateway creates only while no user exists', async (t) => {
    const own = await redisFor(t)
    const env = { ...LOGIN_ENV, DEFAULT_ADMIN_EMAIL: 'first@example.org', DEFAULT_ADMIN_PASSWORD: PASSWORD }
    const first = await gatewayFor(t, { redis: own, env })
    const named = { email: 'first@example.org', password: PASSWORD }
    const status = async (on: TestGateway) => (await post(on, '/api/auth/login', named)).status
    await eventually(async () => (await status(first)) === 200, 'the first admin')
    await addUser(first, 'second@example.org')
    await first.agent.del(await first.agent.keys('wsproxy:user:*first@example.org'))
    const second = await gatewayFor(t, { redis: own, env })
    assert.equal((await post(second, '/api/auth/login', { ...named, email: 'second@example.org' })).status, 200)
    assert.equal(await status(second), 401)
    assert.ok(!JSON.stringify(first.log).includes(PASSWORD))
  })

  it('gets 503 while Redis is away', async (t) => {
    const own = await redisFor(t)
    const away = await gatewayFor(t, { redis: own, env: LOGIN_ENV })
    await own.stop()
    await eventually(() => !away.gateway.redisReady, 'the loss of Redis')
    for (const [path, body] of [
      ['login', { email: 'a@example.org', password: PASSWORD }],
      ['refresh', { refresh_token: `rt_${'0'.repeat(32)}_${'a'.repeat(43)}` }],
    ] as const)
      assert.deepEqual(codeOf(await post(away, `/api/auth/${path}`, body)), [503, 'redis-unavailable'])
  })
})
