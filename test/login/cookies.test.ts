import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { overHttp } from '../../client/src/offline/index.ts'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type Answer, addUser, bearer, get, LOGIN_ENV, PASSWORD, post } from '../support/login.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf, stopAtEnd } from '../support/scope.ts'
import { openStream } from '../support/sse.ts'

describe('a login with cookies', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway

  before(async () => {
    redis = await redisFor(suite)
    const env = { ...LOGIN_ENV, WS_AUTH_REQUIRED: 'true', LIVE_REFUSE: 'http', TRUST_PROXY: 'x-forwarded-for' }
    gateway = await gatewayFor(suite, { redis, env })
    for (const name of ['one', 'two', 'three', 'four', 'five']) await addUser(gateway, `${name}@example.org`, 'admin')
  })

  const login = (email: string, headers = {}, path = '/api/auth/login?cookie=1', on = gateway) =>
    post(on, path, { email, password: PASSWORD }, headers)
  const lines = ({ headers }: Answer) => headers.getSetCookie()
  /** What a browser would send back. */
  const jar = (answer: Answer): string =>
    lines(answer)
      .map((line) => line.split(';')[0])
      .join('; ')
  const own = () => ({ origin: gateway.http })
  const live = () => `${gateway.url}/live`

  it('gives two cookies that scripts cannot read, and no token in the body', async () => {
    const answer = await login('one@example.org')
    assert.deepEqual(Object.keys(answer.body).sort(), ['expires_in', 'user'])
    const [access, refresh] = lines(answer)
    assert.match(access!, /^wsproxy_access=eyJ[\w.-]+; Max-Age=900; HttpOnly; Path=\/; SameSite=Lax$/)
    assert.match(refresh!, /^wsproxy_refresh=rt_[\w-]+; Max-Age=1209600; HttpOnly; Path=\/api\/auth; SameSite=Strict$/)
    const v1 = lines(await login('one@example.org', {}, '/api/v1/auth/login?cookie=1'))
    assert.match(v1[1]!, /; Path=\/api\/v1\/auth; /)
    assert.deepEqual(lines(await login('one@example.org', {}, '/api/auth/login')), [])
  })

  it('has prefixes and Secure away from this machine, where other names do not count', async () => {
    const host = { host: 'app.example.org' }
    const answer = await login('two@example.org', host)
    const [access, refresh] = lines(answer)
    assert.match(access!, /^__Host-wsproxy_access=.*; Path=\/; SameSite=Lax; Secure$/)
    assert.match(refresh!, /^__Secure-wsproxy_refresh=.*; Path=\/api\/auth; SameSite=Strict; Secure$/)
    const cookie = jar(answer)
    assert.equal((await get(gateway, '/api/auth/me', { ...host, cookie })).status, 200)
    const planted = cookie.replaceAll(/__Host-|__Secure-/g, '')
    assert.equal((await get(gateway, '/api/auth/me', { ...host, cookie: planted })).status, 401)
  })

  it('is used by me, refresh and logout, which clears the cookies', async () => {
    const first = jar(await login('three@example.org'))
    assert.equal((await get(gateway, '/api/auth/me', { cookie: first })).body.email, 'three@example.org')
    const refreshed = await post(gateway, '/api/auth/refresh', '{}', { cookie: first, ...own() })
    assert.deepEqual([refreshed.status, refreshed.body], [200, { success: true, expires_in: 900 }])
    const cookie = jar(refreshed)
    assert.notEqual(cookie, first)
    const out = await post(gateway, '/api/auth/logout', '{}', { cookie, ...own() })
    assert.equal(out.status, 200)
    assert.deepEqual(
      lines(out).map((line) => line.split(';').slice(0, 2).join(';')),
      ['wsproxy_access=; Max-Age=0', 'wsproxy_refresh=; Max-Age=0'],
    )
    assert.equal((await post(gateway, '/api/auth/refresh', '{}', { cookie, ...own() })).status, 401)
  })

  it('is of no use to a page of another site', async () => {
    const cookie = jar(await login('four@example.org'))
    const tries: [Record<string, string>, number, string][] = [
      [{ origin: 'https://evil.example' }, 403, 'origin-not-allowed'],
      [{ origin: 'null' }, 403, 'origin-not-allowed'],
      [
        { origin: gateway.http.replace('http:', 'https:').replace('127.0.0.1', 'localhost') },
        403,
        'origin-not-allowed',
      ],
      [{ 'sec-fetch-site': 'cross-site' }, 403, 'origin-not-allowed'],
      [{ 'sec-fetch-site': 'same-site' }, 403, 'origin-not-allowed'],
      [{ ...own(), 'content-type': 'text/plain' }, 400, 'bad-request'],
      [{ ...own(), 'content-type': 'application/x-www-form-urlencoded' }, 400, 'bad-request'],
    ]
    for (const [headers, status, code] of tries)
      for (const path of ['/api/auth/refresh', '/api/auth/logout', '/api/preflight/run']) {
        const answer = await post(gateway, path, '{}', { cookie, ...headers })
        assert.deepEqual([answer.status, answer.body.error.code], [status, code], `${path} ${JSON.stringify(headers)}`)
      }
    const elsewhere = { host: 'app.example.org' }
    const secure = jar(await login('four@example.org', elsewhere))
    const from = (origin: string) =>
      post(gateway, '/api/preflight/run', '{}', { ...elsewhere, cookie: secure, origin }).then(({ status }) => status)
    assert.equal(await from('http://app.example.org'), 403, 'a page that the network may have written')
    assert.notEqual(await from('https://app.example.org'), 403)
    for (const headers of [own(), { 'sec-fetch-site': 'same-origin' }, {}])
      assert.notEqual((await post(gateway, '/api/preflight/run', '{}', { cookie, ...headers })).status, 403)
  })

  it('opens the live door for a page of the same or an allowed origin only, also without ALLOWED_ORIGINS', async () => {
    const cookie = jar(await login('five@example.org'))
    for (const origin of ['https://evil.example', 'null', undefined]) {
      const answer = await refused(live(), { headers: { cookie, ...(origin !== undefined && { origin }) } })
      assert.deepEqual([answer.status, answer.code], [403, 'origin-not-allowed'], String(origin))
    }
    const client = await connect(live(), { headers: { cookie, ...own() } })
    assert.equal((await client.find({ type: 'connection_established' })).type, 'connection_established')
    await client.close()
    const listed = await gatewayFor(suite, {
      redis,
      env: {
        ...LOGIN_ENV,
        WS_AUTH_REQUIRED: 'true',
        LIVE_REFUSE: 'http',
        ALLOWED_ORIGINS: 'https://app.example.org,*',
      },
    })
    const allowed = await connect(`${listed.url}/live`, { headers: { cookie, origin: 'https://app.example.org' } })
    await allowed.close()
    const evil = await refused(`${listed.url}/live`, { headers: { cookie, origin: 'https://evil.example' } })
    assert.equal(evil.code, 'origin-not-allowed', 'a * allows no cookie')
    const none = await refused(live(), { headers: { ...own() } })
    assert.equal(none.code, 'credentials-missing')
  })
})

