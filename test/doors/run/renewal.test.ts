import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { runAuth } from '../../../src/contract/names.ts'
import { connect, type TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { eventually, within } from '../../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds
const at = (seconds: number) => new Date(seconds * 1000).toISOString()

describe('a new JWT on the run door', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let redis: TestRedis
  let gateway: TestGateway
  const start = (more: object = {}) =>
    gatewayFor(suite, {
      redis,
      env: {
        ...{ AUTH_JWT_SECRET: SECRET, AUTH_JWT_SKEW: '1s', AUTH_EXPIRY_NOTICE: '2s', RUN_AUTH: 'bearer' },
        ...{ LOG_LEVEL: 'trace', ...more },
      },
    })
  before(async () => {
    redis = await redisFor(suite)
    gateway = await start()
  })

  const join = (run: string, claims: object): Promise<TestClient> =>
    connect(`${gateway.url}/${run}`, { token: tokenOf(signer, { run_id: run, ...claims }) })

  /** Sends a frame, and returns the answer. The token in it must not be logged or sent. */
  async function answerTo(client: TestClient, token: unknown): Promise<Record<string, unknown>> {
    const count = () => client.values.filter(({ type }) => type === 'auth_ok' || type === 'error').length
    const before = count()
    client.send(JSON.stringify({ type: 'auth', token }))
    await eventually(() => count() > before, 'an answer')
    assert.ok(!JSON.stringify([gateway.log, client.frames]).includes(String(token)), 'nothing shows the token')
    return client.values.findLast(({ type }) => type === 'auth_ok' || type === 'error')!
  }

  it('keeps the socket open past the former exp, and gets a notice of its own', async () => {
    const former = inSeconds(3)
    const client = await join('run-1', { sub: 'u1', exp: former })
    assert.equal((await client.find({ type: 'auth_expiring' })).expires_at, at(former))
    const exp = former + 4
    const answer = await answerTo(client, tokenOf(signer, { run_id: ['run-0', 'run-1'], sub: 'u1', exp }))
    assert.deepEqual(answer, { type: 'auth_ok', expires_at: at(exp) })
    await client.find({ type: 'auth_expiring', expires_at: at(exp) })
    assert.ok(Date.now() > (former + 1) * 1000, 'the former end has passed')
    assert.deepEqual(await within(client.closed, 'the close'), { code: 4401, reason: 'expired retry=0' })
    assert.deepEqual(client.values.at(-1), { type: 'hangup' })
  })

  it('is refused for another run, another sub, with a wrong key and without a text', async () => {
    const client = await join('run-2', { sub: 'u1', exp: inSeconds(60) })
    const wrong = [
      tokenOf(signer, { run_id: 'run-3', sub: 'u1' }),
      tokenOf(signer, { run_id: 'run-2', sub: 'u2' }),
      tokenOf(signer, { session_id: 'run-2', sub: 'u1' }),
      tokenOf(secretSigner('x'.repeat(40)), { run_id: 'run-2', sub: 'u1' }),
      17_017_017,
    ]
    for (const token of wrong) {
      const { type, code } = await answerTo(client, token)
      assert.deepEqual({ type, code }, { type: 'error', code: 'auth-rejected' })
    }
    const { type } = await answerTo(client, tokenOf(signer, { run_id: 'run-2', sub: 'u1' }))
    assert.equal(type, 'auth_ok')
    await client.close()
  })

  it('changes nothing for a client that came without a JWT', async () => {
    await redis.client().then((client) => client.set(runAuth('run-4'), 'redis-token'))
    const client = await connect(`${gateway.url}/run-4`, { token: 'redis-token' })
    client.send(JSON.stringify({ type: 'auth', token: tokenOf(signer, { run_id: 'run-4' }) }))
    const open = await start({ RUN_AUTH: 'none', RUN_PING_INTERVAL: '200ms' })
    const other = await connect(`${open.url}/run-4`, { token: tokenOf(signer, { run_id: 'run-4', exp: inSeconds(1) }) })
    other.send(JSON.stringify({ type: 'auth', token: 'x' }))
    await other.find({ type: 'ping' })
    await eventually(() => other.values.filter(({ type }) => type === 'ping').length > 10, 'pings past exp and skew')
    for (const { values } of [client, other])
      assert.ok(values.every(({ type }) => type === 'preflight' || type === 'ping'))
    assert.deepEqual([client.code, other.code], [undefined, undefined])
    await Promise.all([client.close(), other.close()])
  })
})
