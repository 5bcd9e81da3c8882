import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth } from '../../src/contract/names.ts'
import { killCommands, run } from '../support/cli.ts'
import { freePort } from '../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'

describe('wsproxy token create', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
    atEnd(suite, killCommands)
  })
  const create = (...args: string[]) => run(['token', 'create', ...args], { env: { REDIS_URL: redis.url } })

  it('token create prints the token alone and stores it at the key of the session', async () => {
    const { status, stdout, stderr } = await create('s1')
    assert.equal(status, 0)
    assert.equal(stderr, '')
    assert.match(stdout, /^[A-Za-z0-9_-]{43}\n$/)
    assert.equal(await agent.get(sessionAuth('s1')), stdout.trim())
  })

  it('token create gives the token the lifetime of --ttl, a minute by default', async () => {
    for (const [args, ms] of [
      [[], 60_000],
      [['--ttl', '90'], 90_000],
      [['--ttl', '90s'], 90_000],
      [['--ttl', '5m'], 300_000],
      [['--ttl=1h30m'], 5_400_000],
    ] as const) {
      assert.equal((await create('life', ...args)).status, 0)
      const left = await agent.pTTL(sessionAuth('life'))
      assert.ok(left <= ms && left > ms - 30_000, `${args.join(' ')}: ${left} ms`)
    }
  })

  it('token create makes a new token each time, which replaces the one before', async () => {
    const [first, second] = [await create('twice'), await create('twice')]
    assert.notEqual(first.stdout, second.stdout)
    assert.equal(await agent.get(sessionAuth('twice')), second.stdout.trim())
  })

  it('token create --add keeps the other tokens of the session, in a set that lives as long as the longest', async () => {
    const tokens: string[] = []
    for (const ttl of ['60', '600', '60']) {
      const { status, stdout } = await create('many', '--add', '--ttl', ttl)
      assert.equal(status, 0)
      tokens.push(stdout.trim())
    }
    assert.deepEqual((await agent.sMembers(sessionAuth('many'))).sort(), [...tokens].sort())
    const left = await agent.pTTL(sessionAuth('many'))
    assert.ok(left > 500_000 && left <= 600_000, `${left} ms`)
  })

  it('token create --add exits with 1 and the way out when the session has one token as a string', async () => {
    const { stdout } = await create('single')
    const { status, complaints, stdout: printed } = await create('single', '--add')
    assert.deepEqual([status, printed, complaints.length], [1, '', 1])
    assert.match(complaints[0]!, /has one token, stored as a string.* after DEL session:single:auth$/)
    assert.equal(await agent.get(sessionAuth('single')), stdout.trim())
  })

  it('token create without --add replaces the set', async () => {
    await create('replaced', '--add')
    const { stdout } = await create('replaced')
    assert.equal(await agent.get(sessionAuth('replaced')), stdout.trim())
  })

  it('token create exits with 1, one line and its remedy without Redis, and hides the password of its URL', async () => {
    const port = await freePort()
    const env = { REDIS_URL: `redis://user:hunter2@127.0.0.1:${port}` }
    const { status, stdout, complaints } = await run(['token', 'create', 's1'], { env })
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.equal(complaints.length, 1)
    assert.match(
      complaints[0]!,
      new RegExp(`127\\.0\\.0\\.1:${port} .* -> No program listens there\\. Start Redis, or`),
    )
    assert.doesNotMatch(complaints[0]!, /hunter2/)
  })

  it('token create exits with 2 on a bad configuration', async () => {
    const { status, complaints } = await run(['token', 'create', 's1'], { env: { REDIS_URL: 'nowhere' } })
    assert.equal(status, 2)
    assert.equal(complaints.length, 1)
  })
})
