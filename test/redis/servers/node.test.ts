import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { redisAddressOf } from '../../../src/config/redis-address.ts'
import { RedisNode } from '../../../src/redis/servers/node.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { keptLog, total } from '../../support/link.ts'
import { type Client, redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

describe('a Redis node', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })

  it('loses only the message whose listener throws, counts it, and keeps the connection', async () => {
    const messages: string[] = []
    const metrics = new Metrics()
    const { log, lines } = keptLog()
    const node = new RedisNode({
      options: {
        runDoor: true,
        redisSetKeyspaceEvents: false,
        redisClusterNodes: [],
        redisShardedPubsub: false,
        redisCanaryIntervalMs: 0,
        redisCanaryTimeoutMs: 0,
        runResyncIntervalMs: 0,
      },
      target: async () => redisAddressOf(redis.url),
      metrics,
      log,
      message: (_, payload) => {
        if (payload.toString() === 'bad') throw new Error('for the test')
        messages.push(payload.toString())
      },
      refused: () => {},
      changed: () => {},
      proved: () => {},
      demoted: () => {},
      moved: async () => {},
    })
    await eventually(() => node.ready, 'the node to be ready')
    await node.feed.subscribe('throws')
    for (const each of ['1', 'bad', '2', 'bad', '3']) void agent.publish('throws', each)
    await eventually(() => messages.length === 3, 'the other messages')
    assert.deepEqual(messages, ['1', '2', '3'])
    assert.equal(await total(metrics, 'wsproxy_errors_total', { type: 'internal' }), 2)
    assert.equal(await total(metrics, 'wsproxy_redis_reconnects_total'), 0)
    assert.ok(lines.some(({ msg, channel }) => msg === 'delivering a message failed' && channel === 'throws'))
    node.close()
    metrics.stop()
  })
})
