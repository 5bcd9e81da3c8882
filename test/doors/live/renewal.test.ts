import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { answersTo, live, tell, topicsOf, untilHeard } from '../../support/live.ts'
import { scopeOf } from '../../support/scope.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { eventually, within } from '../../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const SHARED = 'shared-token-of-the-tests'
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds
const at = (seconds: number) => new Date(seconds * 1000).toISOString()

describe('a new JWT on an open live socket', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let gateway: TestGateway

  before(async () => {
    const env = { WS_AUTH_REQUIRED: 'true', WS_AUTH_TOKEN: SHARED, AUTH_JWT_SKEW: '1s', AUTH_EXPIRY_NOTICE: '2s' }
    gateway = await gatewayFor(suite, { env: { ...env, AUTH_JWT_SECRET: SECRET, LOG_LEVEL: 'trace' } })
  })

  const enter = (claims: object) => live(gateway, '/live', { token: tokenOf(signer, claims) })
  const renew = (client: TestClient, claims: object) =>
    answersTo(client, { type: 'auth', token: tokenOf(signer, claims), correlation_id: 'again' })

  it('keeps it open past the former exp, after a notice, and is logged nowhere', async () => {
    const former = inSeconds(3)
    const client = await enter({ topics: '*', exp: former })
    const notice = await client.find({ type: 'auth_expiring' })
    assert.equal(notice.expires_at, at(former))
    assert.ok(Number(notice.in_ms) > 0 && Number(notice.in_ms) <= 2000, String(notice.in_ms))
    const exp = inSeconds(60)
    const [ok] = await renew(client, { topics: '*', exp })
    assert.deepEqual([ok!.type, ok!.expires_at, ok!.correlation_id], ['auth_ok', at(exp), 'again'])
    assert.ok(!JSON.stringify(gateway.log).includes(tokenOf(signer, { topics: '*', exp })))
    await eventually(() => Date.now() > (former + 1) * 1000 + 600, 'the former exp to pass', 10_000)
    assert.equal(client.code, undefined)
    await client.close()
  })

  it('without one, or with a wrong one, the socket ends at its exp', async () => {
    const client = await enter({ topics: '*', sub: 'u1', exp: inSeconds(2) })
    await client.find({ type: 'auth_expiring' })
    for (const claims of [{ topics: '*', sub: 'u2' }, { sub: 'u1' }, { topics: [], sub: 'u1' }]) {
      const [error] = await renew(client, claims)
      assert.deepEqual([error!.code, error!.correlation_id], ['auth-rejected', 'again'])
    }
    const [malformed] = await answersTo(client, { type: 'auth', token: { secret: 'not-shown' } })
    assert.equal(malformed!.code, 'protocol-violation')
    assert.ok(!String(malformed!.message).includes('not-shown'))
    assert.deepEqual(await within(client.closed, 'the close'), { code: 4401, reason: 'expired retry=0' })
  })

  it('with fewer topics takes the others away, and more can be asked for', async () => {
    const client = await enter({ topics: ['alerts', 'system', 'tasks'] })
    await answersTo(client, { type: 'subscribe', topic: 'alerts' })
    assert.deepEqual(await topicsOf(client), ['alerts', 'system', 'tasks'])
    const answers = await renew(client, { topics: ['system', 'agents'] })
    const [ok, ...lost] = answers.map(({ type, topic, reason }) => [type, topic, reason])
    assert.deepEqual(ok, ['auth_ok', undefined, undefined])
    assert.deepEqual(lost.sort(), [
      ['unsubscribed', 'alerts', 'forbidden'],
      ['unsubscribed', 'tasks', 'forbidden'],
    ])
    assert.deepEqual(await topicsOf(client), ['system'])
    await untilHeard(gateway, 'live:alerts', 0)
    await tell(gateway, 'live:system', { n: 1 })
    await client.find({ subscription: 'system' })
    const [denied] = await answersTo(client, { type: 'subscribe', topic: 'alerts' })
    assert.equal(denied!.code, 'forbidden')
    // A pong may overtake the answer, which waits for Redis.
    client.send({ type: 'subscribe', topic: 'agents' })
    await client.find({ type: 'subscribed', topic: 'agents' })
    await client.close()
  })

  it('counts for a topic whose answer still waits', async () => {
    const client = await enter({ topics: ['system', 'alerts'] })
    const before = client.frames.length
    // Both are in one chunk, so that Redis cannot confirm the topic between them.
    client.send({ type: 'subscribe', topic: 'alerts', id: 7 })
    client.send({ type: 'auth', token: tokenOf(signer, { topics: 'system' }) })
    await client.find({ type: 'auth_ok' })
    assert.deepEqual(await topicsOf(client), ['system'])
    const of = client.values.slice(before).filter(({ id, topic }) => id === 7 || topic === 'alerts')
    const last = of.at(-1)!
    assert.ok(last.code === 'forbidden' || last.reason === 'forbidden', JSON.stringify(of))
    await client.close()
  })

  it('is refused on the socket of the shared token', async () => {
    const client = await live(gateway, '/live', { token: SHARED })
    const before = await topicsOf(client)
    assert.equal((await renew(client, { topics: 'system' }))[0]!.code, 'auth-rejected')
    assert.deepEqual(await topicsOf(client), before)
    await client.close()
  })
})
