import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loginsOfAddress } from '../../src/contract/user-names.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type Answer, addUser, LOGIN_ENV, PASSWORD, post } from '../support/login.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'

describe('guesses of passwords', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway
  let other: TestGateway

  before(async () => {
    redis = await redisFor(suite)
    const env = { ...LOGIN_ENV, TRUST_PROXY: 'x-forwarded-for' }
    gateway = await gatewayFor(suite, { redis, env })
    other = await gatewayFor(suite, { redis, env })
    for (const name of ['one', 'two', 'three', 'flood']) await addUser(gateway, `${name}@example.org`)
  })
  const login = (email: string, password: string, from?: string, on = gateway): Promise<Answer> =>
    post(on, '/api/auth/login', { email, password }, from === undefined ? {} : { 'x-forwarded-for': from })
  const codeOf = ({ status, body }: Answer): string => `${status} ${body.error?.code ?? ''}`.trim()

  it('of one account from many addresses get 429 after five, and the right one is accepted and ends that', async () => {
    const codes: string[] = []
    for (let i = 0; i < 7; i++)
      codes.push(codeOf(await login('one@example.org', `guess-${i}`, undefined, i % 2 ? gateway : other)))
    assert.deepEqual(codes, [...Array(5).fill('401 bad-credentials'), ...Array(2).fill('429 login-limited')])
    const refused = await login('one@example.org', 'guess')
    const seconds = Number(refused.headers.get('retry-after'))
    assert.ok(seconds > 800 && seconds <= 900, `${seconds}`)
    assert.equal((await login('one@example.org', PASSWORD)).status, 200)
    assert.equal(codeOf(await login('one@example.org', 'guess')), '401 bad-credentials')
  })

  it('of an account that does not exist are limited like others', async () => {
    const codes: string[] = []
    for (let i = 0; i < 6; i++) codes.push(codeOf(await login('unknown@example.org', 'guess')))
    assert.equal(codes.at(-1), '429 login-limited')
  })

  it('of one address get 429 after 20 in a minute on all instances, the right password too, other addresses not', async () => {
    const codes: string[] = []
    for (let i = 0; i < 22; i++)
      codes.push(codeOf(await login(`user-${i}@example.org`, 'guess', '203.0.113.1', i % 2 ? gateway : other)))
    assert.deepEqual(new Set(codes.slice(0, 20)), new Set(['401 bad-credentials']))
    assert.deepEqual(new Set(codes.slice(20)), new Set(['429 login-limited']))
    assert.equal(codeOf(await login('two@example.org', PASSWORD, '203.0.113.1')), '429 login-limited')
    assert.equal((await login('two@example.org', PASSWORD, '203.0.113.2')).status, 200)
  })

  it('of an address that is over its limit are refused before Redis is asked and the body is read', async () => {
    const from = '203.0.113.77'
    for (let i = 0; i < 21; i++) await login(`user-${i}@example.org`, 'guess', from)
    const counted = () => gateway.agent.get(loginsOfAddress(from))
    assert.equal(await counted(), '21')
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': from }
    for (const body of [
      '{"email":',
      '{}',
      'x'.repeat(8000),
      JSON.stringify({ email: 'two@example.org', password: PASSWORD }),
    ]) {
      const answer = await fetch(`${gateway.http}/api/auth/login`, { method: 'POST', headers, body })
      const { error, detail } = (await answer.json()) as { error: { code: string; message: string }; detail: string }
      assert.deepEqual([answer.status, error.code, detail], [429, 'login-limited', error.message])
      const seconds = Number(answer.headers.get('retry-after'))
      assert.ok(seconds > 0 && seconds <= 60, `${seconds}`)
    }
    assert.equal(await counted(), '21')
    assert.equal((await login('two@example.org', PASSWORD, '203.0.113.78')).status, 200)
  })

  it('behind a proxy that is not trusted never block the address, and the account before the password', async () => {
    const plain = await gatewayFor(suite, { redis, env: LOGIN_ENV })
    const codes: string[] = []
    for (let i = 0; i < 25; i++)
      codes.push(codeOf(await login(`other-${i}@example.org`, 'guess', '203.0.113.9', plain)))
    assert.deepEqual(new Set(codes), new Set(['401 bad-credentials']))
    for (let i = 0; i < 5; i++) await login('three@example.org', 'guess', '203.0.113.9', plain)
    assert.equal(codeOf(await login('three@example.org', PASSWORD, '203.0.113.9', plain)), '429 login-limited')
  })

  it('behind such a proxy do not keep a device out from which the user has logged in', async () => {
    const plain = await gatewayFor(suite, { redis, env: LOGIN_ENV })
    const email = 'four@example.org'
    await addUser(plain, email)
    await addUser(plain, 'five@example.org')
    const attempt = (password: string, cookie = '', who = email) => {
      const headers = { 'x-forwarded-for': '203.0.113.9', ...(cookie !== '' && { cookie, origin: plain.http }) }
      return post(plain, '/api/auth/login', { email: who, password }, headers)
    }
    const lines = (await attempt(PASSWORD)).headers.getSetCookie()
    assert.equal(lines.length, 1)
    assert.match(
      lines[0]!,
      /^wsproxy_device=[\w-]{22}\.[\w-]{43}; Max-Age=15552000; HttpOnly; Path=\/api\/auth; SameSite=Strict$/,
    )
    const cookie = lines[0]!.split(';')[0]!
    for (let i = 0; i < 6; i++) await attempt(`guess-${i}`)
    assert.equal(codeOf(await attempt(PASSWORD)), '429 login-limited')
    for (const each of ['wsproxy_device=', `${cookie}x`, cookie.replace(/=./, '=!'), cookie.split('.')[0]!])
      assert.equal(codeOf(await attempt(PASSWORD, each)), '429 login-limited', each)
    assert.equal((await attempt(PASSWORD, cookie)).status, 200)
    // Guesses with a stolen cookie are bounded as well, and those for another account not by it.
    const stolen: string[] = []
    for (let i = 0; i < 7; i++) stolen.push(codeOf(await attempt(`guess-${i}`, cookie)))
    assert.deepEqual(stolen, [...Array(5).fill('401 bad-credentials'), ...Array(2).fill('429 login-limited')])
    for (let i = 0; i < 6; i++) await attempt('guess', '', 'five@example.org')
    assert.equal(codeOf(await attempt(PASSWORD, cookie, 'five@example.org')), '429 login-limited')
  })

  it('in a flood leave at most 52 that are hashed or wait; the others get 503', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, (_, i) => login(`flood-${i}@example.org`, 'guess')))
    const codes = answers.map(codeOf)
    const busy = codes.filter((each) => each === '503 at-capacity').length
    assert.ok(busy > 0, 'some are refused')
    assert.equal(codes.filter((each) => each === '401 bad-credentials').length, 150 - busy)
    assert.ok(150 - busy >= 52, `${150 - busy}`)
    assert.equal(await gateway.metric('wsproxy_login_total', { result: 'busy' }), busy)
    assert.equal((await login('flood@example.org', PASSWORD)).status, 200)
  })

  it('in a flood that get 503 cost no call to Redis, and say when to come again', async () => {
    const addresses = Array.from({ length: 150 }, (_, i) => `198.51.100.${i}`)
    const answers = await Promise.all(addresses.map((each) => login(`${each}@example.org`, 'guess', each)))
    const busy = answers.filter(({ status }) => status === 503)
    assert.ok(busy.length > 0, 'some are refused')
    for (const { headers } of busy) assert.match(headers.get('retry-after') ?? '', /^\d+$/)
    const counted = await gateway.agent.exists(addresses.map(loginsOfAddress))
    assert.equal(counted, 150 - busy.length)
  })
})
