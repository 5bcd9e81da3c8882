import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { connect, refused } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { answersTo, live, tell, topicsOf } from '../../support/live.ts'
import { scopeOf } from '../../support/scope.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { within } from '../../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')

describe('a JWT on the live door', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let gateway: TestGateway

  before(async () => {
    const env = { WS_AUTH_REQUIRED: 'true', LIVE_REFUSE: 'http', LIVE_TOPICS: 'build.*', AUTH_JWT_SKEW: '1s' }
    gateway = await gatewayFor(suite, { env: { ...env, AUTH_JWT_SECRET: SECRET } })
  })

  const enter = (topics: unknown, query = '') => live(gateway, `/live${query}`, { token: tokenOf(signer, { topics }) })

  it('opens the topics of its claim, and starts with those of the view among them', async () => {
    const client = await enter(['system', 'build.*'])
    assert.deepEqual(await topicsOf(client), ['system'])
    const before = client.frames.length
    client.send({ type: 'subscribe', subscriptions: ['build.one', 'alerts', 'nothing'], correlation_id: 'several' })
    // The answer waits until Redis has confirmed the topic.
    await client.find({ type: 'subscription_updated', correlation_id: 'several' })
    assert.deepEqual(
      client.values.slice(before).map(({ type, code, subscriptions }) => subscriptions ?? code ?? type),
      ['unknown-topic', 'forbidden', ['build.one', 'system']],
    )
    const [one] = await answersTo(client, { type: 'subscribe', topic: 'tasks' })
    assert.equal(one!.code, 'forbidden')
    await tell(gateway, 'live:alerts', { n: 1 })
    await tell(gateway, 'live:build.one', { n: 2 })
    await client.find({ subscription: 'build.one' })
    assert.ok(!client.values.some(({ subscription }) => subscription === 'alerts'))
    await client.close()
  })

  it('reports the topics of the query that it does not grant', async () => {
    const client = await enter('build.*', '?subscriptions=build.two,alerts')
    await client.find({ type: 'error', code: 'forbidden' })
    assert.deepEqual(await topicsOf(client), ['build.two'])
    await client.close()
  })

  it('gets data only with all topics', async () => {
    const [some, all] = [await enter('agents'), await enter('*')]
    const request = { type: 'request_data', data_type: 'agent_status' }
    assert.equal((await answersTo(some, request))[0]!.code, 'forbidden')
    assert.notEqual((await answersTo(all, request))[0]?.type, 'error')
    for (const client of [some, all]) await client.close()
  })

  it('without topics, with no valid signature or no token at all does not enter', async () => {
    const url = `${gateway.url}/live`
    const other = secretSigner(randomBytes(24).toString('hex'))
    for (const token of [tokenOf(signer, { session_id: 's1' }), tokenOf(signer, { topics: [] }), 'plain'])
      assert.equal((await refused(url, { token })).code, 'token-rejected')
    assert.equal((await refused(url, { token: tokenOf(other, { topics: '*' }) })).code, 'token-rejected')
    assert.equal((await refused(url)).code, 'credentials-missing')
  })

  it('is closed with 4401 after its exp, after a notice of the disconnect', async () => {
    const exp = Math.floor(Date.now() / 1000) + 1
    const client = await connect(`${gateway.url}/live`, { token: tokenOf(signer, { topics: '*', exp }) })
    assert.deepEqual(await within(client.closed, 'the close'), { code: 4401, reason: 'expired retry=0' })
    assert.deepEqual([client.values.at(-1)!.type, client.values.at(-1)!.reason], ['disconnect_notice', 'expired'])
  })

  it('and the shared token open the door side by side', async () => {
    const env = { WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: 'shared-token-of-the-tests', AUTH_JWT_SECRET: SECRET }
    const both = await gatewayFor(suite, { redis: gateway.redis, env })
    for (const token of ['shared-token-of-the-tests', tokenOf(signer, { topics: 'system' })])
      await (await live(both, '/live', { token })).close()
  })
})
