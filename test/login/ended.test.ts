import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { killCommands, run, serveReady } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { addUser, bearer, get, LOGIN_ENV, PASSWORD, post } from '../support/login.ts'
import { redisFor } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

describe('the logins of a user', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ...LOGIN_ENV, WS_AUTH_REQUIRED: 'true' } })
    atEnd(suite, killCommands)
  })
  const command = (...args: string[]) =>
    run(['user', ...args], { env: { REDIS_URL: gateway.redis.url }, input: 'another fine pass word' })
  const login = async (email: string) => (await post(gateway, '/api/auth/login', { email, password: PASSWORD })).body

  for (const [name, ...args] of [['disable'], ['passwd'], ['delete'], ['sessions', '--end']] as const) {
    it(`end with wsproxy user ${[name, ...args].join(' ')}: their tokens and their sockets`, async () => {
      const email = `${name}@example.org`
      await addUser(gateway, email)
      const [first, second] = [await login(email), await login(email)]
      const listed = await command('sessions', email)
      assert.match(listed.stdout, /^([0-9a-f]{32} {2}until \d{4}-\S+Z\n){2}$/)
      const client = await connect(`${gateway.url}/live`, { token: first.access_token })
      const { status, stderr } = await command(name, email, ...args)
      assert.equal(status, 0, stderr)
      assert.deepEqual(await client.closed, { code: 4401, reason: 'revoked' })
      for (const { access_token, refresh_token } of [first, second]) {
        await eventually(
          async () => (await get(gateway, '/api/auth/me', bearer(access_token))).status === 401,
          'the access token to end',
        )
        assert.equal((await post(gateway, '/api/auth/refresh', { refresh_token })).status, 401)
      }
      if (name !== 'delete') assert.equal((await command('sessions', email)).stdout, '')
    })
  }
})

describe('wsproxy serve with AUTH_LOGIN', () => {
  const suite = scopeOf(after)
  before(() => atEnd(suite, killCommands))
  it('takes the logins of users that wsproxy user has added', async () => {
    const { url } = await redisFor(suite)
    const { http } = await serveReady({ ...LOGIN_ENV, REDIS_URL: url })
    const env = { REDIS_URL: url }
    assert.equal((await run(['user', 'add', 'ada@example.org'], { env, input: PASSWORD })).status, 0)
    const { status, body } = await post({ http }, '/api/auth/login', { email: 'ada@example.org', password: PASSWORD })
    assert.equal(status, 200)
    assert.equal((await get({ http }, '/api/auth/me', bearer(body.access_token))).status, 200)
  })
})
