import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { liveChannel } from '../../src/contract/names.ts'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { addUser, bearer, get, LOGIN_ENV, PASSWORD, post } from '../support/login.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const WS_AUTH_TOKEN = 'a-shared-token-of-a-test'
const ROLES = ['viewer', 'operator', 'admin'] as const

describe('the role of a user', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const tokens: Record<string, string> = {}

  before(async () => {
    gateway = await gatewayFor(suite, {
      env: {
        ...LOGIN_ENV,
        ADMIN_TOKEN,
        WS_AUTH_TOKEN,
        WS_AUTH_REQUIRED: 'true',
        LIVE_TOPICS: 'audit.*',
        LIVE_TOPIC_ROLES: 'alerts:operator,audit.*:super_admin',
      },
    })
    for (const role of ROLES) {
      await addUser(gateway, `${role}@example.org`, role)
      const named = { email: `${role}@example.org`, password: PASSWORD }
      tokens[role] = (await post(gateway, '/api/auth/login', named)).body.access_token
    }
    tokens.token = ADMIN_TOKEN
  })

  const CALLS: [string, string, string][] = [
    ['POST', '/api/dashboard/websocket/broadcast?subscription=agents', 'admin'],
    ['POST', '/api/dashboard/websocket/disconnect/c1', 'admin'],
    ['POST', '/api/admin/disconnect', 'admin'],
    ['POST', '/api/preflight/run', 'operator'],
    ['GET', '/api/preflight/reports', 'operator'],
    ['GET', '/api/preflight/stats', 'operator'],
    ['GET', '/admin/monitoring', 'operator'],
  ]
  for (const [method, path, needed] of CALLS) {
    it(`${method} ${path} needs ${needed} or the admin token, and a denial is counted and logged`, async () => {
      const before = await gateway.metric('wsproxy_role_denials_total', { type: 'call' })
      let denials = 0
      for (const [who, token] of Object.entries(tokens)) {
        const headers = { ...bearer(token), accept: 'application/json' }
        const body = path.endsWith('/disconnect') ? { session: 's1' } : {}
        const { status, body: answer } = await (method === 'GET'
          ? get(gateway, path, headers)
          : post(gateway, path, body, headers))
        const isAllowed = who === 'token' || ROLES.indexOf(who as 'admin') >= ROLES.indexOf(needed as 'admin')
        if (isAllowed) assert.equal(status, 200, `${who} ${JSON.stringify(answer)}`)
        else assert.deepEqual([status, answer.error.code], [403, 'role-required'], who)
        denials += isAllowed || path === '/admin/monitoring' ? 0 : 1
      }
      assert.equal(await gateway.metric('wsproxy_role_denials_total', { type: 'call' }), before + denials)
    })
  }

  it('is in the log with the user, of a denial and of what was done', async () => {
    const { id } = (await get(gateway, '/api/auth/me', bearer(tokens.viewer!))).body
    assert.ok(gateway.log.some(({ event, actor }) => event === 'role-denied' && actor === id))
    const admin = (await get(gateway, '/api/auth/me', bearer(tokens.admin!))).body.id
    assert.ok(gateway.log.some(({ event, actor }) => event === 'admin-action' && actor === admin))
    assert.ok(gateway.log.some(({ event, actor }) => event === 'disconnected' && actor === admin))
  })

  it('is no help with a wrong, an ended or a foreign token', async () => {
    for (const token of [`${tokens.admin}x`, 'wrong-token-of-a-test', tokens.admin!.replace(/\.[^.]+$/, '.AAAA')]) {
      const { status } = await get(gateway, '/api/preflight/stats', bearer(token))
      assert.ok(status === 401 || status === 403, `${status}`)
    }
    const named = { email: 'admin@example.org', password: PASSWORD }
    const { access_token } = (await post(gateway, '/api/auth/login', named)).body
    await post(gateway, '/api/auth/logout', {}, bearer(access_token))
    const status = async () => (await get(gateway, '/api/preflight/stats', bearer(access_token))).status
    await eventually(async () => (await status()) === 401, 'the end of the login')
  })

  it('works where ADMIN_TOKEN is not set', async () => {
    const plain = await gatewayFor(suite, { redis: gateway.redis, env: LOGIN_ENV })
    // 503 until the revocations are read for the first time.
    const status = async () => (await get(plain, '/api/preflight/stats', bearer(tokens.operator!))).status
    await eventually(async () => (await status()) === 200, 'the answer to an operator')
    const anonymous = await get(plain, '/api/preflight/stats')
    assert.deepEqual([anonymous.status, anonymous.body.error.code], [401, 'login-required'])
  })

  const join = (token: string, topics: string) => connect(`${gateway.url}/live?subscriptions=${topics}`, { token })
  const granted: Record<string, readonly string[]> = {
    viewer: ['agents'],
    operator: ['agents', 'alerts'],
    admin: ['agents', 'alerts', 'audit.logins'],
    shared: ['agents'],
  }
  for (const [who, topics] of Object.entries(granted)) {
    it(`grants ${who} the topics ${topics.join(', ')}, at the start and later`, async () => {
      const token = who === 'shared' ? WS_AUTH_TOKEN : tokens[who]!
      const before = await gateway.metric('wsproxy_role_denials_total', { type: 'topic' })
      const client = await join(token, 'agents,alerts,audit.logins')
      const { subscriptions } = await client.find({ type: 'connection_established' })
      assert.deepEqual(subscriptions, topics)
      client.send({ type: 'subscribe', subscriptions: ['alerts'], correlation_id: 'c' })
      await client.find({ type: 'subscription_updated' })
      await gateway.agent.publish(liveChannel('alerts'), '{"n":1}')
      await gateway.agent.publish(liveChannel('agents'), '{"n":2}')
      await client.find({ type: 'agent_update' })
      const heard = client.values.map(({ type }) => type)
      assert.equal(heard.includes('alerts_update'), topics.includes('alerts'), heard.join())
      const denied = 3 - topics.length + (topics.includes('alerts') ? 0 : 1)
      assert.equal(await gateway.metric('wsproxy_role_denials_total', { type: 'topic' }), before + denied)
      await client.close()
    })
  }
})
