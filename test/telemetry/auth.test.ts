import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type KeyServer, keyServerFor } from '../support/key-server.ts'
import { scopeOf } from '../support/scope.ts'
import { newSigners, secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually, within } from '../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const SHARED = 'shared-token-of-the-tests'
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

describe('the metrics of credentials', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let gateway: TestGateway
  let server: KeyServer
  before(async () => {
    server = await keyServerFor(suite)
    const env = {
      AUTH_JWT_SECRET: SECRET,
      AUTH_JWKS_URL: server.url,
      AUTH_JWKS_COOLDOWN: '1s',
      AUTH_JWT_SKEW: '0',
      AUTH_JWT_AUDIENCE: 'chat',
      WS_AUTH_REQUIRED: 'true',
      WS_AUTH_TOKEN: SHARED,
      LIVE_REFUSE: 'http',
    }
    gateway = await gatewayFor(suite, { env })
  })

  const tokenFor = (claims: object) => tokenOf(signer, { aud: 'chat', session_id: 'm1', topics: '*', ...claims })
  const counted = async (door: string, method: string, result: string) =>
    gateway.metric('wsproxy_auth_total', { door, method, result })

  it('begin at zero for every door', async () => {
    const page = await (await fetch(`${gateway.http}/metrics`)).text()
    for (const door of ['session', 'run', 'live'])
      for (const series of [
        `wsproxy_auth_total{door="${door}",method="jwt",result="unavailable"} 0`,
        `wsproxy_auth_total{door="${door}",method="redis",result="rejected"} 0`,
        `wsproxy_auth_expired_total{door="${door}",reason="expired"} 0`,
      ])
        assert.ok(page.includes(`\n${series}\n`), series)
    assert.ok(page.includes('\nwsproxy_auth_renewed_total{result="accepted"} 0\n'))
    assert.ok(!page.includes('method="redis",result="expired"'))
  })

  it('count what clients bring, and what is decided', async () => {
    const url = gateway.sessionUrl('m1')
    await (await connect(url, { token: tokenFor({}) })).close()
    await refused(url, { token: tokenFor({ session_id: 'm2' }) })
    await refused(url, { token: tokenFor({ exp: inSeconds(-5) }) })
    await refused(url)
    await refused(url, { token: 'of-redis' })
    await (await gateway.join('m1')).close()
    const numbered = await connect(url, { token: tokenFor({}), protocols: ['wsproxy.v2'] })
    const { ticket } = await eventually(() => numbered.values.find((value) => value.ticket !== undefined), 'a ticket')
    await numbered.close()
    await (await connect(url, { token: String(ticket), protocols: ['wsproxy.v2'] })).close()
    await (await connect(`${gateway.url}/live`, { token: SHARED })).close()
    await refused(`${gateway.url}/live`, { token: `${SHARED}x` })
    await (await connect(`${gateway.url}/run-m`)).close()
    const expected: [string, string, string, number][] = [
      ['session', 'jwt', 'accepted', 2],
      ['session', 'jwt', 'rejected', 1],
      ['session', 'jwt', 'expired', 1],
      ['session', 'none', 'rejected', 1],
      ['session', 'redis', 'rejected', 1],
      ['session', 'redis', 'accepted', 1],
      ['session', 'ticket', 'accepted', 1],
      ['live', 'shared', 'accepted', 1],
      ['live', 'shared', 'rejected', 1],
      ['run', 'none', 'accepted', 1],
    ]
    for (const [door, method, result, count] of expected)
      assert.equal(await counted(door, method, result), count, `${door} ${method} ${result}`)
  })

  it('count renewals, and the sockets that end', async () => {
    const client = await connect(gateway.sessionUrl('m1'), { token: tokenFor({ exp: inSeconds(2) }) })
    client.send({ type: 'control', command: 'auth', token: tokenFor({ exp: inSeconds(3) }) })
    client.send({ type: 'control', command: 'auth', token: 'wrong' })
    await within(client.closed, 'the close')
    const renewed = (result: string) => gateway.metric('wsproxy_auth_renewed_total', { result })
    assert.deepEqual([await renewed('accepted'), await renewed('rejected')], [1, 1])
    assert.equal(await gateway.metric('wsproxy_auth_expired_total', { door: 'session', reason: 'expired' }), 1)
  })

  it('show the age of the keys of a URL, and its fetches', async () => {
    const key = newSigners()[2]!
    const token = tokenOf(key, { aud: 'chat', session_id: 'm1' })
    const unavailable = async () => (await refused(gateway.sessionUrl('m1'), { token })).code === 'keys-unavailable'
    await eventually(unavailable, 'the refusal')
    assert.ok((await counted('session', 'jwt', 'unavailable')) > 0)
    const fetches = (result: string) => gateway.metric('wsproxy_jwks_fetches_total', { result })
    assert.ok((await fetches('failed')) > 0)
    server.publish([key])
    await eventually(async () => (await fetches('ok')) === 1, 'the keys', 10_000)
    const age = await gateway.metric('wsproxy_jwks_age_seconds')
    assert.ok(age > 0 && age < 30, `${age} s`)
  })
})
