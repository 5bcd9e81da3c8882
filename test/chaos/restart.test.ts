import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import type { Interval } from './account.ts'
import { Traffic } from './traffic.ts'

const SESSIONS = ['r-0', 'r-1', 'r-2']
const SOCKETS_PER_SESSION = 3
const RESTARTS = 3
const ENV = { SESSION_RATE: '0', UPSTREAM_BUFFER_MESSAGES: '100', LOG_LEVEL: 'warn' }

describe('a real Redis that is restarted under traffic', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)
  let redis: RealRedis
  let gateway: TestGateway
  let traffic: Traffic
  beforeEach(async () => {
    redis = await realRedisFor(each)
    gateway = await gatewayFor(each, { redis, env: ENV })
    traffic = await Traffic.open(redis.url, SESSIONS)
    atEnd(each, () => traffic.close())
    for (const session of SESSIONS)
      for (let i = 0; i < SOCKETS_PER_SESSION; i++) traffic.add(session, await gateway.join(session))
    traffic.start()
  })

  /** Waits for this many further messages. */
  async function flow(messages: number): Promise<void> {
    const { down } = traffic.counts
    await eventually(() => traffic.counts.down >= down + messages, 'traffic')
  }

  /** Stops and restarts Redis; returns the interval without it. */
  async function restart(end: () => Promise<void>): Promise<Interval> {
    const from = Date.now()
    await end()
    await eventually(() => !gateway.gateway.redisReady, 'the loss')
    await flow(100)
    await redis.restart()
    await eventually(() => gateway.gateway.redisReady, 'the gateway to have Redis again')
    return { from, to: Date.now() }
  }

  async function assertAccounted(outages: readonly Interval[]): Promise<void> {
    await flow(100)
    await traffic.finish()
    // Agents lose their connections, too, so frames that the gateway publishes before they are back
    // have no subscriber.
    const unheard = await gateway.metric('wsproxy_upstream_unheard_total')
    assert.deepEqual(traffic.account(outages, unheard), [])
    assert.equal(await gateway.metric('wsproxy_gaps_total', { reason: 'redis_down' }), outages.length)
  }

  it('no message is lost silently when Redis is killed and restarted', async () => {
    const outages: Interval[] = []
    for (let i = 0; i < RESTARTS; i++) {
      await flow(100)
      outages.push(await restart(() => redis.kill()))
    }
    await assertAccounted(outages)
  })

  it('no message is lost silently when Redis is shut down and restarted', async () => {
    const outages: Interval[] = []
    for (let i = 0; i < RESTARTS; i++) {
      await flow(100)
      outages.push(await restart(() => redis.kill('SIGTERM')))
    }
    await assertAccounted(outages)
  })

  it('no message is lost silently when Redis hangs and then dies', async () => {
    await flow(100)
    const outage = await restart(async () => {
      redis.process.kill('SIGSTOP')
      await flow(100)
      await redis.kill()
    })
    await assertAccounted([outage])
  })
})
