import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { sessionUp } from '../../src/contract/names.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually, within } from '../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds
const at = (seconds: number) => new Date(seconds * 1000).toISOString()
const authFrame = (token: unknown) => JSON.stringify({ type: 'control', command: 'auth', token })

describe('a new JWT on an open session', () => {
  const suite = scopeOf(after)
  const signer = secretSigner(SECRET)
  let redis: TestRedis
  let gateway: TestGateway
  const published: string[] = []

  before(async () => {
    redis = await redisFor(suite)
    const env = {
      AUTH_JWT_SECRET: SECRET,
      AUTH_JWT_SKEW: '1s',
      AUTH_EXPIRY_NOTICE: '2s',
      LOG_LEVEL: 'trace',
    }
    gateway = await gatewayFor(suite, { redis, env })
    const agent = await redis.client()
    await agent.pSubscribe(sessionUp('*'), (message) => published.push(message))
  })

  const join = (session: string, claims: object, protocol = 'wsproxy.v1'): Promise<TestClient> =>
    connect(gateway.sessionUrl(session), {
      token: tokenOf(signer, { session_id: session, ...claims }),
      protocols: [protocol],
    })

  /** Sends a token, expects the answer, and that the token went nowhere else. */
  async function answerTo(client: TestClient, token: string, frame = authFrame(token)): Promise<unknown> {
    const before = client.values.length
    client.send(frame)
    await eventually(() => client.values.length > before, 'an answer')
    assert.ok(!JSON.stringify(gateway.log).includes(token), 'the log holds no token')
    assert.ok(!client.frames.slice(before).join('').includes(token), 'the answer holds no token')
    const { command, code, expires_at } = client.values[before]!
    return code ?? [command, expires_at]
  }

  for (const protocol of ['wsproxy.v1', 'wsproxy.v2'])
    it(`keeps it open past the former exp, and is not published, with ${protocol}`, async () => {
      const former = inSeconds(3)
      const client = await join('r1', { sub: 'u1', exp: former }, protocol)
      await client.find({ command: 'auth_expiring' })
      const exp = inSeconds(60)
      const token = tokenOf(signer, { session_id: ['r0', 'r1'], sub: 'u1', exp })
      client.send('{"before":1}')
      client.send(authFrame(token))
      client.send('{"behind":1}')
      assert.equal((await client.find({ command: 'auth_ok' })).expires_at, at(exp))
      await eventually(() => published.includes('{"behind":1}'), 'the frame behind it')
      assert.ok(!published.join('').includes(token))
      await eventually(() => Date.now() > (former + 1) * 1000 + 600, 'the former exp to pass', 10_000)
      assert.equal(client.code, undefined)
      assert.equal(client.values.filter(({ command }) => command === 'auth_expiring').length, 1)
      published.length = 0
      await client.close()
    })

  it('gets a second notice and the close when the new one ends, also when that is earlier', async () => {
    const client = await join('r2', { exp: inSeconds(60) })
    const exp = inSeconds(3)
    await answerTo(client, tokenOf(signer, { session_id: 'r2', exp }))
    assert.equal((await client.find({ command: 'auth_expiring' })).expires_at, at(exp))
    assert.equal((await within(client.closed, 'the close')).reason, 'expired retry=0')
  })

  it('is refused with another sub, another session or agent, a wrong key, past its exp, and without a text', async () => {
    const client = await join('r3', { sub: 'u1', agent_id: 'agent-1', exp: inSeconds(60) })
    const stranger = secretSigner(randomBytes(24).toString('hex'))
    const right = { session_id: 'r3', sub: 'u1' }
    const refused = [
      tokenOf(signer, { ...right, sub: 'u2' }),
      tokenOf(signer, { session_id: 'r3' }),
      tokenOf(signer, { ...right, session_id: 'r4' }),
      tokenOf(signer, { ...right, agent_id: 'agent-2' }),
      tokenOf(signer, { ...right, exp: inSeconds(-5) }),
      tokenOf(stranger, right),
      'no-token',
      `${tokenOf(signer, right)}${'a'.repeat(17_000)}`,
    ]
    for (const token of refused) assert.equal(await answerTo(client, token), 'auth-rejected')
    const long = authFrame(tokenOf(signer, { ...right, sub: 'x' })).replace('{', `{"pad":"${'x'.repeat(50_000)}",`)
    for (const frame of [authFrame(7), '{"type":"control","command":"auth"}', long])
      assert.equal(await answerTo(client, 'none', frame), 'auth-rejected')
    assert.deepEqual(await answerTo(client, tokenOf(signer, right)), ['auth_ok', undefined])
    assert.deepEqual(published, [])
    await client.close()
  })

  it('is recognised with escapes, other members, repeated members and a number', async () => {
    const client = await join('r4', { exp: inSeconds(60) }, 'wsproxy.v2')
    const token = tokenOf(signer, { session_id: 'r4' })
    const frames = [
      `{"type":"control","command":"\\u0061uth","token":"${token}"}`,
      `{"command":"ping","type":"control", "command" : "auth","x":[{"type":"ping"}],"token":"${token}"}`,
      `7 ${authFrame(token)}`,
    ]
    for (const frame of frames) assert.deepEqual(await answerTo(client, token, frame), ['auth_ok', undefined])
    const other = '{"type":"control","command":"other","auth":"auth","token":"t"}'
    client.send(other)
    await eventually(() => published.length > 0, 'the frame that is none')
    assert.deepEqual(published, [other])
    published.length = 0
    await client.close()
  })

  it('sets whether the client may send', async () => {
    const client = await join('r5', { up: false })
    const token = (up: boolean) => tokenOf(signer, { session_id: 'r5', up })
    assert.equal(await answerTo(client, 'none', '{"n":1}'), 'forbidden')
    assert.deepEqual(await answerTo(client, token(true)), ['auth_ok', undefined])
    client.send('{"n":2}')
    await eventually(() => published.length > 0, 'the frame of the writer')
    assert.deepEqual(await answerTo(client, token(false)), ['auth_ok', undefined])
    assert.equal(await answerTo(client, 'none', '{"n":3}'), 'forbidden')
    assert.deepEqual(published, ['{"n":2}'])
    published.length = 0
    await client.close()
  })

  it('is a frame as any other on the socket of another token', async () => {
    const client = await gateway.join('r6')
    const frame = authFrame('mine')
    client.send(frame)
    await eventually(() => published.includes(frame), 'the frame')
    published.length = 0
    await client.close()
  })

  it('is wanted after AUTH_JWT_MAX_LIFETIME, with a far exp and with none', async () => {
    const env = {
      AUTH_JWT_SECRET: SECRET,
      AUTH_JWT_SKEW: '0',
      AUTH_EXPIRY_NOTICE: '1s',
      AUTH_JWT_MAX_LIFETIME: '2s',
    }
    const short = await gatewayFor(suite, { redis, env })
    const enter = (claims: object) =>
      connect(short.sessionUrl('r7'), { token: tokenOf(signer, { session_id: 'r7', ...claims }) })
    const startedAt = Date.now()
    const clients = await Promise.all([enter({}), enter({ exp: inSeconds(600) }), enter({})])
    const renewed = clients.pop()!
    await renewed.find({ command: 'auth_expiring' })
    renewed.send(authFrame(tokenOf(signer, { session_id: 'r7' })))
    const { expires_at } = await renewed.find({ command: 'auth_ok' })
    for (const client of clients) {
      await client.find({ command: 'auth_expiring' })
      assert.deepEqual(await within(client.closed, 'the close'), { code: 4401, reason: 'expired retry=0' })
    }
    const livedMs = Date.now() - startedAt
    assert.ok(livedMs >= 2000 && livedMs < 4500, `${livedMs} ms`)
    assert.equal(renewed.code, undefined)
    await within(renewed.closed, 'the close of the renewed one')
    assert.ok(Date.now() >= Date.parse(String(expires_at)))
  })
})
