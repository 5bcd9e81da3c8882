import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { Command, killCommands, run, serveReady } from '../support/cli.ts'
import { say } from '../support/numbered.ts'
import { freePort } from '../support/ports.ts'
import { PATIENT, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const WORDS = 200
const word = (n: number) => `{"type":"token","n":${n}}`

describe('wsproxy connect --resume', { skip: withoutRealRedis, ...PATIENT }, () => {
  const each = scopeOf(afterEach)
  afterEach(killCommands)

  it('prints each word once while the gateway is killed and Redis restarts', async () => {
    const redis = await realRedisFor(each, ['--appendonly', 'yes', '--appendfsync', 'always'])
    const env = { REDIS_URL: redis.url, LISTEN_ADDR: `127.0.0.1:${await freePort()}` }
    const first = await serveReady(env)
    const client = new Command(['connect', `${first.ws}/agent-1/ws/s1`, '--create-token', '--resume'], { env })
    await client.says(/"command":"position"/)
    const agent = await redis.client()
    for (let n = 1; n <= WORDS; n++) {
      // As an agent does that tries again when Redis has not answered: the number decides.
      await eventually(() => say(agent, 's1', word(n)).catch(() => 0), `word ${n}`)
      if (n === 60) {
        first.command.signal('SIGKILL')
        await first.command.status()
      }
      if (n === 90) await serveReady(env)
      if (n === 140) await redis.restart()
    }
    await eventually(() => client.lines.length >= WORDS, 'the last word')
    assert.deepEqual(
      client.lines,
      Array.from({ length: WORDS }, (_, i) => word(i + 1)),
    )
    assert.doesNotMatch(client.stderr, /"command":"gap"/)
  })

  it('comes back with its resume ticket, which it does not print, although its token is spent', async () => {
    const redis = await realRedisFor(each)
    const env = { REDIS_URL: redis.url, LISTEN_ADDR: `127.0.0.1:${await freePort()}` }
    const agent = await redis.client()
    await agent.set('session:s1:auth', 'a-single-use-token')
    const first = await serveReady(env)
    const words = ['connect', `${first.ws}/agent-1/ws/s1`, '--resume']
    const client = new Command(words, { env: { ...env, WSPROXY_TOKEN: 'a-single-use-token' } })
    await client.says(/"command":"position"/)
    await say(agent, 's1', word(1))
    await eventually(() => client.lines.length === 1, 'the first word')
    first.command.signal('SIGKILL')
    await first.command.status()
    await say(agent, 's1', word(2))
    await serveReady(env)
    await eventually(() => client.lines.length === 2, 'the second word')
    assert.deepEqual(client.lines, [word(1), word(2)])
    assert.equal(await agent.exists('session:s1:auth'), 0)
    assert.doesNotMatch(client.stderr, /ticket/)
  })

  it('needs the address of a session', async () => {
    const { status, stderr } = await run(['connect', 'ws://127.0.0.1:1/run-1', '--resume'])
    assert.equal(status, 2)
    assert.match(stderr, /--resume needs the address of a session/)
  })
})

describe('wsproxy publish --log', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)

  it('keeps the message for clients that come later, and prints its number', async () => {
    const redis = await realRedisFor(each)
    const env = { REDIS_URL: redis.url, LISTEN_ADDR: '127.0.0.1:0' }
    const first = await run(['publish', '--log', 's1', word(1)], { env })
    assert.deepEqual([first.status, first.stderr], [0, 'published as message 1 of session s1\n'])
    const lines = await run(['publish', '--log', 's1', '-'], { env, input: `${word(2)}\n${word(3)}\n` })
    assert.deepEqual([lines.status, lines.complaints.length], [0, 2])
    const brief = await run(['publish', '--log', '--flags', 'ephemeral', 's1', word(4)], { env })
    assert.deepEqual([brief.status, brief.stderr], [0, 'published, and not kept\n'])
    const agent = await redis.client()
    const kept = await agent.xRange('{session:s1:down}:log', '-', '+')
    assert.deepEqual(
      kept!.map((entry) => entry!.message.m),
      [word(1), word(2), word(3)],
    )
  })

  it('refuses flags that it does not know, and topics', async () => {
    for (const [args, expected] of [
      [['--log', '--flags', 'forever', 's1', '1'], /"forever" is none of snapshot, close/],
      [['--flags', 'close', 's1', '1'], /--flags needs --log/],
      [['--log', '--topic', 'system', '1'], /--log is for sessions/],
    ] as const) {
      const { status, stderr } = await run(['publish', ...args])
      assert.equal(status, 2)
      assert.match(stderr, expected)
    }
  })
})
