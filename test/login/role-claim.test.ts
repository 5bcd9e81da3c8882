import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { live, topicsOf } from '../support/live.ts'
import { bearer, get, post } from '../support/login.ts'
import { scopeOf } from '../support/scope.ts'
import { encode, hmac, secretSigner, tokenOf } from '../support/tokens.ts'

const SECRET = randomBytes(24).toString('hex')
const ENV = { AUTH_JWT_SECRET: SECRET, AUTH_JWT_AUDIENCE: 'desk', WS_AUTH_REQUIRED: 'true', LIVE_REFUSE: 'http' }
const ROLES = { LIVE_TOPIC_ROLES: 'alerts:operator,audit.*:admin', LIVE_TOPICS: 'audit.*' }
const CLAIM = 'https://example.org/roles'
const ADMIN_TOKEN = 'an-admin-token-of-a-test'

describe('the claim of AUTH_JWT_ROLE_CLAIM', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ...ENV, ...ROLES, ADMIN_TOKEN, AUTH_JWT_ROLE_CLAIM: CLAIM } })
  })
  const token = (role?: unknown, claims: object = {}) => tokenOf(signer, { aud: 'desk', [CLAIM]: role, ...claims })
  const all = '/live?subscriptions=agents,alerts,audit.logins'
  const report = (bearing: string, on = gateway) => get(on, '/api/preflight/stats', bearer(bearing))
  const disconnect = (bearing: string) => post(gateway, '/api/admin/disconnect', { session: 's1' }, bearer(bearing))

  for (const [role, topics, mayRead, mayDisconnect] of [
    [undefined, ['agents'], 403, 403],
    ['customer', ['agents'], 403, 403],
    ['operator', ['agents', 'alerts'], 200, 403],
    [['customer', 'admin', 'viewer'], ['agents', 'alerts', 'audit.logins'], 200, 200],
    ['super_admin', ['agents', 'alerts', 'audit.logins'], 200, 200],
  ] as const)
    it(`${JSON.stringify(role)} gives the topics and the calls of its role`, async () => {
      const client = await live(gateway, all, { token: token(role) })
      assert.deepEqual(await topicsOf(client), topics)
      await client.close()
      assert.equal((await report(token(role))).status, mayRead)
      assert.equal((await disconnect(token(role))).status, mayDisconnect)
    })

  it('does not widen the claim `topics`', async () => {
    const client = await live(gateway, all, { token: token('admin', { topics: ['agents'] }) })
    assert.deepEqual(await topicsOf(client), ['agents'])
    await client.close()
    const url = `${gateway.url}/live`
    assert.equal((await refused(url, { token: token('admin', { topics: [] }) })).code, 'token-rejected')
  })

  it('counts in valid tokens only, and ADMIN_TOKEN beside them', async () => {
    const other = secretSigner(randomBytes(24).toString('hex'))
    const twice = `${encode({ alg: 'HS256' })}.${encode(`{"aud":"desk","${CLAIM}":"viewer","${CLAIM}":"admin"}`)}`
    for (const wrong of [
      tokenOf(other, { aud: 'desk', [CLAIM]: 'admin' }),
      tokenOf(signer, { aud: 'shop', [CLAIM]: 'admin' }),
      token({ admin: true }),
      token('admin', { exp: 1 }),
      `${twice}.${hmac(Buffer.from(SECRET), twice)}`,
    ]) {
      const { status } = await disconnect(wrong)
      assert.ok(status === 401 || status === 403, `${status}`)
    }
    assert.equal((await disconnect(ADMIN_TOKEN)).status, 200)
  })

  it('does not count where it is not set', async () => {
    const plain = await gatewayFor(suite, { env: { ...ENV, ADMIN_TOKEN } })
    assert.notEqual((await report(token('admin', { role: 'admin' }), plain)).status, 200)
    const { code } = await refused(`${plain.url}/live`, { token: token('admin', { role: 'admin' }) })
    assert.equal(code, 'token-rejected')
  })

  it('needs AUTH_JWT_AUDIENCE', () => {
    const { AUTH_JWT_AUDIENCE: _, ...env } = ENV
    const load = () => loadConfig({ ...env, WS_AUTH_REQUIRED: 'false', AUTH_JWT_ROLE_CLAIM: 'role' })
    assert.throws(load, /AUTH_JWT_ROLE_CLAIM: needs AUTH_JWT_AUDIENCE/)
  })
})
