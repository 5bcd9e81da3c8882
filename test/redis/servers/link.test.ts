import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { RedisUnavailable } from '../../../src/platform/unavailable.ts'
import { backoffMs } from '../../../src/redis/servers/backoff.ts'
import { newLink, openLink, type TestLink, total } from '../../support/link.ts'
import { assertProperty } from '../../support/property.ts'
import { proxyFor, type TcpProxy } from '../../support/proxy.ts'
import { realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { blockThread, eventually } from '../../support/wait.ts'

/** Longer than Redis may be silent. */
const BLOCKED_MS = 6000

describe('the pause before the next attempt', () => {
  it('pauses at most 50 ms after the first failure', () => {
    assertProperty(
      fc.property(fc.double({ min: 0, max: 0.999999, noNaN: true }), (random) => {
        const pause = backoffMs(1, 0, () => random)
        assert.ok(pause >= 0 && pause <= 50)
      }),
    )
  })

  it('pauses for a tenth of the outage so far, from 100 ms to 5 s, with jitter over its upper half', () => {
    for (const [awayMs, full] of [
      [0, 100],
      [30, 100],
      [1000, 100],
      [2000, 200],
      [30_000, 3000],
      [50_000, 5000],
      [3_600_000, 5000],
    ] as const) {
      const [least, most] = [0, 1].map((random) => backoffMs(2, awayMs, () => random))
      assert.deepEqual([least, most], [full / 2, full])
    }
  })

  it('never pauses longer than 5 s, nor shorter than 50 ms after the first failure', () => {
    assertProperty(
      fc.property(fc.nat(10_000), fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (failures, awayMs, random) => {
        const pause = backoffMs(failures, awayMs, () => random)
        assert.ok(pause >= 0 && pause <= 5000)
        if (failures > 1) assert.ok(pause >= 50)
      }),
    )
  })

  /** When instances that lost Redis at 0 make the first attempt after `outageMs`. */
  const returns = (instances: number, outageMs: number) =>
    Array.from({ length: instances }, () => {
      let [at, failures] = [0, 0]
      while (at < outageMs) at += backoffMs(++failures, at, Math.random)
      return { lateMs: at - outageMs, failures }
    })

  it('spreads the attempts of instances that lost Redis together, and adds at most a tenth of an outage', () => {
    for (const outageMs of [300, 1000, 10_000, 40_000]) {
      const all = returns(1000, outageMs)
      const widthMs = Math.max(100, outageMs / 10)
      const perSlice = new Map<number, number>()
      for (const { lateMs } of all) {
        const slice = Math.floor((lateMs / widthMs) * 10)
        perSlice.set(slice, (perSlice.get(slice) ?? 0) + 1)
      }
      // On average it would be 133: the attempts of an instance are 3/4 of that width apart.
      assert.ok(Math.max(...perSlice.values()) < 300, `${outageMs} ms: ${[...perSlice.values()]}`)
      assert.ok(Math.max(...all.map(({ lateMs }) => lateMs)) <= widthMs)
      assert.ok(Math.max(...all.map(({ failures }) => failures)) < 100)
    }
  })
})

describe('a link', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let proxy: TcpProxy
  let made: TestLink | undefined
  before(async () => {
    redis = await redisFor(suite)
    proxy = await proxyFor(suite, redis.port)
  })
  afterEach(() => made?.close())
  const url = () => `redis://127.0.0.1:${proxy.port}`
  const keep = (link: TestLink) => {
    made = link
    return link
  }

  it('reports ready once when the link has connected', async () => {
    const { link, seen, metrics } = keep(await openLink(url()))
    assert.equal(await link.client.ping(), 'PONG')
    assert.deepEqual(seen, { ready: 1, lost: 0 })
    assert.equal(await total(metrics, 'wsproxy_redis_reconnects_total'), 0)
  })

  it('throws RedisUnavailable for the client until the link is ready', () => {
    const { link } = keep(newLink(url()))
    assert.throws(() => link.client, RedisUnavailable)
  })

  it('reports, counts and logs the loss of a link and its return', async () => {
    const { link, seen, metrics, log } = keep(await openLink(url(), { name: 'commands' }))
    proxy.cut()
    await eventually(() => link.state === 'lost', 'the loss')
    assert.deepEqual(seen, { ready: 1, lost: 1 })
    assert.throws(() => link.client, RedisUnavailable)
    proxy.restore()
    await eventually(() => link.state === 'ready', 'the next connection')
    assert.deepEqual(seen, { ready: 2, lost: 1 })
    assert.equal(await link.client.ping(), 'PONG')
    assert.equal(await total(metrics, 'wsproxy_redis_reconnects_total', { link: 'commands' }), 1)
    const events = log.map(({ event }) => event)
    assert.equal(events[0], 'redis-ready')
    assert.equal(events[1], 'redis-lost')
    assert.equal(events.at(-1), 'redis-ready')
  })

  it('reports the loss of a link once, however many attempts fail after it', async () => {
    const { link, seen, log } = keep(await openLink(url()))
    proxy.cut()
    await eventually(() => log.filter(({ event }) => event === 'redis-lost').length >= 4, 'four failures')
    assert.deepEqual(seen, { ready: 1, lost: 1 })
    const pauses = log.filter(({ event }) => event === 'redis-lost').map(({ pauseMs }) => Number(pauseMs))
    assert.ok(pauses[0]! <= 50)
    for (const pause of pauses.slice(1, 4)) assert.ok(pause >= 50 && pause <= 100, String(pause))
    proxy.restore()
    await eventually(() => link.state === 'ready', 'the next connection')
  })

  it('begins with the short pause again after the link was ready', async () => {
    const { link, log } = keep(await openLink(url()))
    for (let round = 0; round < 2; round++) {
      proxy.cut()
      await eventually(() => link.state === 'lost', 'the loss')
      proxy.restore()
      await eventually(() => link.state === 'ready', 'the next connection')
    }
    const first = log.filter(({ event, failures }) => event === 'redis-lost' && failures === 1)
    assert.equal(first.length, 2)
  })

  it('counts as ready only after prepare, and connects again when prepare fails', async () => {
    let attempts = 0
    const { link, seen } = keep(
      newLink(url(), {
        prepare: async (client) => {
          await client.ping()
          if (++attempts < 3) throw new Error('for the test')
        },
      }),
    )
    await eventually(() => link.state === 'ready', 'the third attempt')
    assert.equal(attempts, 3)
    assert.deepEqual(seen, { ready: 1, lost: 0 })
  })

  it('keeps the link to a server that cannot save its data and refuses PING', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        if (bytes.includes('HELLO')) socket.write('%1\r\n+proto\r\n:3\r\n')
        if (bytes.includes('PING')) socket.write('-MISCONF Redis is configured to save RDB snapshots\r\n')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const made = keep(await openLink(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`))
    const { aliveAt } = made.link
    await eventually(() => made.link.aliveAt >= aliveAt + 4500, 'more pings than may be missed')
    assert.deepEqual(made.seen, { ready: 1, lost: 0 })
    made.close()
    server.close()
  })

  it('reconnects after a connection listener threw', async () => {
    let throws = true
    const raise = () => {
      if (throws) throw new Error('for the test')
    }
    const { link, seen, metrics, log } = keep(newLink(url(), { ready: raise, lost: raise }))
    await eventually(() => link.state === 'ready', 'the connection')
    proxy.cut()
    await eventually(() => seen.lost === 1, 'the loss')
    throws = false
    proxy.restore()
    await eventually(() => seen.ready === 2, 'the next connection')
    assert.equal(await total(metrics, 'wsproxy_errors_total', { type: 'internal' }), 2)
    assert.equal(log.filter(({ msg }) => /connection listener threw/.test(String(msg))).length, 2)
  })

  it('makes the next attempt at once after hurry, whatever its pause', async () => {
    const { link, log } = keep(await openLink(url()))
    proxy.cut()
    const pause = () => Number(log.filter(({ event }) => event === 'redis-lost').at(-1)?.pauseMs)
    await eventually(() => pause() > 700, 'a long pause')
    const pauseMs = pause()
    const startedAt = performance.now()
    proxy.restore()
    link.hurry()
    await eventually(() => link.state === 'ready', 'the connection')
    assert.ok(performance.now() - startedAt < pauseMs, 'before the pause was over')
  })

  it('replaces the connection on restart', async () => {
    const { link, seen } = keep(await openLink(url()))
    const id = await link.client.sendCommand(['CLIENT', 'ID'])
    link.restart('for the test')
    await eventually(() => seen.ready === 2, 'the next connection')
    assert.notEqual(await link.client.sendCommand(['CLIENT', 'ID']), id)
  })

  it('detects a server that stops answering while its connection stays open', async () => {
    const { link, log, seen } = keep(await openLink(url()))
    proxy.hold()
    await eventually(() => link.state === 'lost', 'the loss')
    assert.match(String(log.find(({ event }) => event === 'redis-lost')?.reason), /pings/)
    proxy.release()
    await eventually(() => seen.ready === 2, 'the next connection')
  })

  it('keeps the link when this process was blocked for a while', async () => {
    const { link, seen, log } = keep(await openLink(redis.url))
    blockThread(BLOCKED_MS)
    // Whatever was due meanwhile happens before a later timer and the answer to a later command.
    await new Promise((resolve) => setTimeout(resolve, 1))
    await link.client.ping()
    assert.deepEqual(seen, { ready: 1, lost: 0 }, JSON.stringify(log))
  })

  it('gives up an attempt when the server accepts and then does not answer', async () => {
    const { connections } = proxy
    proxy.hold()
    try {
      const { link } = keep(newLink(url()))
      await eventually(() => proxy.connections > connections + 1, 'the second attempt', 10_000)
      proxy.release()
      await eventually(() => link.state === 'ready', 'an attempt that is answered')
    } finally {
      proxy.release()
    }
  })

  it('does not reconnect after close', async () => {
    const { link, seen } = keep(await openLink(url()))
    const { connections } = proxy
    link.close()
    assert.equal(link.state, 'closed')
    assert.throws(() => link.client, RedisUnavailable)
    const agent = await redis.client()
    await eventually(async () => !(await agent.clientList()).some(({ name }) => name === 'wsproxy-test'), 'its end')
    assert.equal(proxy.connections, connections)
    assert.equal(seen.ready, 1)
  })

  it('keeps the link while messages arrive, however late its pings are answered', async () => {
    let arrived = 0
    const arriving = setInterval(() => arrived++, 100)
    const made = await openLink(`redis://127.0.0.1:${proxy.port}`, { progress: () => arrived })
    try {
      proxy.hold()
      const heldAt = performance.now()
      await eventually(() => performance.now() - heldAt > 5500, 'longer than three pings')
      assert.equal(made.link.state, 'ready')
      clearInterval(arriving)
      await eventually(() => made.seen.lost === 1, 'the loss')
    } finally {
      clearInterval(arriving)
      made.close()
      proxy.release()
    }
  })

  it('leaves no connection behind when closed while connecting', async (t) => {
    const way = await proxyFor(t, redis.port)
    const connecting = newLink(`redis://127.0.0.1:${way.port}`)
    connecting.close()
    const barely = newLink(`redis://127.0.0.1:${way.port}`)
    await new Promise(setImmediate)
    barely.close()
    // The connection of one who came later is there only when theirs would be.
    const later = await openLink(`redis://127.0.0.1:${way.port}`)
    later.close()
    await eventually(() => way.idle, 'all connections to be closed')
    assert.equal(connecting.link.state, 'closed')
    assert.equal(connecting.seen.ready + barely.seen.ready, 0)
  })

  it('leaves no connection behind when closed while it waits for an answer', async (t) => {
    const way = await proxyFor(t, redis.port)
    way.hold()
    const waiting = newLink(`redis://127.0.0.1:${way.port}`)
    await eventually(() => way.connections > 0, 'the connection')
    waiting.close()
    way.release()
    await eventually(() => way.idle, 'the connection to be closed')
    assert.equal(waiting.seen.ready, 0)
  })

  it('makes no attempt when closed during the pause', async () => {
    proxy.cut()
    const waiting = newLink(url())
    await eventually(() => waiting.log.length >= 3, 'some failures')
    waiting.close()
    proxy.restore()
    const { connections } = proxy
    const later = await openLink(url())
    later.close()
    assert.equal(proxy.connections, connections + 1)
    assert.equal(waiting.seen.ready, 0)
  })

  it('authenticates with the password of the URL, and keeps trying with a wrong one', {
    skip: withoutRealRedis,
  }, async (t) => {
    const guarded = await realRedisFor(t, ['--requirepass', 'open sesame'])
    const right = newLink(`redis://:open%20sesame@127.0.0.1:${guarded.port}`)
    const wrong = newLink(`redis://:another-word@127.0.0.1:${guarded.port}`)
    await eventually(() => right.link.state === 'ready', 'the right password')
    await eventually(() => wrong.log.length >= 3, 'some refusals')
    assert.notEqual(wrong.link.state, 'ready')
    assert.match(String(wrong.log[0]?.reason), /WRONGPASS|invalid/)
    assert.match(
      String(wrong.log[0]?.remedy),
      /^Redis runs, and refuses this user or password\. Correct both in REDIS_URL/,
    )
    assert.ok(!JSON.stringify([...wrong.log, ...right.log]).match(/another-word|sesame/), 'no password in the log')
    for (const each of [right, wrong]) each.close()
  })
})
