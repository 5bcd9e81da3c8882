import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { connect, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type KeyServer, keyServerFor, keySetText } from '../support/key-server.ts'
import { live } from '../support/live.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { newSigners, type Signer, secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

const COOLDOWN_MS = 1000
const SECRET = randomBytes(24).toString('hex')

/** New ES256 keys, each with a `kid` of its own. */
const newKeys = (count: number): Signer[] => Array.from({ length: count }, () => newSigners()[2]!)
let serial = 0
function renamed(signer: Signer): Signer {
  const id = `key-${++serial}`
  const jwk = JSON.stringify({ ...JSON.parse(String(signer.exposed[1])), kid: id })
  return { ...signer, id, exposed: [signer.exposed[0]!, Buffer.from(jwk)] }
}

describe('JWTs whose keys come from a URL', () => {
  const suite = scopeOf(after)
  const signers = newKeys(6).map(renamed)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })

  async function start(env: Record<string, string> = {}): Promise<{ gateway: TestGateway; server: KeyServer }> {
    const server = await keyServerFor(suite)
    const settings = { AUTH_JWKS_URL: server.url, AUTH_JWKS_COOLDOWN: `${COOLDOWN_MS}ms`, AUTH_JWT_AUDIENCE: 'chat' }
    return { server, gateway: await gatewayFor(suite, { redis, env: { ...settings, ...env } }) }
  }

  const tokenFor = (signer: Signer, claims: object = {}) =>
    tokenOf(signer, { aud: 'chat', session_id: 'k1', ...claims })
  const codeFor = async ({ sessionUrl }: TestGateway, signer: Signer) =>
    (await refused(sessionUrl('k1'), { token: tokenFor(signer) })).code

  it('wait for the first answer, on every door', async () => {
    const { gateway, server } = await start({ WS_AUTH_REQUIRED: 'true', RUN_AUTH: 'bearer' })
    server.answer = (_, response) => void setTimeout(() => response.end(keySetText(signers.slice(0, 1))), 500)
    await eventually(() => gateway.log.some(({ event }) => event === 'jwks-not-fetched'), 'the first fetch to fail')
    const token = tokenFor(signers[0]!, { run_id: 'run-k', topics: '*' })
    const clients = await Promise.all([
      connect(gateway.sessionUrl('k1'), { token }),
      connect(`${gateway.url}/run-k`, { token }),
      live(gateway, '/live', { token }),
    ])
    for (const client of clients) await client.close()
  })

  it('get 503 keys-unavailable while the URL does not answer, and enter when it does', async () => {
    const { gateway, server } = await start()
    assert.equal(await codeFor(gateway, signers[0]!), 'keys-unavailable')
    server.publish(signers.slice(0, 1))
    const enters = () =>
      connect(gateway.sessionUrl('k1'), { token: tokenFor(signers[0]!) }).then(
        (client) => client.close().then(() => true),
        () => false,
      )
    await eventually(enters, 'the keys', 10_000)
    assert.equal(await codeFor(gateway, signers[1]!), 'token-rejected')
    // The keys that are there count on.
    server.answer = (_, response) => void response.writeHead(500).end()
    await eventually(async () => (await codeFor(gateway, signers[1]!)) === 'keys-unavailable', 'a failed fetch')
    assert.equal(await enters(), true)
  })

  describe('in requests over HTTP', () => {
    const env = { STREAM_APPEND: 'true', OUTBOX_TOPICS: 'tasks' }
    const envelope = {
      topic: 'tasks',
      envelope: { correlation_id: randomUUID(), op: 'update', domain: 'tasks', id: '1' },
    }
    const calls = ['PUT /agent-1/stream/k1', 'GET /agent-1/stream/k1', 'POST /agent-1/sse/k1', 'POST /api/outbox']
    const ask = ({ http }: TestGateway, call: string) => {
      const [method = '', path = ''] = call.split(' ')
      const claims = { sub: 'ann', publish: true, publish_topics: 'tasks' }
      const headers = { authorization: `Bearer ${tokenFor(signers[0]!, claims)}`, 'content-type': 'application/json' }
      // The body is larger than what comes with the head.
      const filler = ' '.repeat(100_000)
      const body =
        method === 'GET'
          ? null
          : `${path === '/api/outbox' ? JSON.stringify([{ ...envelope, envelope: { ...envelope.envelope, ts: Date.now() } }]) : '{}'}${filler}`
      return fetch(`${http}${path}`, { method, headers, body })
    }

    it('wait for the first answer', async () => {
      const { gateway, server } = await start(env)
      server.answer = (_, response) => void setTimeout(() => response.end(keySetText(signers.slice(0, 1))), 500)
      await eventually(() => gateway.log.some(({ event }) => event === 'jwks-not-fetched'), 'the first fetch to fail')
      const [put, ...others] = await Promise.all(calls.map((call) => ask(gateway, call)))
      assert.equal(put!.status, 201)
      // The stream may not be there yet for its reader.
      assert.match(String(others[0]!.status), /^(200|404)$/)
      assert.deepEqual([others[1]!.status, others[2]!.status], [202, 200])
      assert.match(await others[2]!.text(), /"type":"published"/)
    })

    it('get 503 with Retry-After while the URL does not answer', async () => {
      const { gateway } = await start(env)
      for (const call of calls) {
        const answer = await ask(gateway, call)
        assert.deepEqual([call, answer.status], [call, 503])
        assert.match(await answer.text(), /"keys-unavailable"/)
        assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/)
      }
    })
  })

  it('are refused for what hangs only after HANDSHAKE_TIMEOUT, and hold no place afterwards', async () => {
    const { gateway, server } = await start({ HANDSHAKE_TIMEOUT: '1s', MAX_CONNECTIONS_PER_IP: '1' })
    await eventually(() => gateway.log.some(({ event }) => event === 'jwks-not-fetched'), 'the first fetch to fail')
    server.answer = () => {}
    await eventually(async () => (await codeFor(gateway, signers[0]!)) === 'keys-unavailable', 'the refusal', 15_000)
    await (await gateway.join('k2')).close()
  })

  it('cause a fetch only for algorithms that a key set can have, and one in a cooldown', async () => {
    const { gateway, server } = await start({ AUTH_JWKS_COOLDOWN: '1h', AUTH_JWT_SECRET: SECRET })
    server.publish(signers.slice(0, 1))
    await eventually(
      () => gateway.log.some(({ event, keys }) => event === 'jwt-keys' && keys === 2),
      'the keys',
      10_000,
    )
    const asked = server.asked()
    const stranger = secretSigner(randomBytes(24).toString('hex'))
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}.AA`
    for (const token of [tokenFor(stranger), none]) {
      const { code } = await refused(gateway.sessionUrl('k1'), { token })
      assert.equal(code, 'token-rejected')
    }
    assert.equal(server.asked(), asked)
    const flood = Array.from({ length: 200 }, () => codeFor(gateway, renamed(signers[1]!)))
    assert.deepEqual([...new Set(await Promise.all(flood))], ['token-rejected'])
    assert.ok(server.asked() <= asked + 1, `${server.asked() - asked} fetches`)
    assert.equal((await connect(gateway.sessionUrl('k1'), { token: tokenFor(signers[0]!) })).code, undefined)
  })

  it('lose none while the keys rotate under load', { timeout: 60_000 }, async () => {
    const { gateway, server } = await start()
    server.publish(signers.slice(0, 1))
    let current = signers[0]!
    let isOver = false
    const refusals: unknown[] = []
    let accepted = 0
    const load = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const token = tokenFor(current, { jti: String(Math.random()) })
        await connect(gateway.sessionUrl('k1'), { token }).then(
          (client) => {
            accepted++
            return client.close()
          },
          (error: unknown) => void refusals.push(error),
        )
      }
    })
    for (const [index, next] of signers.slice(1).entries()) {
      // The provider signs with a key as soon as it is published, and drops older ones.
      const asked = server.asked()
      server.publish([signers[index]!, next], { 'cache-control': 'max-age=0' })
      current = next
      await eventually(() => server.asked() > asked, 'the fetch for the new key')
      const before = accepted
      const until = Date.now() + COOLDOWN_MS
      await eventually(() => Date.now() > until && accepted > before + 50, 'the load', 20_000)
    }
    isOver = true
    await Promise.all(load)
    assert.deepEqual(refusals, [])
    assert.ok(server.asked() <= signers.length + 1, `${server.asked()} fetches`)
  })
})
