import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../../src/contract/names.ts'
import { killCommands, serveReady } from '../../support/cli.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { watchMemory, withoutProc } from '../../support/memory.ts'
import { say } from '../../support/numbered.ts'
import { type Client, redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { openStream, type StreamClient } from '../../support/sse.ts'
import { eventually } from '../../support/wait.ts'

const BEARER = { Authorization: 'Bearer token' }
const LARGE = 'x'.repeat(256 * 1024)
const LIMITS = { bytes: 64 * 1024 * 1024 }

describe('streams whose clients do not read', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })
  afterEach(killCommands)

  const open = async (http: string, session: string): Promise<StreamClient> => {
    await agent.set(sessionAuth(session), 'token')
    const client = await openStream(`${http}/agent-1/sse/${session}`, BEARER)
    await client.first('position')
    return client
  }

  it('hold memory within their send buffers, while others get every message', { skip: withoutProc }, async () => {
    const env = {
      AUTH_TOKEN_MODE: 'reusable',
      CONNECT_RATE: '0',
      CONNECT_RATE_PER_IP: '0',
      MAX_BUFFER_SIZE_BYTES: '256KiB',
    }
    const { http, command } = await serveReady({ REDIS_URL: redis.url, ...env })
    const slow = await Promise.all(Array.from({ length: 40 }, () => open(http, 'memory')))
    const fast = await Promise.all(Array.from({ length: 4 }, () => open(http, 'memory')))
    for (const each of slow) each.pause()
    const memory = watchMemory(command.child.pid)
    // 40 clients would hold 1.5 GiB of it.
    for (let n = 1; n <= 160; n++) await say(agent, 'memory', JSON.stringify({ n, text: LARGE }), '', LIMITS)
    for (const each of fast) {
      const got = await each.take(160)
      assert.deepEqual(
        got.map((text) => JSON.parse(text).n),
        Array.from({ length: 160 }, (_, i) => i + 1),
      )
    }
    const grown = memory.stop()
    for (const each of [...slow, ...fast]) each.close()
    assert.ok(grown < 150, `the gateway grew by ${grown.toFixed()} MiB`)
  })

  it('lose messages without a number, and get a gap that says so', async () => {
    const gateway = await gatewayFor(suite, {
      redis,
      env: { AUTH_TOKEN_MODE: 'reusable', MAX_BUFFER_SIZE_BYTES: '256KiB' },
    })
    const [slow, fast] = [await open(gateway.http, 'plain'), await open(gateway.http, 'plain')]
    slow.pause()
    const lost = () => gateway.metric('wsproxy_lost_messages_total', { reason: 'slow_client' })
    let n = 0
    while ((await lost()) === 0) {
      assert.ok(n < 200, 'nothing was lost')
      await agent.publish(sessionDown('plain'), JSON.stringify({ n: ++n, text: LARGE }))
      await fast.take(n)
    }
    assert.equal(await gateway.metric('wsproxy_sse_lagging'), 1)
    slow.resume()
    assert.deepEqual(await slow.first('gap'), { reason: 'slow_client' })
    await agent.publish(sessionDown('plain'), '{"n":0}')
    await eventually(() => slow.messages.at(-1) === '{"n":0}', 'the next message')
    assert.ok(slow.messages.length <= n)
    assert.equal(await gateway.metric('wsproxy_sse_lagging'), 0)
    for (const each of [slow, fast]) each.close()
  })

  it('end with a goodbye when all of them hold more than MAX_BUFFERED_BYTES', async () => {
    const gateway = await gatewayFor(suite, {
      redis,
      env: { AUTH_TOKEN_MODE: 'reusable', MAX_BUFFERED_BYTES: '1500KiB', SLOW_CLOSE_GRACE: '20s' },
    })
    const slow = await Promise.all(Array.from({ length: 8 }, () => open(gateway.http, 'budget')))
    for (const each of slow) each.pause()
    const closes = () => gateway.metric('wsproxy_buffer_budget_closes_total')
    for (let n = 1; (await closes()) === 0; n++) {
      assert.ok(n < 2000, 'no stream was ended')
      // Small enough not to exceed the budget by so much that streams are cut without a goodbye.
      await say(agent, 'budget', JSON.stringify({ n, text: LARGE.slice(0, 32 * 1024) }), '', LIMITS)
    }
    for (const each of slow) each.resume()
    const ended = await eventually(() => slow.find(({ goodbye }) => goodbye), 'a goodbye')
    assert.equal(ended.goodbye!.reason, 'backpressure')
    assert.equal(ended.retryMs, ended.goodbye!.reconnect_after_ms)
    await ended.ended()
    assert.ok((await gateway.metric('wsproxy_disconnections_total', { door: 'sse', code: '1008' })) > 0)
    for (const each of slow) each.close()
  })
})
