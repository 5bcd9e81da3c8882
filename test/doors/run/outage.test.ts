import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { runEvents } from '../../../src/contract/names.ts'
import type { TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { proxyFor, type TcpProxy } from '../../support/proxy.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { frameOf, HANGUP, hashReads, keyspace, untilLeft, untilShown, watchRun } from '../../support/runs.ts'
import { scopeOf } from '../../support/scope.ts'
import { mostEndedInOneTurn } from '../../support/turns.ts'
import { eventually, within } from '../../support/wait.ts'

/** No read but for a reason: what a test counts is what it has caused. */
const NO_RESYNC = { RUN_PING_INTERVAL: '30s', RUN_RESYNC_INTERVAL: '0' }
const skip = withoutRealRedis
const CROWD = 200

const fault = (gateway: TestGateway, run: string) =>
  gateway.log.filter((line) => line.event === 'run-fault' && line.run === run)
const runErrors = (gateway: TestGateway) => gateway.metric('wsproxy_errors_total', { type: 'run' })

describe('a fault of Redis', { skip }, () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: RealRedis
  let gateway: TestGateway
  let admin: Client
  before(async () => {
    redis = await realRedisFor(suite)
    admin = await redis.client()
  })

  async function start(env: Record<string, string> = {}): Promise<void> {
    gateway = await gatewayFor(each, { redis, env: { ...NO_RESYNC, ...env } })
    await gateway.agent.configResetStat()
  }

  describe('that fails reads of a run', () => {
    const forbid = () => admin.aclSetUser('default', '-hgetall')
    const allow = () => admin.aclSetUser('default', '+hgetall')
    const refusedReads = async () => (await hashReads(gateway.agent)).refused
    afterEach(allow)

    it('retries a first read that fails, and keeps the socket', async () => {
      await start()
      await gateway.agent.hSet('first', 'last_modified', '1')
      await forbid()
      const clients = await Promise.all([1, 2].map(() => watchRun(gateway, 'first', { first: false })))
      await eventually(async () => (await refusedReads()) >= 2, 'a second attempt')
      await allow()
      await untilShown(clients, frameOf({ last_modified: '1' }))
      for (const client of clients) assert.deepEqual([client.frames.length, client.code], [1, undefined])
      assert.equal(await runErrors(gateway), await refusedReads())
    })

    it('keeps the last checklist while reads fail, and shows what changed when they succeed again', async () => {
      await start()
      await gateway.agent.hSet('later', 'last_modified', '1')
      const clients = await Promise.all([1, 2].map(() => watchRun(gateway, 'later')))
      await forbid()
      await gateway.agent.hSet('later', 'last_modified', '2')
      await eventually(async () => (await refusedReads()) >= 1, 'an attempt')
      await allow()
      await untilShown(clients, frameOf({ last_modified: '2' }))
      for (const client of clients) assert.deepEqual([client.frames.length, client.code], [2, undefined])
    })

    for (const retries of [1, 2]) {
      it(`closes the sockets of a run with hangup and 1013 after ${retries} failed reads with RUN_REDIS_MAX_RETRIES=${retries}, and no others`, async () => {
        await start({ RUN_REDIS_MAX_RETRIES: String(retries) })
        const run = `given-up-${retries}`
        const other = await watchRun(gateway, 'other')
        const clients = await Promise.all([1, 2, 3].map(() => watchRun(gateway, run)))
        await forbid()
        await gateway.agent.hSet(run, 'last_modified', '2')
        for (const client of clients) {
          assert.equal((await within(client.closed, 'the close')).code, 1013)
          assert.deepEqual(client.frames, [frameOf(), HANGUP])
        }
        await untilLeft(gateway, run)
        const attempts = await refusedReads()
        await allow()
        await gateway.agent.hSet('other', 'last_modified', '3')
        await untilShown([other], frameOf({ last_modified: '3' }))
        const again = await watchRun(gateway, run)
        assert.deepEqual(again.frames, [frameOf({ last_modified: '2' })])
        assert.equal(attempts, retries)
      })
    }

    it('closes a crowd at a run that it gives up in short steps', async (t) => {
      await start({ RUN_REDIS_MAX_RETRIES: '1' })
      const clients = await Promise.all(Array.from({ length: CROWD }, () => watchRun(gateway, 'crowd')))
      const most = mostEndedInOneTurn(t)
      await forbid()
      await gateway.agent.hSet('crowd', 'last_modified', '2')
      for (const client of clients) assert.equal((await within(client.closed, 'the close')).code, 1013)
      assert.ok(most() > 0 && most() < CROWD / 2, `${most()} sockets ended in one turn of the event loop`)
    })

    it('never closes a socket for failed reads with RUN_REDIS_MAX_RETRIES=0', async () => {
      await start({ RUN_REDIS_MAX_RETRIES: '0' })
      const client = await watchRun(gateway, 'never')
      await forbid()
      await gateway.agent.hSet('never', 'last_modified', '1')
      await eventually(async () => (await refusedReads()) >= 3, 'three attempts')
      assert.equal(client.code, undefined)
      await allow()
      await untilShown([client], frameOf({ last_modified: '1' }))
    })
  })

  it('lets reads of a Redis that hangs fail after 500 ms, and shows what changed when it answers again', async () => {
    await start({ RUN_RESYNC_INTERVAL: '50ms' })
    const clients = await Promise.all(Array.from({ length: 6 }, (_, i) => watchRun(gateway, `hung-${i % 2}`)))
    redis.process.kill('SIGSTOP')
    const stoppedAt = performance.now()
    const changes: Promise<unknown>[] = []
    try {
      await eventually(() => fault(gateway, 'hung-0').length > 0, 'a read to be given up')
      const ms = performance.now() - stoppedAt
      assert.ok(ms > 400 && ms < 1500, `${ms} ms`)
      assert.equal(fault(gateway, 'hung-0')[0]!.reason, 'no answer within 500 ms')
      changes.push(gateway.agent.hSet('hung-0', 'last_modified', '5'))
    } finally {
      redis.process.kill('SIGCONT')
    }
    await Promise.all(changes)
    await untilShown(
      clients.filter((_, i) => i % 2 === 0),
      frameOf({ last_modified: '5' }),
    )
    for (const [i, client] of clients.entries())
      assert.deepEqual([client.frames.length, client.code], [i % 2 === 0 ? 2 : 1, undefined])
  })

  it('keeps every run socket while Redis hangs until its connections are given up, and shows the current state after', async () => {
    await start({ RUN_RESYNC_INTERVAL: '50ms' })
    const clients = await Promise.all(Array.from({ length: 4 }, () => watchRun(gateway, 'long-hung')))
    redis.process.kill('SIGSTOP')
    try {
      await eventually(() => !gateway.gateway.redisReady, 'the gateway to give Redis up')
    } finally {
      redis.process.kill('SIGCONT')
    }
    await gateway.agent.hSet('long-hung', 'last_modified', '6')
    await untilShown(clients, frameOf({ last_modified: '6' }))
    for (const client of clients) assert.deepEqual([client.frames.length, client.code], [2, undefined])
  })

  it('keeps every run socket while Redis is gone, and shows the current state after its restart', async () => {
    await start()
    const runs = Array.from({ length: 8 }, (_, i) => `restart-${i}`)
    for (const run of runs) await gateway.agent.hSet(run, 'last_modified', '1')
    const clients = await Promise.all(runs.flatMap((run) => [1, 2, 3, 4, 5].map(() => watchRun(gateway, run))))
    await redis.restart()
    await eventually(() => gateway.gateway.redisReady, 'the gateway to have Redis again')
    const lost = clients.filter((_, i) => i < 20)
    await untilShown(lost, frameOf())
    for (const run of runs) await gateway.agent.hSet(run, 'last_modified', '2')
    await untilShown(clients, frameOf({ last_modified: '2' }))
    for (const client of clients) {
      assert.equal(client.code, undefined)
      for (const [i, frame] of client.frames.entries()) assert.notEqual(frame, client.frames[i - 1])
    }
    assert.deepEqual((await keyspace(gateway)).channels, runs.map((run) => runEvents(0, run)).sort())
  })
})

