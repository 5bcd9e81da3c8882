import assert from 'node:assert/strict'
import { afterEach, describe, it, mock } from 'node:test'
import type { Connection } from '../../../src/connection/connection.ts'
import { sessionDown } from '../../../src/contract/names.ts'
import { GapNotices } from '../../../src/doors/session/gaps.ts'
import { gatewayFor } from '../../support/gateway.ts'
import { proxyFor } from '../../support/proxy.ts'
import { redisFor } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const crowdOf = (count: number) => Array.from({ length: count }, (_, n) => ({ n }) as unknown as Connection)

/** Notices of which a test reads what each connection was sent. */
function noticesWithLog() {
  const sent = new Map<Connection, Buffer[]>()
  const enqueue = (connection: Connection, frame: Buffer) =>
    void sent.set(connection, [...(sent.get(connection) ?? []), frame])
  const notices = new GapNotices({ enqueue, guard: (_, work) => work() })
  return { notices, sent }
}

const spanOf = (frame: Buffer) => {
  const { from, to } = JSON.parse(frame.toString())
  return [Date.parse(from), Date.parse(to)]
}

describe('the notices of a gap', () => {
  const each = scopeOf(afterEach)
  afterEach(() => mock.timers.reset())

  it('go to 200 sockets at once and to the others in slices, as one frame', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { notices, sent } = noticesWithLog()
    notices.say(crowdOf(500), 1000, 2000)
    assert.equal(sent.size, 200)
    mock.timers.tick(149)
    assert.equal(sent.size, 200)
    mock.timers.tick(1)
    assert.equal(sent.size, 400)
    mock.timers.tick(10)
    mock.timers.tick(10_000)
    assert.equal(sent.size, 500)
    const frames = [...sent.values()]
    assert.ok(frames.every((its) => its.length === 1 && its[0] === frames[0]![0]))
    assert.deepEqual(spanOf(frames[0]![0]!), [1000, 2000])
  })

  it('reach the last of 50,000 sockets within 2 s', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { notices, sent } = noticesWithLog()
    notices.say(crowdOf(50_000), 1000, 2000)
    for (let ms = 0; ms < 2000; ms += 10) mock.timers.tick(10)
    assert.equal(sent.size, 50_000)
  })

  it('name both gaps in one frame when the second begins before the notice is sent', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { notices, sent } = noticesWithLog()
    const crowd = crowdOf(300)
    notices.say(crowd, 1000, 2000)
    notices.say(crowd, 3000, 4000)
    for (let i = 0; i < 20; i++) mock.timers.tick(10)
    assert.deepEqual(sent.get(crowd[0]!)!.map(spanOf), [
      [1000, 2000],
      [3000, 4000],
    ])
    assert.deepEqual(sent.get(crowd[299]!)!.map(spanOf), [[1000, 4000]])
  })

  it('are sent once, and at once to a socket that leaves', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { notices, sent } = noticesWithLog()
    const crowd = crowdOf(300)
    notices.say(crowd, 1000, 2000)
    notices.sayNow(crowd[299]!)
    notices.sayNow(crowd[299]!)
    notices.sayNow(crowd[0]!)
    assert.equal(sent.size, 201)
    mock.timers.tick(150)
    assert.equal(sent.size, 300)
    assert.ok([...sent.values()].every((its) => its.length === 1))
  })

  it('go to all members of a topic of which one is closed by its notice', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const told: Connection[] = []
    const crowd = crowdOf(300)
    const members = crowd.slice(290)
    const enqueue = (connection: Connection) => {
      told.push(connection)
      // The last one takes its place, as in the topics.
      if (connection === members[0]) members[0] = members.pop()!
    }
    const notices = new GapNotices({ enqueue, guard: (_, work) => work() })
    notices.say(crowd, 1000, 2000)
    notices.sayBefore(members)
    assert.deepEqual(told.slice(200), crowd.slice(290))
  })

  it('come before the first message at each of 450 sockets', async () => {
    const redis = await redisFor(each)
    const proxy = await proxyFor(each, redis.port)
    const through = { ...redis, url: `redis://127.0.0.1:${proxy.port}`, client: () => redis.client() }
    const gateway = await gatewayFor(each, { redis: through, env: { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0' } })
    const clients = await Promise.all(Array.from({ length: 450 }, (_, n) => gateway.join(`first-${n}`)))
    proxy.cut()
    await eventually(() => !gateway.gateway.redisReady, 'the loss')
    proxy.restore()
    // A message that comes while channels are still being confirmed may be in front of its notice.
    await eventually(() => gateway.gateway.redisReady, 'the return')
    for (const n of clients.keys()) assert.equal(await gateway.agent.publish(sessionDown(`first-${n}`), '{"n":1}'), 1)
    for (const client of clients) {
      const [notice, message] = await client.take(2)
      assert.equal(JSON.parse(String(notice)).command, 'gap')
      assert.equal(message, '{"n":1}')
    }
  })

  it('come before the goodbye at each of 450 sockets when the gateway stops after an outage', async () => {
    const redis = await redisFor(each)
    const proxy = await proxyFor(each, redis.port)
    const through = { ...redis, url: `redis://127.0.0.1:${proxy.port}`, client: () => redis.client() }
    const gateway = await gatewayFor(each, { redis: through, env: { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0' } })
    const clients = await Promise.all(Array.from({ length: 450 }, (_, n) => gateway.join(`crowd-${n}`)))
    proxy.cut()
    await eventually(() => !gateway.gateway.redisReady, 'the loss')
    proxy.restore()
    await eventually(() => gateway.gateway.redisReady, 'the return')
    await gateway.agent.publish(sessionDown('crowd-449'), '{"after":true}')
    await clients[449]!.find({ after: true })
    await gateway.gateway.stop()
    await eventually(() => clients.every(({ code }) => code === 1001), 'the closes')
    for (const [n, client] of clients.entries())
      assert.deepEqual(
        client.values.filter(({ command }) => command !== undefined).map(({ command }) => command),
        ['gap', 'goodbye'],
        `socket ${n}`,
      )
  })
})