describe('the cookie of a login at the calls of plain HTTP', () => {
  const suite = scopeOf(after)
  const FOREIGN = { origin: 'https://evil.example' }
  let gateway: TestGateway
  let cookie = ''

  before(async () => {
    const env = {
      ...LOGIN_ENV,
      WS_AUTH_REQUIRED: 'true',
      ADMIN_TOKEN: 'an-admin-token-of-a-test',
      LIVE_TOPICS: 'build.*',
      OUTBOX_TOPICS: 'tasks',
      // Without the origin of the gateway.
      ALLOWED_ORIGINS: 'https://app.example.org',
    }
    gateway = await gatewayFor(suite, { env })
    await addUser(gateway, 'plain@example.org', 'operator')
    const answer = await post(gateway, '/api/auth/login?cookie=1', { email: 'plain@example.org', password: PASSWORD })
    cookie = answer.headers.getSetCookie()[0]!.split(';')[0]!
  })

  const own = () => ({ origin: gateway.http })
  const outcome = ({ status, body }: Answer) => [status, body.error?.code]

  it('publishes by the outbox for a page of the gateway and of the list, and for no other', async () => {
    const list = () => {
      const envelope = { correlation_id: randomUUID(), ts: Date.now(), op: 'update', domain: 'tasks', id: 't1' }
      return [{ topic: 'tasks', envelope }]
    }
    const publish = (headers: Record<string, string>) => post(gateway, '/api/outbox', list(), headers)
    for (const origin of [gateway.http, 'https://app.example.org']) {
      const answer = await publish({ cookie, origin })
      assert.deepEqual([answer.status, answer.body.results?.[0]?.type], [200, 'published'], origin)
    }
    const entries = (await gateway.agent.xRange('{live:tasks}:outbox', '-', '+')) ?? []
    const subject = entries[0]?.message.subject
    assert.ok(subject !== undefined && subject !== 'operator', 'it names the user')
    for (const headers of [FOREIGN, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }])
      assert.deepEqual(outcome(await publish({ cookie, ...headers })), [403, 'origin-not-allowed'])
    assert.deepEqual(outcome(await publish({ cookie, ...own(), 'content-type': 'text/plain' })), [400, 'bad-request'])
    assert.deepEqual(outcome(await publish(own())), [401, 'credentials-missing'])
    assert.deepEqual(outcome(await publish({ ...own(), cookie: `${cookie}x` })), [403, 'token-rejected'])
    const signedIn = await post(gateway, '/admin/sign-in', { token: 'an-admin-token-of-a-test' })
    const [operator] = signedIn.headers.getSetCookie()[0]!.split(';')
    const withOperator = (access: string) => publish({ ...own(), cookie: `${access}${operator}` })
    assert.deepEqual(outcome(await withOperator('')), [401, 'credentials-missing'])
    assert.deepEqual(outcome(await withOperator('wsproxy_access=x; ')), [403, 'token-rejected'])
    assert.equal(entries.length, 2)
    assert.equal(await gateway.agent.xLen('{live:tasks}:outbox'), 2)
  })

  it('publishes for the outbox of the client without a token', async (t) => {
    const { fetch } = globalThis
    // What a browser adds.
    t.mock.method(globalThis, 'fetch', (url: string, init: RequestInit) => {
      assert.equal(init.credentials, 'include')
      return fetch(url, { ...init, headers: { ...init.headers, cookie, ...own() } })
    })
    const [correlation_id, ts] = [randomUUID(), Date.now()]
    const envelope = { correlation_id, ts, op: 'update', domain: 'tasks', id: 't2', data: 1 } as const
    const answers = await overHttp(gateway.http).publish([{ topic: 'tasks', envelope }])
    assert.deepEqual(
      answers.map(({ code }) => code),
      [undefined],
    )
  })

  it('opens the events of the live door, where the GET of an own page names no origin', async () => {
    const path = '/live/sse?subscriptions=build.7'
    for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { origin: 'https://app.example.org' }]) {
      const client = await openStream(gateway.http + path, { cookie, ...headers })
      const { subscriptions } = await client.first('connection_established')
      assert.deepEqual(subscriptions, ['build.7'])
      client.close()
    }
    for (const headers of [FOREIGN, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }])
      assert.deepEqual(outcome(await get(gateway, path, { cookie, ...headers })), [403, 'origin-not-allowed'])
    const none = await get(gateway, path, { 'sec-fetch-site': 'same-origin' })
    assert.deepEqual(outcome(none), [401, 'credentials-missing'])
  })

  it('does both in a page of the gateway in Chromium', { skip: withoutBrowser }, async () => {
    const browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
    const tab = await browser.newPage()
    await tab.goto(`${gateway.http}/health`)
    const seen = await tab.evaluate(
      async ([email, password]) => {
        const send = (path: string, body: unknown) =>
          fetch(path, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(body),
          })
        const login = await send('/api/auth/login?cookie=1', { email, password })
        const envelope = {
          correlation_id: crypto.randomUUID(),
          ts: Date.now(),
          op: 'update',
          domain: 'tasks',
          id: 't3',
          data: 3,
        }
        const sent = await send('/api/outbox', [{ topic: 'tasks', envelope }])
        const Events = (globalThis as unknown as { EventSource: new (url: string) => EventTarget }).EventSource
        const events = new Events('/live/sse?subscriptions=build.7')
        const first = await new Promise((resolve) => {
          events.addEventListener('connection_established', () => resolve('open'))
          events.addEventListener('error', () => resolve('refused'))
        })
        return [login.status, sent.status, first]
      },
      ['plain@example.org', PASSWORD] as const,
    )
    assert.deepEqual(seen, [200, 200, 'open'])
  })

  it('opens no session, like the token in a header', async () => {
    const headers = { cookie, 'sec-fetch-site': 'same-origin' }
    assert.deepEqual(outcome(await get(gateway, '/agent-1/sse/s1', headers)), [403, 'token-rejected'])
    assert.deepEqual(outcome(await get(gateway, '/agent-1/sse/s1', { ...headers, ...FOREIGN })), [
      403,
      'origin-not-allowed',
    ])
    for (const path of ['/agent-1/sse/s1', '/agent-1/ticket/s1'])
      assert.deepEqual(outcome(await post(gateway, path, {}, { cookie, ...own() })), [401, 'credentials-missing'])
  })
})