describe('a Redis that has to load its data first', { skip }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let gateway: TestGateway
  before(async () => {
    // A ms a key, and ears for clients meanwhile: what takes a large data set minutes takes this
    // one seconds.
    redis = await realRedisFor(suite, ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024'])
    gateway = await gatewayFor(suite, { redis, env: { ...NO_RESYNC, RUN_REDIS_MAX_RETRIES: '2' } })
  })

  it('keeps every run socket while a restarted Redis loads its data, and sends only what changed', async () => {
    const { agent } = gateway
    await agent.hSet('loaded', 'last_modified', '1')
    await Promise.all(Array.from({ length: 2500 }, (_, i) => agent.set(`ballast-${i}`, 'x'.repeat(100))))
    const clients = await Promise.all([1, 2, 3].map(() => watchRun(gateway, 'loaded')))
    await agent.sendCommand(['SAVE'])
    await redis.restart()
    await agent.hSet('loaded', 'last_modified', '2')
    const over = ({ code, frames }: TestClient) => code !== undefined || frames.length > 1
    await eventually(() => clients.every(over), 'each socket to get the change')
    for (const client of clients) assert.deepEqual([client.frames.length, client.code], [2, undefined])
  })
})

describe('an outage of Redis that nobody else has noticed', { skip }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let proxy: TcpProxy
  let gateway: TestGateway
  before(async () => {
    redis = await realRedisFor(suite)
    proxy = await proxyFor(suite, redis.port)
    const through = { ...redis, url: `redis://127.0.0.1:${proxy.port}` }
    gateway = await gatewayFor(suite, { redis: through, env: NO_RESYNC })
  })

  it('sends each run socket the state that changed in an outage, once, and keeps them all', async () => {
    const runs = Array.from({ length: 8 }, (_, i) => `outage-${i}`)
    const set = (run: string, at: string) => gateway.agent.hSet(run, 'last_modified', at)
    for (const run of runs) await set(run, '1')
    const clients = await Promise.all(runs.map((run) => Promise.all([1, 2, 3, 4, 5].map(() => watchRun(gateway, run)))))
    proxy.cut()
    await eventually(() => !gateway.gateway.redisReady, 'the gateway to notice')
    await redis.restart()
    // Nothing survives the restart. All is set again, as backends do, half of it to what it was.
    const states = runs.map((_, i) => (i % 4 === 0 ? '1' : i % 4 === 1 ? undefined : '2'))
    for (const [i, run] of runs.entries()) if (states[i] !== undefined) await set(run, states[i])
    proxy.restore()
    for (const [i, group] of clients.entries()) {
      const at = states[i]
      await untilShown(group, frameOf(at === undefined ? {} : { last_modified: at }))
    }
    for (const run of runs) await set(run, '9')
    await untilShown(clients.flat(), frameOf({ last_modified: '9' }))
    for (const [i, group] of clients.entries()) {
      for (const client of group) {
        assert.equal(client.frames.length, states[i] === '1' ? 2 : 3, runs[i]!)
        assert.equal(client.code, undefined)
      }
    }
  })

  it('sends nothing and keeps the run sockets in many outages in which nothing changed', async () => {
    const client = await watchRun(gateway, 'outage-0')
    for (let i = 0; i < 5; i++) {
      proxy.cut()
      await eventually(() => !gateway.gateway.redisReady, 'the gateway to notice')
      proxy.restore()
      await eventually(() => gateway.gateway.redisReady, 'the gateway to have Redis again')
    }
    await gateway.agent.hSet('outage-0', 'last_modified', '77')
    await untilShown([client], frameOf({ last_modified: '77' }))
    assert.equal(client.frames.length, 2)
  })
})
