import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { Bindings } from '../../../src/connection/bind.ts'
import { Connection, type Socket } from '../../../src/connection/connection.ts'
import { Delivery } from '../../../src/connection/deliver.ts'
import { UnsentBytes } from '../../../src/connection/unsent.ts'
import { runAuth, runEvents, sessionAuth } from '../../../src/contract/names.ts'
import { RunDoor } from '../../../src/doors/run/door.ts'
import type { RunWatches } from '../../../src/doors/run/watch.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { refused, type TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway, type TestGatewayOptions } from '../../support/gateway.ts'
import { keptLog } from '../../support/link.ts'
import { upgradeRequest } from '../../support/raw.ts'
import { redisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import {
  frameOf,
  HANGUP,
  hashReads,
  keyspace,
  PING,
  readsDuring,
  shown,
  untilLeft,
  untilShown,
  watchRun,
} from '../../support/runs.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'
import { ask } from '../../support/wire.ts'

type Fields = Record<string, string>

/** No read but for a reason: what a test counts is what it has caused. */
const NO_RESYNC = { RUN_RESYNC_INTERVAL: '0' }
const skip = withoutRealRedis

const fault = (gateway: TestGateway, run: string) =>
  gateway.log.filter((line) => line.event === 'run-fault' && line.run === run)
const runErrors = (gateway: TestGateway) => gateway.metric('wsproxy_errors_total', { type: 'run' })

describe('the run door', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: NO_RESYNC })
  })

  let serial = 0
  const newRun = () => `run-${++serial}`
  /** Makes a run with these fields and connects some sockets to it. */
  async function open(fields: Fields, count = 1): Promise<{ run: string; clients: TestClient[]; client: TestClient }> {
    const run = newRun()
    if (Object.keys(fields).length > 0) await gateway.agent.hSet(run, fields)
    const clients = await Promise.all(Array.from({ length: count }, () => watchRun(gateway, run)))
    return { run, clients, client: clients[0]! }
  }

  describe('shows', () => {
    it('shows the checklist of a run at once, before anything has changed', async () => {
      const fields = { 'attrs:has_sbs': 'true', 'locked:wepp': 'true', 'timestamps:build_channels': '3' }
      const { client } = await open(fields)
      assert.deepEqual(client.frames, [frameOf(fields)])
      assert.match(
        String(client.frames[0]),
        /^\{"type":"preflight","checklist":\{.*"channels":true.*"last_modified":3\}$/,
      )
    })

    it('shows an all-false checklist for a run that does not exist, and the real one when it does', async () => {
      const { run, client } = await open({})
      assert.deepEqual(client.frames, [frameOf()])
      assert.ok(Object.values(client.values[0]!.checklist as object).every((step) => step === false))
      await gateway.agent.hSet(run, 'timestamps:run_rhem', '1')
      await untilShown([client], frameOf({ 'timestamps:run_rhem': '1' }))
    })

    it('shows a change to every socket of the run, and to no other', async () => {
      const { run, clients } = await open({ 'timestamps:run_rhem': '1' }, 3)
      const other = await open({ 'timestamps:run_rhem': '1' }, 2)
      await gateway.agent.hSet(run, 'timestamps:run_rhem', '2')
      await untilShown(clients, frameOf({ 'timestamps:run_rhem': '2' }))
      for (const client of clients) assert.equal(client.frames.length, 2)
      await gateway.agent.hSet(other.run, 'timestamps:run_rhem', '3')
      await untilShown(other.clients, frameOf({ 'timestamps:run_rhem': '3' }))
      for (const client of other.clients) assert.equal(client.frames.length, 2)
    })

    // Only a real server counts its commands.
    it('shows nothing when the fields that changed are no part of the frame', { skip }, async () => {
      const { run, client } = await open({ last_modified: '5', 'timestamps:run_rhem': '1' })
      const reads = await readsDuring(gateway.agent, async () => {
        await gateway.agent.hSet(run, 'note', 'x')
        await gateway.agent.hSet(run, 'timestamps:run_rhem', '2')
      })
      assert.ok(reads > 0)
      await gateway.agent.hSet(run, 'last_modified', '6')
      await untilShown([client], frameOf({ last_modified: '6', 'timestamps:run_rhem': '2' }))
      assert.equal(client.frames.length, 2)
    })

    it('shows a change of last_modified alone', async () => {
      const { run, client } = await open({ last_modified: '5' })
      await gateway.agent.hSet(run, 'last_modified', '9007199254740993')
      const [, second] = await client.take(2)
      assert.match(String(second), /"last_modified":9007199254740993\}$/)
    })
  })

  describe('takes', () => {
    it('accepts an init and frames of unknown types, and answers none of them', async () => {
      const { run, client } = await open({})
      for (const frame of [
        '{"type":"init"}',
        '{"type":"nonsense"}',
        '{"type":"pong"}',
        '{}',
        '[]',
        'null',
        '"init"',
        '7',
      ])
        client.send(frame)
      await eventually(async () => (await heard(client)) && true, 'the frames to be handled')
      await gateway.agent.hSet(run, 'timestamps:run_rhem', '1')
      await untilShown([client], frameOf({ 'timestamps:run_rhem': '1' }))
      assert.equal(client.frames.length, 2)
      assert.equal(unparseable(run).length, 0)
    })

    it('accepts frames that are not JSON, logs them without their content, and answers none of them', async () => {
      const { run, client } = await open({})
      for (const frame of ['{"type":"init"', '', 'secret words', '{"type":"init"}x']) client.send(frame)
      await eventually(() => unparseable(run).length === 4, 'four lines in the log')
      assert.ok(!JSON.stringify(gateway.log).includes('secret words'))
      await gateway.agent.hSet(run, 'timestamps:run_rhem', '1')
      await untilShown([client], frameOf({ 'timestamps:run_rhem': '1' }))
      assert.equal(client.frames.length, 2)
    })

    it('drops frames over the rate without an answer and without a close', async () => {
      const { run, client } = await open({})
      const limited = () => gateway.metric('wsproxy_rate_limited_total', { what: 'frame' })
      for (let i = 0; i < 200; i++) client.send('{"type":"pong"}')
      await heard(client)
      assert.ok((await limited()) > 100)
      await gateway.agent.hSet(run, 'timestamps:run_rhem', '1')
      await untilShown([client], frameOf({ 'timestamps:run_rhem': '1' }))
      assert.equal(client.frames.length, 2)
    })

    const unparseable = (run: string) =>
      gateway.log.filter(({ event, conn }) => event === 'unparseable' && (conn as { run: string }).run === run)

    /**
     * Resolves when the gateway has handled all that the client has sent: it answers protocol pings
     * in order.
     */
    async function heard(client: TestClient): Promise<boolean> {
      const pong = new Promise((resolve) => client.socket.once('pong', resolve))
      client.socket.ping()
      await within(pong, 'the pong')
      return true
    }
  })

  describe('listens', () => {
    it('subscribes one channel of events for each run that has sockets, and no pattern', { skip }, async () => {
      const before = (await keyspace(gateway)).channels
      const first = await open({}, 3)
      const second = await open({}, 2)
      const expected = [...before, runEvents(0, first.run), runEvents(0, second.run)].sort()
      assert.deepEqual(await keyspace(gateway), { channels: expected, patterns: 0 })
      const channel = runEvents(0, first.run)
      assert.equal(Number((await gateway.agent.pubSubNumSub([channel]))[channel]), 1)
    })

    it('unsubscribes the events of a run when its last socket leaves, and subscribes them again for the next', async () => {
      const { run, clients } = await open({}, 2)
      const [first, second] = clients
      await first!.close()
      await gateway.agent.hSet(run, 'timestamps:run_rhem', '1')
      await untilShown([second!], frameOf({ 'timestamps:run_rhem': '1' }))
      await second!.close()
      await untilLeft(gateway, run)
      const reads = await readsDuring(gateway.agent, () => gateway.agent.hSet(run, 'timestamps:run_rhem', '2'))
      assert.equal(reads, 0)
      const again = await watchRun(gateway, run)
      assert.deepEqual(again.frames, [frameOf({ 'timestamps:run_rhem': '2' })])
    })

    it('keeps the events of a run when one socket leaves at the moment at which another comes', async () => {
      const { run, client } = await open({ 'timestamps:run_rhem': '0' })
      let current = client
      for (let i = 1; i <= 20; i++) {
        const next = watchRun(gateway, run)
        current.socket.terminate()
        current = await next
        await gateway.agent.hSet(run, 'timestamps:run_rhem', String(i))
        await untilShown([current], frameOf({ 'timestamps:run_rhem': String(i) }))
      }
    })
  })

  describe('asks Redis', { skip }, () => {
    it('reads a run once for each change, however many sockets it has', async () => {
      const { run, clients } = await open({}, 60)
      const reads = await readsDuring(gateway.agent, async () => {
        for (let i = 1; i <= 10; i++) {
          await gateway.agent.hSet(run, 'timestamps:run_rhem', String(i))
          await untilShown(clients, frameOf({ 'timestamps:run_rhem': String(i) }))
        }
      })
      assert.equal(reads, 10)
      for (const client of clients) assert.equal(client.frames.length, 11)
    })

    it('reads a run once for a crowd that comes at the same time', async () => {
      const run = newRun()
      await gateway.agent.hSet(run, 'last_modified', '1')
      const reads = await readsDuring(gateway.agent, async () => {
        const clients = await Promise.all(Array.from({ length: 50 }, () => watchRun(gateway, run)))
        for (const client of clients) assert.deepEqual(client.frames, [frameOf({ last_modified: '1' })])
      })
      assert.equal(reads, 1)
    })

    it('sends later sockets the current frame, once, without another read', async () => {
      const { run, clients } = await open({ last_modified: '1' }, 2)
      await gateway.agent.hSet(run, 'last_modified', '2')
      await untilShown(clients, frameOf({ last_modified: '2' }))
      const late: TestClient[] = []
      const reads = await readsDuring(gateway.agent, async () => {
        late.push(...(await Promise.all(Array.from({ length: 30 }, () => watchRun(gateway, run)))))
      })
      assert.equal(reads, 0)
      await gateway.agent.hSet(run, 'last_modified', '3')
      const expected = ['2', '3'].map((at) => frameOf({ last_modified: at }))
      await untilShown(late, expected[1]!)
      for (const client of late) assert.deepEqual(client.frames, expected)
    })

    const DELETED = 35
    const many = (): Fields =>
      Object.fromEntries([
        ['timestamps:run_rhem', '1'],
        ...Array.from({ length: DELETED }, (_, i) => [`locked:step-${i}`, 'true']),
      ])

    it('reads a run at most twice for 35 field deletions in one command, and shows what is left', async () => {
      const { run, clients } = await open(many(), 5)
      const reads = await readsDuring(gateway.agent, async () => {
        await Promise.all(Array.from({ length: DELETED }, (_, i) => gateway.agent.hDel(run, `locked:step-${i}`)))
        await untilShown(clients, frameOf({ 'timestamps:run_rhem': '1' }))
      })
      assert.ok(reads >= 1 && reads <= 2, `${reads} reads`)
      for (const client of clients) assert.ok(client.frames.length <= 3)
    })

    it('reads a run at most twice in 20 ms for 35 field deletions in a row, and shows what is left', async () => {
      const { run, clients } = await open(many(), 5)
      let ms = 0
      const reads = await readsDuring(gateway.agent, async () => {
        const startedAt = performance.now()
        for (let i = 0; i < DELETED; i++) await gateway.agent.hDel(run, `locked:step-${i}`)
        ms = performance.now() - startedAt
        await untilShown(clients, frameOf({ 'timestamps:run_rhem': '1' }))
      })
      const most = 2 + Math.floor(ms / 20)
      assert.ok(reads >= 1 && reads <= most, `${reads} reads in ${ms} ms`)
    })
  })

  describe('sees', () => {
    const FIELDS = { 'timestamps:run_rhem': '1', 'locked:a': 'true' }

    it('shows the deletion of a run', async () => {
      const { run, clients } = await open(FIELDS, 2)
      await gateway.agent.del(run)
      await untilShown(clients, frameOf())
    })

    it('shows the deletion of the last field of a run', async () => {
      const { run, client } = await open({ 'timestamps:run_rhem': '1' })
      await gateway.agent.hDel(run, 'timestamps:run_rhem')
      await untilShown([client], frameOf())
    })

    it('shows the expiry of a run without any read of its own before it', { skip }, async () => {
      const { run, clients } = await open(FIELDS, 2)
      await gateway.agent.pExpire(run, 60)
      await untilShown(clients, frameOf())
      for (const client of clients) assert.equal(client.frames.length, 2)
    })

    it('shows the renaming of a run, at its old name and at its new one', async () => {
      const from = await open(FIELDS)
      const to = await open({})
      await gateway.agent.rename(from.run, to.run)
      await untilShown([from.client], frameOf())
      await untilShown([to.client], frameOf(FIELDS))
    })

    it('shows the new hash of a run that was deleted and written again at once', async () => {
      const { run, clients } = await open(FIELDS, 2)
      await gateway.agent.multi().del(run).hSet(run, 'timestamps:run_rhem', '2').exec()
      await untilShown(clients, frameOf({ 'timestamps:run_rhem': '2' }))
    })

    it('shows an all-false checklist when a key of another type replaces the hash, counts an error, and keeps the socket', async () => {
      const { run, clients } = await open(FIELDS, 2)
      const before = await runErrors(gateway)
      await gateway.agent.set(run, 'a string')
      await untilShown(clients, frameOf())
      assert.equal((await runErrors(gateway)) - before, 1)
      assert.equal(fault(gateway, run).length, 1)
      await gateway.agent.multi().del(run).hSet(run, FIELDS).exec()
      await untilShown(clients, frameOf(FIELDS))
      for (const client of clients) assert.equal(client.code, undefined)
    })

    it('shows an all-false checklist for a key of another type that was there before the socket', async () => {
      const run = newRun()
      await gateway.agent.lPush(run, 'x')
      const client = await watchRun(gateway, run)
      assert.deepEqual(client.frames, [frameOf()])
      await gateway.agent.multi().del(run).hSet(run, FIELDS).exec()
      await untilShown([client], frameOf(FIELDS))
    })
  })

  describe('gets right', () => {
    it('shows runs with ids of every kind that is allowed', async () => {
      for (const run of ['a;b', 'run.1', '..;x', `aZ09_.;-${'x'.repeat(120)}`, '-', ';']) {
        await gateway.agent.hSet(run, 'last_modified', '1')
        const client = await watchRun(gateway, run)
        await gateway.agent.hSet(run, 'last_modified', '2')
        await untilShown([client], frameOf({ last_modified: '2' }))
        await client.close()
      }
    })

    for (const path of [
      '/a%2Fb',
      '/run%252E1',
      '/%',
      '/a%3Ab',
      '/a:b',
      '/%7Ba%7D',
      '/a*',
      '/a[b]',
      '/caf\u00e9',
      `/${'x'.repeat(201)}`,
      '/a%00',
    ]) {
      it(`refuses the run id of ${path.slice(0, 20)} with 400 and does not read it`, async () => {
        const reads = (await hashReads(gateway.agent)).done
        const { status, body } = await ask(gateway.http, upgradeRequest(path))
        assert.deepEqual([status, JSON.parse(body).error.code], [400, 'malformed-id'])
        assert.equal((await hashReads(gateway.agent)).done, reads)
      })
    }

    it('shows fields and locks that are named like members of every object', async () => {
      const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
      const fields = names.flatMap((name) => [name, '1', `locked:${name}`, 'true', `timestamps:${name}`, '7'])
      const run = newRun()
      await gateway.agent.sendCommand(['HSET', run, ...fields])
      const client = await watchRun(gateway, run)
      assert.match(
        String(client.frames[0]),
        /"lock_statuses":\{"__proto__":true,"constructor":true,"hasOwnProperty":true,"toString":true\},"last_modified":7\}$/,
      )
    })

    it('shows a run with a value of 1 MB', async () => {
      const value = 'x'.repeat(1024 * 1024)
      const { run, client } = await open({ 'timestamps:run_rhem': value, last_modified: value })
      assert.deepEqual(client.frames, [frameOf({ 'timestamps:run_rhem': value })])
      await gateway.agent.hSet(run, 'last_modified', '1')
      await untilShown([client], frameOf({ 'timestamps:run_rhem': value, last_modified: '1' }))
    })

    it('shows a run of 10,000 fields', async () => {
      const fields = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`locked:${i}`, String(i % 2 === 0)]))
      const { run, clients } = await open(fields, 3)
      for (const client of clients) assert.deepEqual(client.frames, [frameOf(fields)])
      await gateway.agent.hSet(run, 'last_modified', '1')
      await untilShown(clients, frameOf({ ...fields, last_modified: '1' }))
    })

    it('shows bytes that are not UTF-8 as U+FFFD in a text frame', async () => {
      const run = newRun()
      const bad = Buffer.from([0xff, 0x61])
      const field = Buffer.concat([Buffer.from('locked:'), bad])
      await gateway.agent.sendCommand(['HSET', run, field, 'true', bad, bad, 'attrs:has_sbs', bad])
      const client = await watchRun(gateway, run)
      assert.equal(typeof client.frames[0], 'string')
      assert.deepEqual(client.frames, [frameOf({ 'locked:\ufffda': 'true' })])
    })
  })

  for (const [what, frame, code] of [
    ['a binary frame', Buffer.from('{"type":"init"}'), 1003],
    ['a frame of more than 64 KiB', 'x'.repeat(64 * 1024 + 1), 1009],
  ] as const) {
    it(`sends hangup and closes a run socket with ${code} after ${what}, and no other socket of the run`, async () => {
      const { run, clients } = await open({}, 2)
      const [bad, good] = clients
      bad!.socket.send(frame, { binary: typeof frame !== 'string' })
      const { code: came } = await within(bad!.closed, 'the close')
      assert.equal(came, code)
      assert.deepEqual(bad!.frames, [frameOf(), HANGUP])
      await gateway.agent.hSet(run, 'last_modified', '1')
      await untilShown([good!], frameOf({ last_modified: '1' }))
      assert.ok(!good!.frames.includes(HANGUP))
    })
  }

  it('accepts a frame of exactly 64 KiB at the run door', async () => {
    const { run, client } = await open({})
    client.send(`"${'x'.repeat(64 * 1024 - 2)}"`)
    await gateway.agent.hSet(run, 'last_modified', '1')
    await untilShown([client], frameOf({ last_modified: '1' }))
    await client.close()
    assert.equal(client.code, 1005)
  })
})

