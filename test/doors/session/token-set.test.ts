import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { runAuth, sessionAuth, sessionDown } from '../../../src/contract/names.ts'
import { connect, refused } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'

describe('several tokens for one session', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway
  before(async () => {
    redis = await redisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { RUN_AUTH: 'bearer' } })
  })

  it('two clients enter, each with its own token, and a used one is refused', async () => {
    const { agent, sessionUrl } = gateway
    await agent.sAdd(sessionAuth('pair'), ['token-a', 'token-b'])
    const a = await connect(sessionUrl('pair'), { token: 'token-a' })
    assert.equal((await refused(sessionUrl('pair'), { token: 'token-a' })).code, 'token-rejected')
    const b = await connect(sessionUrl('pair'), { token: 'token-b' })
    await agent.publish(sessionDown('pair'), '{"n":1}')
    for (const client of [a, b]) {
      assert.deepEqual(await client.take(1), ['{"n":1}'])
      await client.close()
    }
    assert.equal((await refused(sessionUrl('pair'), { token: 'token-b' })).code, 'token-rejected')
  })

  it('of many upgrades with one token of the set exactly one succeeds, on two gateways', async (t) => {
    const other = await gatewayFor(t, { redis })
    await gateway.agent.sAdd(sessionAuth('race'), ['token-a', 'token-b'])
    const urls = Array.from({ length: 20 }, (_, i) => (i % 2 ? gateway : other).sessionUrl('race'))
    const tries = await Promise.allSettled(urls.map((url) => connect(url, { token: 'token-a' })))
    const opened = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    assert.equal(opened.length, 1)
    const b = await connect(gateway.sessionUrl('race'), { token: 'token-b' })
    for (const client of [...opened, b]) await client.close()
  })

  it('with a grace a used token opens again, and the life of the other does not change', async (t) => {
    const graced = await gatewayFor(t, { redis, env: { AUTH_RECONNECT_GRACE: '30s' } })
    const key = sessionAuth('grace')
    await graced.agent.sAdd(key, ['token-a', 'token-b'])
    await graced.agent.expire(key, 1000)
    for (let i = 0; i < 2; i++) await (await connect(graced.sessionUrl('grace'), { token: 'token-a' })).close()
    assert.ok((await graced.agent.pTTL(key)) > 900_000)
    const used = await graced.agent.keys(`${key}:*`)
    assert.equal(used.length, 1)
    assert.ok((await graced.agent.pTTL(used[0]!)) <= 30_000)
    await graced.agent.del(used)
    assert.equal((await refused(graced.sessionUrl('grace'), { token: 'token-a' })).code, 'token-rejected')
  })

  it('the run door takes sets too, and the log says why a set of more than 1,000 is not read', async () => {
    const { agent, url, log } = gateway
    await agent.sAdd(runAuth('run-set'), ['token-a', 'token-b'])
    const client = await connect(`${url}/run-set`, { token: 'token-b' })
    await client.find({ type: 'preflight' })
    await client.close()
    await agent.sAdd(
      runAuth('run-many'),
      Array.from({ length: 1001 }, (_, i) => `token-${i}`),
    )
    assert.equal((await refused(`${url}/run-many`, { token: 'token-1' })).code, 'token-rejected')
    assert.ok(log.some(({ event, why }) => event === 'refused' && /more than 1,000 members/.test(String(why))))
  })
})
