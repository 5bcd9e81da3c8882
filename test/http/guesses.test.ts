import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'

const TOKEN = 'an-admin-token-of-a-test'
const JSON_TYPE = { 'content-type': 'application/json' }

describe('the admin token', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  const start = (env: Record<string, string> = {}) => gatewayFor(suite, { redis, env: { ADMIN_TOKEN: TOKEN, ...env } })
  const post = async ({ http }: TestGateway, path: string, headers: Record<string, string>, body = '{}') =>
    fetch(`${http}${path}`, { method: 'POST', headers, body })
  const from = (ip: string) => ({ 'x-forwarded-for': ip })
  const events = ({ log }: TestGateway, name: string) => log.filter(({ event }) => event === name)

  const WAYS: Record<
    string,
    (gateway: TestGateway, token: string, headers?: Record<string, string>) => Promise<Response>
  > = {
    'typed into the page': (gateway, token, headers) =>
      post(gateway, '/admin/sign-in', { ...JSON_TYPE, ...headers }, JSON.stringify({ token })),
    'sent to an admin call': (gateway, token, headers) =>
      post(gateway, '/api/preflight/run', { authorization: `Bearer ${token}`, ...headers }),
    'sent to the reports': (gateway, token, headers) =>
      fetch(`${gateway.http}/api/preflight/stats`, { headers: { authorization: `Bearer ${token}`, ...headers } }),
    'sent to /ready': (gateway, token, headers) =>
      fetch(`${gateway.http}/ready`, { headers: { authorization: `Bearer ${token}`, ...headers } }),
  }
  for (const [way, ask] of Object.entries(WAYS)) {
    it(`${way}: guesses of an address are slowed, counted and logged, those of another address are not`, async () => {
      const gateway = await start({ TRUST_PROXY: 'x-forwarded-for' })
      for (let i = 0; i < 30; i++) await ask(gateway, `guess-${i}`, from('203.0.113.1'))
      const results = async (result: string) => gateway.metric('wsproxy_admin_calls_total', { result })
      assert.ok((await results('rejected')) <= 12, `${await results('rejected')} guesses were looked at`)
      assert.ok((await results('limited')) >= 18)
      const lines = events(gateway, 'admin-refused')
      assert.ok(lines.length > 0 && lines.length < 30)
      assert.equal(lines[0]!.address, '203.0.113.1')
      assert.ok(!JSON.stringify(gateway.log).includes('guess-'))
      const accepted = await results('accepted')
      await ask(gateway, TOKEN, from('203.0.113.1'))
      assert.equal(await results('accepted'), accepted, 'not even the right one is looked at')
      await ask(gateway, TOKEN, from('203.0.113.2'))
      assert.equal(await results('accepted'), accepted + 1)
    })
  }

  it('answers 429 with Retry-After to an address with too many guesses', async () => {
    const gateway = await start()
    const answers: Response[] = []
    for (let i = 0; i < 15; i++) answers.push(await WAYS['sent to an admin call']!(gateway, `guess-${i}`))
    assert.equal(answers.at(-1)!.status, 429)
    assert.match(answers.at(-1)!.headers.get('retry-after') ?? '', /^\d+$/)
    const { error } = (await answers.at(-1)!.json()) as { error: { code: string } }
    assert.equal(error.code, 'admin-limited')
  })

  it('is logged with what its owner does, by whom and from where', async () => {
    const gateway = await start()
    const authorization = `Bearer ${TOKEN}`
    await post(gateway, '/api/dashboard/websocket/broadcast?subscription=system', { authorization })
    await post(gateway, '/api/dashboard/websocket/disconnect/nobody-1', { authorization })
    const signedIn = await post(gateway, '/admin/sign-in', JSON_TYPE, JSON.stringify({ token: TOKEN }))
    const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!
    await post(gateway, '/api/preflight/run', { ...JSON_TYPE, cookie })
    const actions = events(gateway, 'admin-action').map(({ path, actor, address, status }) => [
      path,
      actor,
      address,
      status,
    ])
    assert.deepEqual(actions, [
      ['/api/dashboard/websocket/broadcast', 'token', '127.0.0.1', 200],
      ['/api/dashboard/websocket/disconnect/nobody-1', 'token', '127.0.0.1', 200],
      ['/api/preflight/run', 'cookie', '127.0.0.1', actions[2]?.[3]],
    ])
  })

  it('is not signed out by a form of another site, which sends no cookie and no JSON', async () => {
    const gateway = await start()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
      const response = await post(
        gateway,
        '/admin/sign-out',
        { 'content-type': type, origin: 'https://evil.example' },
        'x=',
      )
      assert.deepEqual([response.status, response.headers.get('set-cookie')], [400, null], type)
    }
    const left = await post(gateway, '/admin/sign-out', JSON_TYPE)
    assert.match(left.headers.get('set-cookie') ?? '', /^wsproxy_admin=;/)
  })
})
