import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Link } from '../../src/redis/servers/link.ts'
import { RedisUpstream, type UpstreamOptions } from '../../src/redis/upstream.ts'
import { ErrorReply, Unsent } from '../../src/redis/wire/errors.ts'
import type { ReplyWaiter } from '../../src/redis/wire/waiter.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { openLink, type TestLink, total } from '../support/link.ts'
import { proxyFor, type TcpProxy } from '../support/proxy.ts'
import { type Client, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const MANY = 1_000_000

describe('upstream', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let proxy: TcpProxy
  let opened: TestLink
  let agent: Client
  let ready = true
  const heard: string[] = []
  before(async () => {
    redis = await redisFor(suite)
    proxy = await proxyFor(suite, redis.port)
    opened = await openLink(`redis://127.0.0.1:${proxy.port}`)
    atEnd(suite, () => opened.close())
    agent = await redis.client()
    const subscriber = await redis.client()
    await subscriber.subscribe('up', (message) => heard.push(message))
  })

  function start(options: Partial<UpstreamOptions> = {}) {
    const metrics = new Metrics()
    const upstream = new RedisUpstream({
      link: () => (ready && opened.link.state === 'ready' ? opened.link : undefined),
      sharded: false,
      moved: () => {},
      metrics,
      maxMessages: MANY,
      maxBytes: MANY,
      ...options,
    })
    const refused: [string, string][] = []
    // Each from a client of its own, so that what is refused can be named.
    const publish = (frame: string) =>
      upstream.publisher('up', (code) => refused.push([frame, code])).publish(Buffer.from(frame))
    heard.length = 0
    ready = true
    return { upstream, metrics, publish, refused }
  }
  /** The same over a link that is there or not, and whose commands are only collected. */
  function startSwitched(options: Partial<UpstreamOptions>) {
    const given: [string, ReplyWaiter][] = []
    const submit = ([, , frame]: unknown[], waiter: ReplyWaiter) => given.push([String(frame), waiter])
    const line = { isThere: true }
    const link = () => (line.isThere ? ({ client: { submit } } as unknown as Link) : undefined)
    return { ...start({ link, ...options }), given, line }
  }
  const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i))

  it('publishes client frames at once and in order', async () => {
    const { upstream, publish, refused } = start()
    for (const each of numbers(500)) publish(each)
    assert.equal(upstream.held, 0)
    await upstream.settled()
    await eventually(() => heard.length === 500, 'all frames')
    assert.deepEqual(heard, numbers(500))
    assert.deepEqual(refused, [])
  })

  it('holds client frames while Redis is away and publishes them before later ones', async () => {
    const { upstream, publish, refused } = start()
    ready = false
    for (const each of numbers(50)) publish(each)
    assert.equal(upstream.held, 50)
    ready = true
    publish('50')
    upstream.release()
    publish('51')
    await upstream.settled()
    await eventually(() => heard.length === 52, 'all frames')
    assert.deepEqual(heard, numbers(52))
    assert.deepEqual(refused, [])
    assert.equal(upstream.held, 0)
  })

  it('keeps the oldest held frames and refuses the newest past UPSTREAM_BUFFER_MESSAGES', async () => {
    const { upstream, metrics, publish, refused } = start({ maxMessages: 10 })
    ready = false
    for (const each of numbers(13)) publish(each)
    assert.deepEqual(refused, [
      ['10', 'upstream-unavailable'],
      ['11', 'upstream-unavailable'],
      ['12', 'upstream-unavailable'],
    ])
    assert.equal(await total(metrics, 'wsproxy_lost_messages_total', { reason: 'upstream_full' }), 3)
    ready = true
    upstream.release()
    await eventually(() => heard.length === 10, 'those that were held')
    assert.deepEqual(heard, numbers(10))
  })

  it('bounds the bytes of held frames, empty frames included', async () => {
    const { upstream, publish, refused } = start({ maxBytes: 10_000 })
    ready = false
    publish('x'.repeat(9000))
    publish('y'.repeat(9000))
    assert.deepEqual(refused, [['y'.repeat(9000), 'upstream-unavailable']])
    assert.equal(upstream.held, 1)
    const empty = start({ maxBytes: 10_000 })
    ready = false
    for (let i = 0; i < 1000; i++) empty.publish('')
    assert.ok(empty.upstream.held < 100, `${empty.upstream.held} empty frames within 10,000 bytes`)
    assert.equal(empty.refused.length + empty.upstream.held, 1000)
  })

  it('publishes every frame with no more bytes in flight than allowed', async () => {
    const { upstream, publish, refused } = start({ maxBytes: 3000 })
    for (const each of numbers(10)) publish(each)
    assert.equal(upstream.held, 0, 'eleven fit')
    for (const each of numbers(5, 10)) publish(each)
    assert.equal(upstream.held, 4)
    await upstream.settled()
    await eventually(() => heard.length === 15, 'all frames')
    assert.deepEqual(heard, numbers(15))
    assert.deepEqual(refused, [])
  })

  it('publishes a frame that alone is larger than the byte limit', async () => {
    const { publish, refused } = start({ maxBytes: 1000 })
    publish('z'.repeat(5000))
    await eventually(() => heard.length === 1, 'the frame')
    assert.deepEqual(refused, [])
  })

  it('refuses held, new and waiting frames in a drain while Redis is away', async () => {
    const { upstream, publish, refused } = start({ maxBytes: 3000 })
    ready = false
    for (const each of numbers(3)) publish(each)
    upstream.drain()
    publish('3')
    assert.deepEqual(
      refused,
      numbers(4).map((each) => [each, 'upstream-unavailable']),
    )
    ready = true
    for (const each of numbers(20, 4)) publish(each)
    assert.ok(upstream.held > 0, 'some wait for room')
    const waiting = upstream.held
    ready = false
    upstream.release()
    assert.equal(upstream.held, 0)
    assert.equal(refused.length, 4 + waiting)
    await within(upstream.settled(), 'the rest')
    await eventually(() => heard.length === 20 - waiting, 'those under way')
  })

  it('lets no frame overtake one of its channel that took another link and comes back', async () => {
    const pending: { frame: string; by: string; settle: (moved: boolean) => void }[] = []
    const link = (by: string) => {
      const submit = (command: string[], waiter: ReplyWaiter) => {
        const settle = (moved: boolean) =>
          moved ? waiter.failed(new ErrorReply('MOVED 1 127.0.0.1:2')) : waiter.answered(1)
        pending.push({ frame: String(command[2]), by, settle })
      }
      return { client: { submit } } as unknown as Link
    }
    const [before, after] = [link('before'), link('after')]
    let home = before
    let moved = 0
    const { upstream } = start({ link: () => home, moved: () => moved++ })
    const publisher = upstream.publisher('up', () => {})
    const publish = (frame: string) => publisher.publish(Buffer.from(frame))
    for (const each of numbers(3)) publish(each)
    home = after
    publish('3')
    assert.deepEqual(
      pending.map(({ frame, by }) => `${frame} ${by}`),
      ['0 before', '1 before', '2 before'],
    )
    for (const [i, each] of pending.slice(0, 3).entries()) each.settle(i > 0)
    await new Promise(setImmediate)
    assert.equal(moved, 2)
    upstream.release()
    assert.deepEqual(
      pending.slice(3).map(({ frame, by }) => `${frame} ${by}`),
      ['1 after', '2 after', '3 after'],
    )
    for (const each of pending.slice(3)) each.settle(false)
    await within(upstream.settled(), 'the rest')
  })

  it('publishes unsent frames on the next connection when the last one ended with more waiting than fits', async () => {
    let asked = 0
    const { upstream, publish, refused } = start({
      // Asking again at each failure would starve all other work.
      link: () => {
        if (++asked > 10_000) throw new Error('asked without end')
        return opened.link.state === 'ready' ? opened.link : undefined
      },
      maxBytes: 20_000_000,
    })
    proxy.hold()
    const large = (i: number) => `${i}:`.padEnd(1_000_000, 'x')
    for (let i = 0; i < 35; i++) {
      publish(large(i))
      await new Promise(setImmediate)
    }
    assert.ok(upstream.held > 0, 'some wait for room')
    proxy.cut()
    await eventually(() => opened.link.state !== 'ready', 'the end')
    proxy.restore()
    await eventually(() => opened.link.state === 'ready', 'the next connection')
    upstream.release()
    await within(upstream.settled(), 'the rest')
    const lost = refused.map(([frame]) => Number(frame.split(':')[0]))
    await eventually(() => heard.length + lost.length === 35, 'all frames')
    const got = heard.map((frame) => Number(frame.split(':')[0]))
    assert.deepEqual(
      [...got, ...lost].sort((a, b) => a - b),
      numbers(35).map(Number),
    )
    assert.deepEqual(
      got,
      got.toSorted((a, b) => a - b),
      'in order',
    )
    // Unknown are the oldest, refused the newest.
    const code = (want: string) =>
      refused.filter(([, each]) => each === want).map(([frame]) => Number(frame.split(':')[0]))
    assert.ok(Math.max(-1, ...code('upstream-uncertain')) < Math.min(...got))
    assert.ok(Math.min(35, ...code('upstream-unavailable')) > Math.max(...got))
  })

  it('keeps the oldest frames when unsent ones come back among newer held ones', async () => {
    const { upstream, publish, refused, given, line } = startSwitched({ maxMessages: 4 })
    for (const each of numbers(3)) publish(each)
    line.isThere = false
    for (const each of numbers(3, 3)) publish(each)
    for (const [, waiter] of given.splice(0)) waiter.failed(new Unsent('for the test'))
    assert.deepEqual(
      refused.map(([frame]) => frame),
      ['5', '4'],
    )
    line.isThere = true
    upstream.release()
    assert.equal(given.length, 4)
  })

  it('refuses a frame that comes back and is larger than the buffer, and no other frame', async () => {
    const { upstream, publish, refused, given, line } = startSwitched({ maxBytes: 3000 })
    const large = 'z'.repeat(5000)
    publish(large)
    line.isThere = false
    for (const each of numbers(5)) publish(each)
    given[0]![1].failed(new Unsent('for the test'))
    assert.deepEqual(refused, [[large, 'upstream-unavailable']])
    assert.equal(upstream.held, 5)
  })

  it('puts 5,000 frames that come back at their old positions without scanning all for each', async () => {
    const { upstream, publish, given, line } = startSwitched({ maxBytes: Number.POSITIVE_INFINITY })
    for (const each of numbers(5000)) publish(each)
    line.isThere = false
    for (const each of numbers(5000, 5000)) publish(each)
    const before = process.cpuUsage()
    for (const [, waiter] of given.splice(0)) waiter.failed(new Unsent('for the test'))
    const { user } = process.cpuUsage(before)
    // Sorted anew for each it was half a second, on a quick machine.
    assert.ok(user < 300_000, `${user} us`)
    line.isThere = true
    upstream.release()
    assert.deepEqual(
      given.map(([frame]) => frame),
      numbers(10_000),
    )
  })

  it('counts a frame that reaches no subscriber, and reports no error', async () => {
    const { upstream, metrics, refused } = start()
    for (const channel of ['nobody', 'up', 'nobody']) {
      upstream.publisher(channel, (code) => refused.push([channel, code])).publish(Buffer.from('x'))
    }
    await upstream.settled()
    assert.equal(await total(metrics, 'wsproxy_upstream_unheard_total'), 2)
    assert.deepEqual(refused, [])
  })

  it('reports frames as uncertain when their answer was lost, and publishes none of them twice', async () => {
    const { upstream, metrics, publish, refused } = start()
    proxy.hold()
    for (const each of numbers(5)) publish(each)
    await new Promise(setImmediate)
    proxy.cut()
    await eventually(() => refused.length === 5, 'the reports')
    assert.deepEqual(
      refused,
      numbers(5).map((each) => [each, 'upstream-uncertain']),
    )
    assert.equal(await total(metrics, 'wsproxy_lost_messages_total', { reason: 'upstream_uncertain' }), 5)
    for (const each of numbers(5, 5)) publish(each)
    assert.equal(upstream.held, 5)
    proxy.restore()
    await eventually(() => opened.link.state === 'ready', 'the next connection')
    upstream.release()
    await upstream.settled()
    await eventually(() => heard.length >= 5, 'those that were held')
    assert.deepEqual(heard, numbers(5, 5))
    assert.equal(refused.length, 5)
  })

  it('reports a frame as unavailable when Redis refuses to publish it', { skip: withoutRealRedis }, async () => {
    await agent.sendCommand(['ACL', 'SETUSER', 'mute', 'on', '>pw', '+@all', '~*', 'resetchannels'])
    const mute = await openLink(`redis://mute:pw@127.0.0.1:${redis.port}`)
    const { upstream, publish, refused } = start({ link: () => mute.link })
    publish('x')
    await within(upstream.settled(), 'the answer')
    assert.deepEqual(refused, [['x', 'upstream-unavailable']])
    mute.close()
  })

  it('settles the upstream only when every answer has arrived', async () => {
    const answers: (() => void)[] = []
    const client = { submit: (_: unknown, waiter: ReplyWaiter) => answers.push(() => waiter.answered(1)) }
    const { upstream, publish } = start({ link: () => ({ client }) as unknown as Link })
    publish('1')
    publish('2')
    let settled = false
    const rest = upstream.settled().then(() => {
      settled = true
    })
    answers[0]!()
    await new Promise(setImmediate)
    assert.equal(settled, false)
    answers[1]!()
    await within(rest, 'the rest')
  })
})