describe('the run door', () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let gateway: TestGateway
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })

  /** A gateway of this test's own on the Redis of this suite. */
  async function start(env: Record<string, string> = {}, options: Partial<TestGatewayOptions> = {}): Promise<void> {
    gateway = await gatewayFor(each, { redis, env: { ...NO_RESYNC, ...env }, ...options })
  }

  it('reads runs and listens to their events in the database that the Redis URL names', { skip }, async () => {
    const third: TestRedis = { ...redis, url: `${redis.url}/3` }
    await start({}, { redis: third })
    const inThird = await redis.client()
    await inThird.select(3)
    await gateway.agent.hSet('database', 'last_modified', '100')
    await inThird.hSet('database', 'last_modified', '300')
    const client = await watchRun(gateway, 'database')
    assert.deepEqual(await keyspace(gateway), { channels: [runEvents(3, 'database')], patterns: 0 })
    await gateway.agent.hSet('database', 'last_modified', '101')
    await inThird.hSet('database', 'last_modified', '301')
    await untilShown([client], frameOf({ last_modified: '301' }))
    assert.equal(client.frames.length, 2)
  })

  describe('with the slow re-read', { skip }, () => {
    it('finds a change without an event by the slow re-read, and shows only the difference to all', async () => {
      await start({ RUN_RESYNC_INTERVAL: '100ms' })
      await gateway.agent.hSet('quiet', 'last_modified', '1')
      const clients = await Promise.all(Array.from({ length: 5 }, () => watchRun(gateway, 'quiet')))
      await gateway.agent.configSet('notify-keyspace-events', '')
      try {
        await gateway.agent.hSet('quiet', 'last_modified', '2')
        await untilShown(clients, frameOf({ last_modified: '2' }))
        const { done } = await hashReads(gateway.agent)
        await eventually(async () => (await hashReads(gateway.agent)).done >= done + 3, 'three more reads')
        await gateway.agent.del('quiet')
        await untilShown(clients, frameOf())
        for (const client of clients) assert.equal(client.frames.length, 3)
      } finally {
        await gateway.agent.configSet('notify-keyspace-events', 'KEA')
      }
    })
  })

  describe('with its heartbeat', () => {
    it('sends heartbeats, and keeps a run socket as long as its client sends any frame', async () => {
      await start({ RUN_PING_INTERVAL: '100ms', RUN_PONG_TIMEOUT: '1s' })
      const client = await watchRun(gateway, 'beat')
      client.socket.on('message', (data) => {
        if (String(data) === PING) client.send('{"type":"pong"}')
      })
      const startedAt = performance.now()
      await client.take(8)
      assert.ok(performance.now() - startedAt > 1000, 'longer than the timeout')
      assert.deepEqual(client.frames.slice(1), Array(client.frames.length - 1).fill(PING))
      assert.equal(client.code, undefined)
    })

    it('spreads the heartbeats of clients that came together', async () => {
      await start({ RUN_PING_INTERVAL: '1600ms', RUN_PONG_TIMEOUT: '60s' })
      const clients = await Promise.all(Array.from({ length: 30 }, () => watchRun(gateway, 'beat')))
      const moments: number[] = []
      for (const { socket } of clients) socket.once('message', () => moments.push(performance.now()))
      await eventually(() => moments.length === clients.length, 'a ping each')
      const apart = Math.max(...moments) - Math.min(...moments)
      assert.ok(apart > 700, `all of them within ${apart} ms`)
    })

    it('takes a frame that is no JSON for a sign of life too', async () => {
      await start({ RUN_PING_INTERVAL: '100ms', RUN_PONG_TIMEOUT: '1s' })
      const client = await watchRun(gateway, 'beat')
      client.socket.on('message', () => client.send('alive'))
      await client.take(8)
      assert.equal(client.code, undefined)
    })

    it('sends hangup and closes with 4408 without a client frame, despite protocol pongs and changes', async () => {
      await start({ RUN_PING_INTERVAL: '100ms', RUN_PONG_TIMEOUT: '1s', PING_INTERVAL: '100ms', PONG_TIMEOUT: '600ms' })
      const openedAt = performance.now()
      const client = await watchRun(gateway, 'beat')
      let pings = 0
      client.socket.on('ping', () => {
        pings++
        gateway.agent.hSet('beat', 'last_modified', String(pings)).catch(() => {})
      })
      const { code } = await within(client.closed, 'the close')
      const ms = performance.now() - openedAt
      assert.equal(code, 4408)
      assert.ok(ms >= 1000, `after ${ms} ms`)
      assert.ok(pings >= 2, `${pings} protocol pings`)
      assert.ok(client.frames.includes(PING))
      assert.ok(shown(client).length > 1)
      assert.equal(client.frames.at(-1), HANGUP)
      assert.equal(client.frames.filter((frame) => frame === HANGUP).length, 1)
    })
  })

  it('sends hangup last and once, and closes a run socket with 1001 when it drains', async () => {
    await start()
    const clients = await Promise.all(Array.from({ length: 10 }, (_, i) => watchRun(gateway, `drain-${i % 3}`)))
    const stopped = gateway.gateway.stop()
    for (const client of clients) {
      assert.equal((await within(client.closed, 'the close')).code, 1001)
      assert.deepEqual(client.frames, [frameOf(), HANGUP])
    }
    await within(stopped, 'the end of the drain')
  })

  describe('with RUN_AUTH=bearer', () => {
    const token = async (run: string) => {
      await gateway.agent.set(runAuth(run), 'the-token')
      return 'the-token'
    }

    it('accepts the token at run:<id>:auth once with RUN_AUTH=bearer', async () => {
      await start({ RUN_AUTH: 'bearer' })
      await gateway.agent.hSet('secret;1', 'last_modified', '1')
      const client = await watchRun(gateway, 'secret;1', { token: await token('secret;1') })
      assert.deepEqual(client.frames, [frameOf({ last_modified: '1' })])
      const { status, code } = await refused(`${gateway.url}/secret;1`, { token: 'the-token' })
      assert.deepEqual([status, code], [403, 'token-rejected'])
    })

    it('refuses a missing token with 401, and a wrong one or that of another run or session with 403', async () => {
      await start({ RUN_AUTH: 'bearer' })
      await token('mine')
      await gateway.agent.set(runAuth('other'), 'of-other')
      await gateway.agent.set(sessionAuth('mine'), 'of-session')
      const none = await refused(`${gateway.url}/mine`)
      assert.deepEqual(
        [none.status, none.code, none.headers['www-authenticate']],
        [401, 'credentials-missing', 'Bearer'],
      )
      for (const wrong of ['wrong', 'of-other', 'of-session']) {
        const { status, code } = await refused(`${gateway.url}/mine`, { token: wrong })
        assert.deepEqual([status, code], [403, 'token-rejected'], wrong)
      }
      await (await watchRun(gateway, 'mine', { token: 'the-token' })).close()
    })

    it('takes the token of a run from the subprotocol too, and echoes only wsproxy.v1', async () => {
      await start({ RUN_AUTH: 'bearer', AUTH_TOKEN_MODE: 'reusable' })
      const bearer = `bearer.${Buffer.from(await token('browser')).toString('base64url')}`
      const { WebSocket } = await import('ws')
      for (let i = 0; i < 2; i++) {
        const socket = new WebSocket(`${gateway.url}/browser`, ['wsproxy.v1', bearer])
        await within(new Promise((resolve, reject) => socket.once('message', resolve).once('error', reject)), 'a frame')
        assert.equal(socket.protocol, 'wsproxy.v1')
        socket.terminate()
      }
    })
  })

  it('needs no token without RUN_AUTH=bearer, and ignores one that is sent', async () => {
    await start()
    await (await watchRun(gateway, 'open')).close()
    await (await watchRun(gateway, 'open', { token: 'whatever' })).close()
  })

  describe('with the variables of its predecessor', () => {
    it('reads durations, sizes and origins in the variables of its predecessor', async () => {
      await start({
        PREFLIGHT_PING_INTERVAL: '0.2s',
        PREFLIGHT_PONG_TIMEOUT: '1m30s',
        PREFLIGHT_MAX_MESSAGE_SIZE: '1KB',
        PREFLIGHT_ALLOWED_ORIGINS: 'app.example.org, *.example.com, https://full.example.net:8443',
        PREFLIGHT_METRICS_ENABLED: 'false',
      })
      assert.notEqual((await fetch(`${gateway.http}/metrics`)).status, 200)
      const client = await watchRun(gateway, 'aliases')
      await client.find({ type: 'ping' })
      client.send('x'.repeat(1024))
      client.send('x'.repeat(1025))
      assert.equal((await within(client.closed, 'the close')).code, 1009)
      assert.equal(client.frames.at(-1), HANGUP)
    })

    const ORIGINS = {
      'https://app.example.org': true,
      'http://app.example.org:3000': true,
      'https://a.example.com': true,
      'https://a.b.example.com': true,
      'https://full.example.net:8443': true,
      'https://FULL.example.net:8443': true,
      'https://example.com': false,
      'https://notexample.com': false,
      'https://full.example.net': false,
      'http://full.example.net:8443': false,
      'https://x.app.example.org': false,
      'https://app.example.org.evil.example': false,
      null: false,
    }
    it('accepts origins by host, by *.host and in full in the variables of its predecessor, and no others', async () => {
      await start({ PREFLIGHT_ALLOWED_ORIGINS: 'app.example.org, *.example.com, https://full.example.net:8443' })
      for (const [origin, allowed] of Object.entries(ORIGINS)) {
        const headers = { Origin: origin }
        if (allowed) await (await watchRun(gateway, 'origins', { headers })).close()
        else {
          const { status, code } = await refused(`${gateway.url}/origins`, { headers })
          assert.deepEqual([status, code], [403, 'origin-not-allowed'], origin)
        }
      }
    })
  })
})

