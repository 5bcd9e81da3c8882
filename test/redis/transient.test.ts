import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../src/contract/names.ts'
import { connect, type RefusedError, refused } from '../support/client.ts'
import { clusterFor } from '../support/cluster.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { live } from '../support/live.ts'
import { nearlyRedisFor } from '../support/nearly-redis.ts'
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

  /** A refused client keeps its token, and the topic of a socket comes once Redis serves again. */
  async function assertPasses(gateway: TestGateway, admin: Client, begin: () => Promise<() => Promise<unknown>>) {
    const client = await gateway.join('s1')
    const watcher = await live(gateway, '/live?subscriptions=agents')
    const token = await gateway.token('s2')
    const stop = await begin()
    assertPassing(await refused(gateway.sessionUrl('s2'), { token }))
    watcher.send({ type: 'subscribe', topic: 'news', id: 1 })
    await stop()
    const served = async () => {
      const outcome = await connect(gateway.sessionUrl('s2'), { token }).catch((error: RefusedError) => error.refused)
      if (!('status' in outcome)) return true
      assertPassing(outcome)
      return false
    }
    await eventually(served, 'the refused client to be served with its token')
    assert.equal(await admin.exists(sessionAuth('s2')), 0)
    const heard = async () => {
      await admin.publish('live:news', '{}')
      return watcher.values.some(({ type }) => type === 'news_update')
    }
    await eventually(heard, 'the topic')
    await assertServes(gateway, admin, 's3')
    assert.equal(client.code, undefined)
    assert.equal(watcher.code, undefined)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  }

  const TOPICS = { LIVE_TOPICS: 'news' }

  it('keeps the token of an upgrade that it refuses while Redis loads its data', async () => {
    // Redis serves clients between two events of the load.
    const slow = ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024']
    const { gateway, admin, redis } = await start([...slow, '--key-load-delay', '1000'], TOPICS)
    for (let n = 0; n < 2000; n++) void admin.set(`filler:${n}`, 'x'.repeat(200))
    await admin.ping()
    const loader = await redis.client()
    await assertPasses(gateway, admin, async () => {
      const loaded = loader.sendCommand(['DEBUG', 'RELOAD'])
      await eventually(() => refuses(admin, 'LOADING'), 'Redis to load')
      return () => loaded
    })
  })

  it('keeps the token of an upgrade that it refuses while Redis cannot save', async () => {
    const { gateway, admin } = await start(['--dbfilename', 'taken'], TOPICS)
    await assertPasses(gateway, admin, async () => {
      const { dir = '' } = await admin.configGet('dir')
      // Redis cannot put a file where a folder is.
      mkdirSync(join(dir, 'taken'))
      await admin.configSet('save', '3600 1')
      await admin.sendCommand(['BGSAVE'])
      await eventually(() => refuses(admin, 'MISCONF', ['DEL', 'no-such-key']), 'the save to fail')
      return () => admin.configSet('save', '')
    })
  })

  it('keeps the token of an upgrade that it refuses while a replica has lost its master', async () => {
    const { gateway, admin } = await start(['--replica-serve-stale-data', 'no'], TOPICS)
    await assertPasses(gateway, admin, async () => {
      await admin.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
      await eventually(() => refuses(admin, 'MASTERDOWN'), 'the master to be down')
      return () => admin.sendCommand(['REPLICAOF', 'NO', 'ONE'])
    })
  })

  it('keeps the token of an upgrade that it refuses while Redis has no free connection', async () => {
    const { gateway, admin } = await start([], TOPICS)
    await assertPasses(gateway, admin, async () => {
      await admin.configSet('maxclients', '1')
      await admin.sendCommand(['CLIENT', 'KILL', 'SKIPME', 'yes'])
      const said = () => gateway.log.some(({ reason }) => /max number of clients/.test(String(reason)))
      await eventually(said, 'the gateway to be refused')
      return () => admin.configSet('maxclients', '1000')
    })
  })

  for (const error of [
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'LOADING Redis is loading the dataset in memory',
    'CLUSTERDOWN The cluster is down',
    'ERR max number of clients reached',
  ]) {
    it(`keeps the token and the topic where single commands get "${error}"`, async () => {
      const server = await realRedisFor(each)
      let refusing = false
      const refuse = (command: string) => (refusing && /^(EVAL|SUBSCRIBE)/.test(command) ? error : undefined)
      const { port } = await nearlyRedisFor(each, server.port, { refuse })
      const redis = { url: `redis://127.0.0.1:${port}`, port, client: server.client, stop: server.stop }
      const gateway = await gatewayFor(each, { redis, env: { ...ENV, ...TOPICS } })
      await assertPasses(gateway, await server.client(), async () => {
        refusing = true
        return async () => {
          refusing = false
        }
      })
    })
  }

  it('keeps the token of an upgrade that it refuses while the cluster is down', async () => {
    const cluster = await clusterFor(each)
    const redis = {
      url: cluster.nodes[0]!.url,
      port: cluster.nodes[0]!.port,
      client: async () => (await cluster.client()) as unknown as Client,
      stop: cluster.stop,
    }
    const env = { ...ENV, ...TOPICS, REDIS_CLUSTER_NODES: cluster.addresses }
    const gateway = await gatewayFor(each, { redis, env })
    const admins = await Promise.all(cluster.nodes.map((node) => node.client()))
    const onAll = (...args: string[]) => Promise.all(admins.map((each) => each.sendCommand(args)))
    await assertPasses(gateway, await redis.client(), async () => {
      await onAll('CONFIG', 'SET', 'cluster-require-full-coverage', 'yes')
      // A slot that no test name has.
      await onAll('CLUSTER', 'DELSLOTS', '0')
      await eventually(() => refuses(admins[1]!, 'CLUSTERDOWN', ['GET', '{s1}']), 'the cluster to be down')
      return async () => {
        await onAll('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
        const isUp = async () => (await onAll('CLUSTER', 'INFO')).every((info) => /state:ok/.test(String(info)))
        await eventually(isUp, 'the cluster to be up')
      }
    })
  })
})

const refuses = (client: Client, code: string, command = ['GET', 'no-such-key']): Promise<boolean> =>
  client.sendCommand(command).then(
    () => false,
    (error) => String(error.message).startsWith(code),
  )
