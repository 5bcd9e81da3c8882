import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Metrics } from '../../src/metrics.ts'
import type { Link } from '../../src/redis/link.ts'
import { RedisUpstream, type UpstreamOptions } from '../../src/redis/upstream.ts'
import { openLink, type TestLink, total } from '../support/link.ts'
import { TcpProxy } from '../support/proxy.ts'
import { type Client, startRedis, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { eventually, within } from '../support/wait.ts'

const MANY = 1_000_000

describe('upstream', () => {
  let redis: TestRedis
  let proxy: TcpProxy
  let opened: TestLink
  let agent: Client
  let ready = true
  const heard: string[] = []
  before(async () => {
    redis = await startRedis()
    proxy = await TcpProxy.to(redis.port)
    opened = await openLink(`redis://127.0.0.1:${proxy.port}`)
    agent = await redis.client()
    const subscriber = await redis.client()
    await subscriber.subscribe('up', (message) => heard.push(message))
  })
  after(async () => {
    opened.close()
    await proxy.stop()
    await redis.stop()
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
    const publish = (frame: string) => upstream.publish('up', Buffer.from(frame), (code) => refused.push([frame, code]))
    heard.length = 0
    ready = true
    return { upstream, metrics, publish, refused }
  }
  const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i))

  it('publishes at once and in order', async () => {
    const { upstream, publish, refused } = start()
    for (const each of numbers(500)) publish(each)
    assert.equal(upstream.held, 0)
    await upstream.settled()
    await eventually(() => heard.length === 500, 'all frames')
    assert.deepEqual(heard, numbers(500))
    assert.deepEqual(refused, [])
  })

  it('holds frames while Redis is away and publishes them in order, before what comes after', async () => {
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

  it('keeps the oldest when too many are held, and refuses the newest', async () => {
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

  it('bounds the bytes that are held, empty frames included', async () => {
    const { upstream, publish, refused } = start({ maxBytes: 10_000 })
    ready = false
    publish('x'.repeat(9000))
    publish('y'.repeat(9000))
    assert.deepEqual(refused, [['y'.repeat(9000), 'upstream-unavailable']])
    upstream.refuseHeld()
    for (let i = 0; i < 1000; i++) publish('')
    assert.ok(upstream.held < 100, `${upstream.held} empty frames within 10,000 bytes`)
    upstream.refuseHeld()
    assert.equal(refused.length, 1002)
  })

  it('does not have more bytes under way than allowed, and publishes all the same', async () => {
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

  it('publishes a frame that alone is larger than the bound', async () => {
    const { publish, refused } = start({ maxBytes: 1000 })
    publish('z'.repeat(5000))
    await eventually(() => heard.length === 1, 'the frame')
    assert.deepEqual(refused, [])
  })

  it('refuses what it holds when Redis will not come back', () => {
    const { upstream, publish, refused } = start()
    ready = false
    for (const each of numbers(3)) publish(each)
    upstream.refuseHeld()
    assert.deepEqual(
      refused,
      numbers(3).map((each) => [each, 'upstream-unavailable']),
    )
    assert.equal(upstream.held, 0)
  })

  it('counts a frame that nobody listens to, and calls that no error', async () => {
    const { upstream, metrics, refused } = start()
    for (const channel of ['nobody', 'up', 'nobody']) {
      upstream.publish(channel, Buffer.from('x'), (code) => refused.push([channel, code]))
    }
    await upstream.settled()
    assert.equal(await total(metrics, 'wsproxy_upstream_unheard_total'), 2)
    assert.deepEqual(refused, [])
  })

  it('reports frames as uncertain whose answer was lost, publishes none of them twice, and holds those after them', async () => {
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

  it('tells who published when Redis itself refuses', { skip: withoutRealRedis }, async () => {
    await agent.sendCommand(['ACL', 'SETUSER', 'mute', 'on', '>pw', '+@all', '~*', 'resetchannels'])
    const mute = await openLink(`redis://mute:pw@127.0.0.1:${redis.port}`)
    const { upstream, publish, refused } = start({ link: () => mute.link })
    publish('x')
    await within(upstream.settled(), 'the answer')
    assert.deepEqual(refused, [['x', 'upstream-unavailable']])
    mute.close()
  })

  it('comes to rest only when every answer has come', async () => {
    const answers: (() => void)[] = []
    const client = { sendCommand: () => new Promise<number>((resolve) => answers.push(() => resolve(1))) }
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