describe('a run socket whose checklist changes during its upgrade', () => {
  it('sends a checklist that changes during an upgrade once', () => {
    const frame = Buffer.from(frameOf())
    const sent: string[] = []
    const metrics = new Metrics()
    const watches = { frame: () => frame, render: () => undefined } as unknown as RunWatches
    const options = {
      runAuth: 'none',
      runRefuse: 'http',
      runKeyPrefix: '',
      runPath: '/',
      database: 0,
      maxMessageBytes: 1,
      jsonMaxDepth: 128,
      runPingIntervalMs: 1,
      runPongTimeoutMs: 2,
    } as const
    const bindings = new Bindings({ subscribe: async () => {}, unsubscribe: () => {} })
    const { log } = keptLog()
    const unsent = new UnsentBytes({ maxBytes: 1024 ** 2, sockets: [], closer: () => assert.fail(), metrics, log })
    const limits = { maxBufferBytes: 1024 ** 2, maxDownBytes: 1024 ** 2 }
    const delivery = new Delivery(bindings, { ...limits, unsent, metrics, log, tooSlow: () => assert.fail() })
    const enqueue = (connection: Connection, each: Buffer) => delivery.enqueue(connection, each)
    const door = new RunDoor({ options, metrics, watches, enqueue, renewals: undefined, unparseable: () => {} })
    const connection = new Connection(door, 'early', '127.0.0.1', 0)
    void bindings.join(connection, watches, ['__keyspace@0__:early'])
    delivery.fanOut(connection.topics[0]!, frame)
    connection.open({ send: (each: Buffer) => sent.push(String(each)) } as unknown as Socket, 0)
    delivery.flush(connection)
    door.opened(connection)
    delivery.flush(connection)
    metrics.stop()
    assert.deepEqual(sent, [String(frame)])
  })
})
