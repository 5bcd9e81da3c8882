import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { bareGatewayFor } from '../../support/bare.ts'
import { refused } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live, tell, topicsOf, untilHeard } from '../../support/live.ts'
import { type RealRedis, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const ENV = { LIVE_TOPICS: 'build.*,news', LIVE_RATE: '0' }

describe('the live door and a Redis that fails', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let gateway: TestGateway
  before(async () => {
    redis = await realRedisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: ENV })
  })

  it('a socket keeps its topics while Redis is away, with those that it asks for meanwhile', async () => {
    const client = await live(gateway, '/live?subscriptions=news')
    await redis.kill()
    await eventually(() => !gateway.gateway.redisReady, 'the gateway to notice')
    client.send({ type: 'subscribe', topic: 'build.away', id: 1 })
    client.send({ type: 'subscribe', subscriptions: ['build.away-2', 'build.away-3'] })
    client.send({ type: 'unsubscribe', topic: 'build.away-3' })
    await client.find({ type: 'unsubscribed' })
    assert.deepEqual(await topicsOf(client), ['build.away', 'build.away-2', 'news'])
    await redis.restart()
    await eventually(() => gateway.gateway.redisReady, 'Redis to be back')
    const agent = await redis.client()
    for (const topic of ['build.away-3', 'build.away', 'build.away-2', 'news'])
      await agent.publish(`live:${topic}`, '{}')
    await client.find({ type: 'news_update' })
    const updates = client.values.filter(({ type }) => String(type).endsWith('_update'))
    assert.deepEqual(
      updates.map(({ subscription }) => subscription),
      ['build.away', 'build.away-2', 'news'],
    )
    await client.close()
  })

  it('subscribe is answered, and its topic held, when Redis goes away before it confirms', async () => {
    const client = await live(gateway, '/live?subscriptions=news')
    redis.process.kill('SIGSTOP')
    client.send({ type: 'subscribe', topic: 'build.stuck', id: 2 })
    client.send({ type: 'ping', client_time: 1 })
    await client.find({ type: 'pong' })
    assert.ok(!client.values.some(({ type }) => type === 'subscribed'))
    await redis.restart()
    await client.find({ type: 'subscribed', topic: 'build.stuck', id: 2 })
    await eventually(() => gateway.gateway.redisReady, 'Redis to be back')
    const agent = await redis.client()
    await agent.publish('live:build.stuck', '{}')
    await client.find({ type: 'build.stuck_update' })
    await client.close()
  })

  it('upgrades are refused with 403 while Redis forbids the bus, since commands would not reach the socket', async (t) => {
    const admin = await redis.client()
    await admin.sendCommand(['ACL', 'SETUSER', 'busless', 'on', '>pw', '+@all', '~*', 'resetchannels', '&live:*'])
    const own = bareGatewayFor(t, redis.url.replace('//', '//busless:pw@'), { ...ENV, CONNECT_RATE_PER_IP: '0' })
    await eventually(() => own.gateway.redisReady, 'the gateway to be ready')
    assert.equal((await refused(`${own.ws}/live?subscriptions=news`)).code, 'forbidden')
    await admin.sendCommand(['ACL', 'SETUSER', 'busless', 'allchannels'])
    const client = await live({ url: own.ws }, '/live?subscriptions=news')
    await client.close()
  })

  it('a topic that Redis forbids is answered with forbidden, and its sockets stay open', async () => {
    const client = await live(gateway, '/live?subscriptions=news,build.held')
    const agent = await redis.client()
    await agent.sendCommand(['ACL', 'SETUSER', 'default', 'resetchannels', '&live:news', '&wsproxy:*'])
    await agent.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    const lost = await client.find({ type: 'error', code: 'forbidden' })
    assert.equal(lost.message, 'Not allowed: build.held')
    await eventually(() => gateway.gateway.redisReady, 'the gateway to be ready')
    client.send({ type: 'subscribe', topic: 'build.no', id: 'n' })
    assert.equal((await client.find({ type: 'error', id: 'n' })).message, 'Not allowed: build.no')
    client.send({ type: 'subscribe', subscriptions: ['build.no', 'build.no-2'], correlation_id: 'l' })
    assert.deepEqual((await client.find({ type: 'subscription_updated', correlation_id: 'l' })).subscriptions, ['news'])
    assert.equal(
      client.values.filter(({ code, correlation_id }) => code === 'forbidden' && correlation_id === 'l').length,
      2,
    )
    assert.deepEqual(await topicsOf(client), ['news'])
    await untilHeard(gateway, 'live:news', 1)
    await agent.publish('live:news', '{}')
    await client.find({ type: 'news_update' })
    assert.equal(client.values.filter(({ code, id }) => code === 'forbidden' && id === undefined).length, 3)
    // Two requests for one topic, before Redis has answered the first.
    client.send({ type: 'subscribe', topic: 'build.twice', id: 1 })
    client.send({ type: 'subscribe', topic: 'build.twice', id: 2 })
    for (const id of [1, 2]) assert.equal((await client.find({ id })).code, 'forbidden', `${id}`)
    // A start-up topic that is forbidden is one topic less, and no refusal.
    const late = await live(gateway, '/live?subscriptions=news,build.start')
    assert.equal((await late.find({ code: 'forbidden' })).message, 'Not allowed: build.start')
    assert.deepEqual(await topicsOf(late), ['news'])
    await late.close()
    await agent.sendCommand(['ACL', 'SETUSER', 'default', 'allchannels'])
    await client.close()
  })
})

describe('the live door with LIVE_COMPRESSION', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ...ENV, LIVE_COMPRESSION: 'true' } })
  })

  it('LIVE_COMPRESSION compresses for clients that offer it and measures the sizes', async () => {
    const [able, unable] = [
      await live(gateway, '/live?subscriptions=news', { perMessageDeflate: true }),
      await live(gateway, '/live?subscriptions=news', { perMessageDeflate: false }),
    ]
    assert.match(able.socket.extensions, /permessage-deflate/)
    assert.equal(unable.socket.extensions, '')
    await tell(gateway, 'live:news', { text: 'x'.repeat(10_000) })
    for (const client of [able, unable])
      assert.deepEqual((await client.find({ type: 'news_update' })).data, { text: 'x'.repeat(10_000) })
    const bytes = (name: string) => gateway.metric(`wsproxy_live_message_${name}_bytes_total`)
    assert.ok((await bytes('plain')) > 10_000)
    assert.ok((await bytes('compressed')) < 500)
    able.send({ type: 'subscribe', topic: 'build.1' })
    await able.find({ type: 'subscribed' })
  })
})
