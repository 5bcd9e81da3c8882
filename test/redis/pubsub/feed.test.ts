import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { RedisForbids, RedisUnavailable } from '../../../src/platform/unavailable.ts'
import { RedisFeed } from '../../../src/redis/pubsub/feed.ts'
import { SubscriberConnection } from '../../../src/redis/pubsub/subscriber.ts'
import type { Target } from '../../../src/redis/wire/connection.ts'
import { isReply } from '../../../src/redis/wire/errors.ts'
import type { OnMessage } from '../../../src/redis/wire/resp.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { keptLog, openLink, type TestLink, total } from '../../support/link.ts'
import { assertProperty } from '../../support/property.ts'
import { proxyFor, type TcpProxy } from '../../support/proxy.ts'
import { type Client, redisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

/** More than go into one SUBSCRIBE. */
const CROWD = 12_000

describe('the feed', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let proxy: TcpProxy
  let agent: Client
  let opened: TestLink<SubscriberConnection> | undefined
  before(async () => {
    redis = await redisFor(suite)
    proxy = await proxyFor(suite, redis.port)
    agent = await redis.client()
  })
  afterEach(async () => {
    opened?.close()
    opened = undefined
    proxy.release()
    await eventually(async () => (await agent.pubSubChannels()).length === 0, 'Redis to forget the channels')
  })

  const openFor = (feed: RedisFeed, message: OnMessage) => (target: Target, name: string) =>
    new SubscriberConnection(target, name, {
      message,
      moved: (channel) => feed.movedAway(channel),
    })

  /** A feed over a link of its own, and the messages that came. */
  async function startFeed(options: { url?: string } = {}) {
    const metrics = new Metrics()
    const { log, lines } = keptLog()
    const messages: [string, Buffer][] = []
    const message: OnMessage = (channel, payload) => void messages.push([channel, Buffer.from(payload)])
    const feed = new RedisFeed({ metrics, log, sharded: false, moved: () => {}, refused: () => {} })
    opened = await openLink(options.url ?? `redis://127.0.0.1:${proxy.port}`, {
      metrics,
      open: openFor(feed, message),
      prepare: (client) => feed.attach(client),
      lost: () => feed.detach(),
    })
    return { feed, link: opened, metrics, log: lines, messages }
  }

  const listeners = async (channel: string) => (await agent.pubSubNumSub([channel]))[channel]
  const heardBy = async (channels: readonly string[]) =>
    Object.values(await agent.pubSubNumSub([...channels])).filter((count) => Number(count) === 1).length

  it('resolves every waiting subscribe call when Redis has confirmed the channel', async () => {
    const { feed } = await startFeed()
    await Promise.all([feed.subscribe('one'), feed.subscribe('two'), feed.subscribe('one')])
    assert.equal(await listeners('one'), 1)
    assert.equal(await listeners('two'), 1)
    await feed.subscribe('one')
    assert.equal(feed.channels, 2)
  })

  it('delivers messages in order and byte for byte, with their channel', async () => {
    const { feed, messages } = await startFeed()
    await Promise.all([feed.subscribe('bytes'), feed.subscribe('other')])
    const sent = Array.from({ length: 300 }, (_, i) => [i % 3 ? 'bytes' : 'other', Buffer.from([i & 255, 0xff, 0, 13])])
    for (const [channel, payload] of sent) void agent.publish(channel as string, payload as Buffer)
    await eventually(() => messages.length === sent.length, 'all messages')
    assert.deepEqual(messages, sent)
  })

  it('unsubscribes a channel in Redis after the last unsubscribe call', async () => {
    const { feed } = await startFeed()
    await Promise.all([feed.subscribe('stays'), feed.subscribe('goes')])
    feed.unsubscribe('goes')
    await eventually(async () => (await listeners('goes')) === 0, 'the channel to be left')
    assert.equal(await listeners('stays'), 1)
    await eventually(() => feed.channels === 1, 'the count to follow')
  })

  it('subscribes all channels of one tick with one SUBSCRIBE', { skip: withoutRealRedis }, async () => {
    const calls = async () => Number(/cmdstat_subscribe:calls=(\d+)/.exec(await agent.info('commandstats'))?.[1] ?? 0)
    const { feed } = await startFeed()
    const before = await calls()
    await Promise.all(Array.from({ length: 1000 }, (_, i) => feed.subscribe(`tick-${i}`)))
    assert.equal((await calls()) - before, 1)
  })

  it('sends no UNSUBSCRIBE for a channel that is wanted again in the same tick', {
    skip: withoutRealRedis,
  }, async () => {
    const { feed } = await startFeed()
    await feed.subscribe('flicker')
    await agent.sendCommand(['CONFIG', 'RESETSTAT'])
    feed.unsubscribe('flicker')
    await feed.subscribe('flicker')
    await feed.subscribe('marker')
    const stats = await agent.info('commandstats')
    assert.match(stats, /cmdstat_subscribe:calls=1,/)
    assert.doesNotMatch(stats, /cmdstat_unsubscribe/)
  })

  it('delivers messages of a channel that is wanted again before its UNSUBSCRIBE is answered', async () => {
    const { feed, messages } = await startFeed()
    for (let round = 0; round < 20; round++) {
      await feed.subscribe('again')
      feed.unsubscribe('again')
      await new Promise(setImmediate)
      await feed.subscribe('again')
      await agent.publish('again', String(round))
      await eventually(() => messages.length === round + 1, `the message of round ${round}`)
    }
  })

  it('subscribes exactly the wanted channels after any churn', async () => {
    const { feed, messages } = await startFeed()
    const channels = Array.from({ length: 8 }, (_, i) => `churn-${i}`)
    const step = fc.record({ channel: fc.constantFrom(...channels), want: fc.boolean(), turns: fc.nat(3) })
    await assertProperty(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const wanted = new Set<string>()
        for (const { channel, want, turns } of steps) {
          if (want) {
            wanted.add(channel)
            feed.subscribe(channel).catch(() => {})
          } else {
            wanted.delete(channel)
            feed.unsubscribe(channel)
          }
          for (let i = 0; i < turns; i++) await new Promise(setImmediate)
        }
        await within(Promise.all([...wanted].map((each) => feed.subscribe(each))), 'the confirmations')
        // A channel that was left before it was confirmed is there for a moment.
        const expected = [...wanted].sort().join()
        await eventually(async () => (await agent.pubSubChannels()).sort().join() === expected, expected, 5000)
        messages.length = 0
        for (const each of wanted) void agent.publish(each, 'x')
        await eventually(() => messages.length === wanted.size, 'a message on each')
        for (const each of channels) feed.unsubscribe(each)
      }),
      { numRuns: 40 },
    )
  })

  it('rejects subscribe with RedisUnavailable without a connection', async () => {
    const { feed, link } = await startFeed()
    proxy.cut()
    await eventually(() => link.link.state === 'lost', 'the loss')
    await assert.rejects(feed.subscribe('away'), RedisUnavailable)
    proxy.restore()
  })

  it('rejects subscribe with RedisUnavailable when the connection is lost before the answer', async () => {
    const { feed, link } = await startFeed()
    proxy.hold()
    const waiting = [feed.subscribe('lost-1'), feed.subscribe('lost-2')]
    const rejected = Promise.all(waiting.map((each) => assert.rejects(each, RedisUnavailable)))
    await new Promise(setImmediate)
    link.link.restart('for the test')
    await within(rejected, 'the rejections')
    for (const each of ['lost-1', 'lost-2']) feed.unsubscribe(each)
  })

  it(`subscribes all of ${CROWD} channels again before the next connection counts as ready`, async () => {
    const { feed, link } = await startFeed()
    const channels = Array.from({ length: CROWD }, (_, i) => `crowd-${i}`)
    await Promise.all(channels.map((each) => feed.subscribe(each)))
    assert.equal(feed.channels, CROWD)
    proxy.cut()
    await eventually(() => link.link.state === 'lost', 'the loss')
    assert.equal(feed.channels, 0)
    feed.unsubscribe('crowd-0')
    proxy.restore()
    await eventually(() => link.link.state === 'ready', 'the next connection')
    assert.equal(feed.channels, CROWD - 1)
    assert.equal(await heardBy(channels), CROWD - 1)
  })

  it('subscribes all channels again when the second connection is lost while it subscribes', async () => {
    const metrics = new Metrics()
    const messages: string[] = []
    const message = (channel: string) => void messages.push(channel)
    const feed = new RedisFeed({
      metrics,
      log: keptLog().log,
      sharded: false,
      moved: () => {},
      refused: () => {},
    })
    let attempts = 0
    opened = await openLink(redis.url, {
      metrics,
      open: openFor(feed, message),
      lost: () => feed.detach(),
      prepare: async (client) => {
        const attached = feed.attach(client)
        if (++attempts === 2) client.destroy()
        await attached
      },
    })
    await Promise.all([feed.subscribe('twice-1'), feed.subscribe('twice-2')])
    opened.link.restart('for the test')
    await eventually(() => attempts === 3 && opened?.link.state === 'ready', 'the third connection')
    assert.equal(feed.channels, 2)
    assert.equal(await heardBy(['twice-1', 'twice-2']), 2)
    for (const each of ['twice-1', 'twice-2']) await agent.publish(each, 'x')
    await eventually(() => messages.length === 2, 'the messages')
  })

  it('rejects a subscribe call whose channel is unsubscribed before it was sent', async () => {
    const { feed } = await startFeed()
    const waiting = feed.subscribe('never-sent')
    feed.unsubscribe('never-sent')
    await within(
      waiting.catch(() => {}),
      'an answer of any kind',
      2000,
    )
  })

  describe('where Redis forbids channels', { skip: withoutRealRedis }, () => {
    const url = () => `redis://limited:pw@127.0.0.1:${redis.port}`
    before(() =>
      agent.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '+@all', '~*', 'resetchannels', '&allowed-*']),
    )

    it("rejects subscribe with RedisForbids, which names the channel and has Redis' own error as its cause, and the feed stays usable", async () => {
      const { feed, metrics } = await startFeed({ url: url() })
      const refused = feed.subscribe('forbidden')
      await within(
        assert.rejects(refused, (error: Error) => {
          assert.match(error.message, /^Redis forbids SUBSCRIBE forbidden: NOPERM /)
          return error instanceof RedisForbids && isReply(error.cause)
        }),
        'the refusal',
      )
      assert.ok(feed.suspects('another'))
      feed.unsubscribe('forbidden')
      await within(feed.subscribe('allowed-1'), 'the confirmation')
      assert.equal(feed.channels, 1)
      assert.equal(await total(metrics, 'wsproxy_errors_total', { type: 'redis' }), 1)
    })

    it('confirms allowed channels that were subscribed in one command with a forbidden one', async () => {
      const { feed } = await startFeed({ url: url() })
      const asked = ['allowed-2', 'forbidden', 'allowed-3'].map((channel) =>
        feed.subscribe(channel).catch((error: Error) => {
          feed.unsubscribe(channel)
          throw error
        }),
      )
      const outcomes = (await within(Promise.allSettled(asked), 'the answers')).map(({ status }) => status)
      assert.deepEqual(outcomes, ['fulfilled', 'rejected', 'fulfilled'])
    })
  })
})
