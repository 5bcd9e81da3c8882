import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import { connect, type RefusedError, refused } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { live } from '../support/live.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ENV = { SESSION_RATE: '0', HANDSHAKE_TIMEOUT: '1s' }
/** What an upgrade may get while Redis refuses for a moment. */
const PASSING = ['redis-unavailable', 'redis-timeout']

describe('a Redis that refuses for a moment', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)

  async function start(args: readonly string[] = [], env: Record<string, string> = {}) {
    const redis = await realRedisFor(each, args)
    const gateway = await gatewayFor(each, { redis, env: { ...ENV, ...env } })
    return { redis, gateway, admin: await redis.client() }
  }

  function assertPassing({ status, code, headers }: Awaited<ReturnType<typeof refused>>): void {
    assert.ok(PASSING.includes(String(code)), `${status} ${code}`)
    assert.ok(status === 503 || status === 504)
    assert.ok(Number(headers['retry-after']) > 0)
  }

  async function heardAt(redis: RealRedis, session: string): Promise<number[]> {
    const heard: number[] = []
    await (await redis.client()).subscribe(sessionUp(session), (frame) => heard.push(JSON.parse(frame).n))
    return heard
  }

  async function assertServes(gateway: TestGateway, admin: Client, session: string): Promise<void> {
    const client = await gateway.join(session)
    await admin.publish(sessionDown(session), '{"n":"served"}')
    await client.find({ n: 'served' })
  }

  it('holds frames, topics and sockets while a script keeps Redis busy, and refuses upgrades with 503', async () => {
    const { redis, gateway, admin } = await start(['--lua-time-limit', '50'], { LIVE_TOPICS: 'news' })
    const client = await gateway.join('s1')
    const watcher = await live(gateway, '/live?subscriptions=agents')
    const heard = await heardAt(redis, 's1')
    const token = await gateway.token('s2')
    const endless = await redis.client()
    const ended = endless.sendCommand(['EVAL', 'while true do end', '0']).catch(String)
    const isBusy = () =>
      admin.ping().then(
        () => false,
        (error) => /^BUSY/.test(error.message),
      )
    await eventually(isBusy, 'Redis to be busy')
    for (let n = 0; n < 20; n++) client.send({ n })
    watcher.send({ type: 'subscribe', topic: 'news', id: 1 })
    assertPassing(await refused(gateway.sessionUrl('s2'), { token }))
    await admin.sendCommand(['SCRIPT', 'KILL'])
    await ended
    await eventually(() => heard.length === 20, 'the held frames')
    assert.deepEqual(
      heard,
      Array.from({ length: 20 }, (_, n) => n),
    )
    await eventually(async () => (await admin.pubSubNumSub(['live:news']))['live:news'] === 1, 'the topic')
    await admin.publish('live:news', '{}')
    await watcher.find({ type: 'news_update' })
    await assertServes(gateway, admin, 's3')
    assert.equal(client.code, undefined)
    assert.equal(watcher.code, undefined)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })

  for (const [name, setting, refusing, serving] of [
    ['NOREPLICAS', 'min-replicas-to-write', '1', '0'],
    ['OOM', 'maxmemory', '1', '0'],
  ] as const) {
    it(`refuses no upgrade with 500 while Redis says ${name}, and serves when that is over`, async () => {
      const { gateway, admin } = await start()
      const client = await gateway.join('s1')
      const token = await gateway.token('s2')
      await admin.configSet(setting, refusing)
      const outcome = await connect(gateway.sessionUrl('s2'), { token }).catch((error: RefusedError) => error.refused)
      if ('status' in outcome) assertPassing(outcome)
      client.send({ n: 1 })
      await admin.configSet(setting, serving)
      await assertServes(gateway, admin, 's3')
      assert.equal(client.code, undefined)
      assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
    })
  }
})
