import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runAuth, sessionAuth, sessionDown, sessionUp } from '../../src/contract/names.ts'
import { connect, refused } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { newSigners, secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

const SECRET = randomBytes(24).toString('hex')
const NEXT_SECRET = randomBytes(24).toString('hex')
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

describe('JWTs', () => {
  const suite = scopeOf(after)
  const [old, next] = [secretSigner(SECRET), secretSigner(NEXT_SECRET)]
  let redis: TestRedis
  let gateway: TestGateway

  before(async () => {
    redis = await redisFor(suite)
    const env = {
      AUTH_JWT_SECRET: `${NEXT_SECRET} ${SECRET}`,
      AUTH_JWT_SKEW: '1s',
      RUN_AUTH: 'bearer',
      LOG_LEVEL: 'trace',
    }
    gateway = await gatewayFor(suite, { redis, env })
  })

  const refusalOf = async (url: string, token: string, on = gateway): Promise<unknown[]> => {
    const { status, code } = await refused(url, { token })
    assert.ok(!JSON.stringify(on.log).includes(token), 'the log holds no token')
    return [status, code]
  }

  it('open the sessions of their claims, as often as wanted, without a token in Redis', async () => {
    const token = tokenOf(old, { session_id: ['j1', 'j2'], exp: inSeconds(60) })
    for (const session of ['j1', 'j2', 'j1']) {
      const client = await connect(gateway.sessionUrl(session), { token })
      await gateway.agent.publish(sessionDown(session), 'hello')
      assert.deepEqual(await client.take(1), ['hello'])
      await client.close()
    }
    assert.deepEqual(await refusalOf(gateway.sessionUrl('j3'), token), [403, 'token-rejected'])
  })

  it('open a session without exp, as the Rust wsproxy makes them, and as a subprotocol', async () => {
    const token = tokenOf(next, { session_id: 'j4', iat: inSeconds(0) }, { alg: 'HS256', typ: 'JWT' })
    const bearer = `bearer.${Buffer.from(token).toString('base64url')}`
    for (const protocol of ['wsproxy.v1', 'wsproxy.v2'])
      await (await connect(gateway.sessionUrl('j4'), { protocols: [protocol, bearer] })).close()
  })

  it('are never looked up in Redis, even when their text stands there', async () => {
    const token = tokenOf(old, { session_id: 'other' })
    await gateway.token('j5', token)
    assert.deepEqual(await refusalOf(gateway.sessionUrl('j5'), token), [403, 'token-rejected'])
    assert.equal(await gateway.agent.exists(sessionAuth('j5')), 1)
  })

  it('leave tokens of Redis as they are', async () => {
    for (const token of ['plain', 'two.parts', 'four.parts.of.it', 'a.b.c!'])
      await (await connect(gateway.sessionUrl('j6'), { token: await gateway.token('j6', token) })).close()
  })

  it('that have expired get 401, those of another key 403, and the log says why', async () => {
    const url = gateway.sessionUrl('j7')
    assert.deepEqual(await refusalOf(url, tokenOf(old, { session_id: 'j7', exp: inSeconds(-5) })), [
      401,
      'token-expired',
    ])
    const stranger = secretSigner(randomBytes(24).toString('hex'))
    assert.deepEqual(await refusalOf(url, tokenOf(stranger, { session_id: 'j7' })), [403, 'token-rejected'])
    const why = gateway.log.filter(({ event }) => event === 'refused').map((line) => JSON.stringify(line))
    assert.ok(
      why.some((line) => line.includes('its exp has passed')),
      why.join('\n'),
    )
  })

  it('with an agent_id open the paths of that agent only', async () => {
    const token = tokenOf(old, { session_id: 'j8', agent_id: 'agent-2' })
    await (await connect(gateway.sessionUrl('j8', 'agent-2'), { token })).close()
    assert.deepEqual(await refusalOf(gateway.sessionUrl('j8', 'agent-1'), token), [403, 'token-rejected'])
  })

  it('with up:false refuse what the client sends, and answer its pings', async () => {
    const heard: string[] = []
    const agent = await redis.client()
    await agent.subscribe(sessionUp('j9'), (message) => heard.push(message))
    const reader = await connect(gateway.sessionUrl('j9'), { token: tokenOf(old, { session_id: 'j9', up: false }) })
    for (const frame of [{ n: 1 }, { type: 'control', command: 'cancel' }, { type: 'ping' }]) reader.send(frame)
    await reader.take(3)
    assert.deepEqual(
      reader.values.map(({ type, code }) => code ?? type),
      ['forbidden', 'forbidden', 'pong'],
    )
    const numbered = await connect(gateway.sessionUrl('j9'), {
      token: tokenOf(old, { session_id: 'j9', up: false }),
      protocols: ['wsproxy.v2'],
    })
    numbered.send('1 {"type":"control","command":"cancel","run":"r1"}')
    assert.equal((await numbered.find({ n: 1 })).error, 'forbidden')
    assert.equal(await gateway.agent.exists('session:j9:cancel'), 0)
    const writer = await connect(gateway.sessionUrl('j9'), { token: tokenOf(old, { session_id: 'j9', up: true }) })
    writer.send('{"n":2}')
    await eventually(() => heard.length > 0, 'the frame of the writer')
    assert.deepEqual(heard, ['{"n":2}'])
    for (const client of [reader, numbered, writer]) await client.close()
  })

  it('open the runs of their claims, and no session', async () => {
    const token = tokenOf(old, { run_id: 'run-j' })
    await (await connect(`${gateway.url}/run-j`, { token })).close()
    assert.deepEqual(await refusalOf(`${gateway.url}/run-k`, token), [403, 'token-rejected'])
    assert.deepEqual(await refusalOf(gateway.sessionUrl('run-j'), token), [403, 'token-rejected'])
    await gateway.agent.set(runAuth('run-k'), 'plain')
    await (await connect(`${gateway.url}/run-k`, { token: 'plain' })).close()
  })

  it('are tokens of Redis where no key is configured', async () => {
    const plain = await gatewayFor(suite, { redis })
    const token = tokenOf(old, { session_id: 'j10' })
    assert.deepEqual(await refusalOf(plain.sessionUrl('j10'), token, plain), [403, 'token-rejected'])
    await (await connect(plain.sessionUrl('j10'), { token: await plain.token('j10', token) })).close()
  })

  it('of a key file are accepted, and follow the file', async () => {
    const file = join(temporaryFolder(suite).TMPDIR, 'jwks.json')
    const [first, second] = [newSigners()[3]!, newSigners()[2]!]
    const write = (...keys: string[]) => {
      writeFileSync(`${file}.new`, `{"keys":[${keys.join(',')}]}`)
      renameSync(`${file}.new`, file)
    }
    const jwk = ({ exposed }: typeof first) => String(exposed[1])
    write(jwk(first))
    const own = await gatewayFor(suite, { redis, env: { AUTH_JWKS_FILE: file } })
    const enters = (signer: typeof first) =>
      connect(own.sessionUrl('j11'), { token: tokenOf(signer, { session_id: 'j11' }) }).then(
        (client) => client.close().then(() => true),
        () => false,
      )
    assert.deepEqual([await enters(first), await enters(second)], [true, false])
    write('{"kty":"oct","k":"AAAA"}')
    await eventually(() => own.log.some(({ event }) => event === 'jwks-not-read'), 'the fault to be logged', 15_000)
    assert.equal(await enters(first), true)
    write(jwk(second))
    await eventually(() => enters(second), 'the new key', 15_000)
    assert.equal(await enters(first), false)
  })
})