describe('the tokens of a login at the doors', () => {
  const suite = scopeOf(after)
  it('a refresh token opens no door, and an access token neither sessions nor runs', async () => {
    const env = { ...LOGIN_ENV, WS_AUTH_REQUIRED: 'true', LIVE_REFUSE: 'http', RUN_AUTH: 'bearer' }
    const gateway = await gatewayFor(suite, { env })
    await addUser(gateway, 'doors@example.org', 'admin')
    const { body } = await post(gateway, '/api/auth/login', { email: 'doors@example.org', password: PASSWORD })
    const { access_token: access, refresh_token: refresh } = body
    await gateway.token('s1', 'another')
    const urls = [gateway.sessionUrl('s1'), `${gateway.url}/run-1`, `${gateway.url}/live`]
    for (const url of urls) assert.deepEqual((await refused(url, { token: refresh })).code, 'token-rejected', url)
    for (const url of urls.slice(0, 2)) assert.deepEqual((await refused(url, { token: access })).code, 'token-rejected')
    assert.equal((await get(gateway, '/api/auth/me', bearer(refresh))).status, 401)
    const client = await connect(`${gateway.url}/live`, { token: access })
    await client.find({ type: 'connection_established' })
    const sent = await fetch(`${gateway.http}/api/auth/logout`, { method: 'POST', headers: bearer(access) })
    assert.equal(sent.status, 200)
    assert.deepEqual(await client.closed, { code: 4401, reason: 'revoked' })
    assert.equal((await refused(`${gateway.url}/live`, { token: access })).code, 'token-rejected')
  })
})
