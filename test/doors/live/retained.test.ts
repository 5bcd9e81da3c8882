import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { live as openLive, type SocketClass, type TopicMessage } from '../../../client/src/index.ts'
import { liveChannel, liveLast } from '../../../src/contract/names.ts'
import { connect, type TestClient } from '../../support/client.ts'
import { clusterFor } from '../../support/cluster.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { answersTo, live, untilHeard } from '../../support/live.ts'
import { embeddedRedisFor, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { atEnd, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const LIMIT = 1024
const ENV = {
  LIVE_TOPICS: 'build.*,news',
  LIVE_LAST: 'build.*,alerts',
  LIVE_LAST_TTL: '1h',
  LIVE_LAST_MAX_BYTES: String(LIMIT),
  LIVE_RATE: '0',
  ADMIN_TOKEN,
}

/** As an agent does: keeps an object and publishes it. */
async function say(gateway: TestGateway, topic: string, value: object): Promise<void> {
  const text = JSON.stringify(value)
  await gateway.agent.set(liveLast(topic), text, { EX: 60 })
  await gateway.agent.publish(liveChannel(topic), text)
}

const broadcast = (gateway: { readonly http: string }, topic: string, body: string) =>
  fetch(`${gateway.http}/api/dashboard/websocket/broadcast?subscription=${topic}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    body,
  }).then((response) => response.json() as Promise<Record<string, unknown>>)

const ofTopic = (client: TestClient, topic: string) => client.values.filter((each) => each.subscription === topic)

describe('the last message of a live topic', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
  })

  it('comes after the first frame, once, marked as retained', async () => {
    await say(gateway, 'build.1', { step: 7, big: 1 })
    const client = await live(gateway, '/live?subscriptions=build.1,news')
    await client.take(2)
    const [first, last] = client.values
    assert.equal(first?.type, 'connection_established')
    const { timestamp, correlation_id, ...rest } = last!
    assert.deepEqual(rest, {
      type: 'build.1_update',
      subscription: 'build.1',
      data: { step: 7, big: 1 },
      retained: true,
    })
    assert.ok(timestamp && correlation_id)
    assert.deepEqual(await answersTo(client), [])
    assert.equal(await gateway.metric('wsproxy_live_retained_topics'), 1)
    await client.close()
  })

  for (const [dialect, request, answer] of [
    ['a list', { type: 'subscribe', subscriptions: ['build.2', 'build.none'] }, 'subscription_updated'],
    ['one topic', { type: 'subscribe', topic: 'build.2', id: 1 }, 'subscribed'],
  ] as const) {
    it(`comes after the answer to a request for ${dialect}, and not again while the socket holds the topic`, async () => {
      await gateway.agent.set(liveLast('build.2'), '{"type":"done","data":[9007199254740993],"retained":"by an agent"}')
      const client = await live(gateway, '/live?subscriptions=news')
      client.send(request)
      await client.find({ retained: true })
      assert.deepEqual(
        client.values.slice(1).map(({ type }) => type),
        [answer, 'done'],
      )
      assert.match(String(client.frames.at(-1)), /"data":\[9007199254740993\].*,"retained":true\}$/)
      assert.doesNotMatch(String(client.frames.at(-1)), /by an agent/)
      assert.deepEqual(
        (await answersTo(client, request)).map(({ type }) => type),
        [answer],
      )
      client.send({ type: 'unsubscribe', topic: 'build.2' })
      client.send(request)
      await eventually(() => ofTopic(client, 'build.2').length === 2, 'the message again')
      await client.close()
    })
  }

  it('is not sent for a topic that LIVE_LAST does not name, and live messages are never marked', async () => {
    await gateway.agent.set(liveLast('news'), '{"a":1}')
    const client = await live(gateway, '/live?subscriptions=news,build.3')
    await gateway.agent.publish(liveChannel('build.3'), '{"type":"x","retained":true}')
    await gateway.agent.publish(liveChannel('news'), '{"a":2}')
    await client.find({ type: 'news_update' })
    assert.deepEqual(
      client.values.slice(1).map(({ subscription, retained }) => [subscription, retained]),
      [
        ['build.3', undefined],
        ['news', undefined],
      ],
    )
    await client.close()
  })

  it('of a broadcast is kept by the gateway, for a time', async () => {
    const answer = await broadcast(gateway, 'build.4', '{"n":1.0}')
    assert.deepEqual([answer.success, answer.clients_reached, answer.retained], [true, 0, true])
    assert.equal((await broadcast(gateway, 'news', '{}')).retained, undefined)
    const ttl = await gateway.agent.pTTL(liveLast('build.4'))
    assert.ok(ttl > 3_500_000 && ttl <= 3_600_000, String(ttl))
    const client = await live(gateway, '/live?subscriptions=build.4')
    await client.take(2)
    assert.match(String(client.frames[1]), /"data":\{"n":1\.0\}/)
    assert.equal(client.values[1]!.correlation_id, answer.correlation_id)
    await client.close()
  })

  it('is deleted by a broadcast that is too large to be kept', async () => {
    await say(gateway, 'build.5', { old: true })
    const answer = await broadcast(gateway, 'build.5', JSON.stringify({ text: 'x'.repeat(LIMIT) }))
    assert.deepEqual([answer.success, answer.retained], [true, false])
    assert.equal(await gateway.agent.exists(liveLast('build.5')), 0)
  })

  for (const [fault, keep] of [
    ['is larger than the limit', (key: string) => gateway.agent.set(key, `{"a":"${'x'.repeat(LIMIT)}"}`)],
    ['is no JSON', (key: string) => gateway.agent.set(key, '{"a":')],
    ['is no object', (key: string) => gateway.agent.set(key, '[1]')],
    ['is another type of key', (key: string) => gateway.agent.hSet(key, 'a', '1')],
  ] as const) {
    it(`is not sent when it ${fault}, and the log says so`, async () => {
      const topic = `build.${fault.replaceAll(' ', '-').toLowerCase()}`
      await keep(liveLast(topic))
      const client = await live(gateway, `/live?subscriptions=${topic}`)
      const line = await eventually(
        () => gateway.log.find((each) => each.event === 'retained-unusable' && each.topic === topic),
        'the log line',
      )
      assert.notEqual(line.reason, '')
      assert.deepEqual(await answersTo(client), [])
      await client.close()
    })
  }

  it('never goes back behind a newer live message, however many sockets subscribe meanwhile', async () => {
    const topic = 'build.busy'
    let isOver = false
    const writing = (async () => {
      for (let n = 1; !isOver; n++) await say(gateway, topic, { n })
    })()
    await untilHeard(gateway, liveChannel('build.other'), 0)
    const seen: TestClient[] = []
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(
        Array.from({ length: 20 }, () => connect(`${gateway.url}/live?subscriptions=${topic}`)),
      )
      await Promise.all(clients.map((each) => eventually(() => ofTopic(each, topic).length > 3, 'messages')))
      seen.push(...clients)
      await Promise.all(clients.map((each) => each.close()))
    }
    isOver = true
    await writing
    for (const client of seen) {
      const numbers = ofTopic(client, topic).map(({ data }) => (data as { n: number }).n)
      // A retained message may come again as the first live one. Nothing is missing after it.
      for (const [i, n] of numbers.entries())
        if (i > 0) assert.ok(n === numbers[i - 1]! + 1 || (i === 1 && n === numbers[0]), numbers.join(' '))
      assert.ok(ofTopic(client, topic).filter(({ retained }) => retained).length <= 1)
    }
  })

  it('reaches a listener of the client library', async () => {
    await say(gateway, 'build.6', { step: 1 })
    const client = openLive(gateway.url, { WebSocket: WebSocket as unknown as SocketClass })
    atEnd(suite, () => client.close())
    const got: TopicMessage[] = []
    client.subscribe('build.6', (message) => got.push(message))
    await eventually(() => got.length === 1, 'the message')
    await say(gateway, 'build.6', { step: 2 })
    await eventually(() => got.length === 2, 'the live one')
    assert.deepEqual(
      got.map(({ data, retained }) => [data, retained]),
      [
        [{ step: 1 }, true],
        [{ step: 2 }, undefined],
      ],
    )
  })

  it('costs no command in Redis while LIVE_LAST is empty', async (t) => {
    const off = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, LIVE_LAST: '' } })
    await say(off, 'build.7', { step: 1 })
    const answer = await broadcast(off, 'build.7', '{"step":2}')
    assert.equal(answer.retained, undefined)
    const client = await live(off, '/live?subscriptions=build.7')
    assert.deepEqual(await answersTo(client), [])
    assert.equal(await off.agent.get(liveLast('build.7')), '{"step":1}')
    await client.close()
  })
})

it('the last message of a topic is kept by the embedded server', async (t) => {
  const gateway = await gatewayFor(t, { redis: await embeddedRedisFor(t), env: ENV })
  assert.equal((await broadcast(gateway, 'build.1', '{"n":1}')).retained, true)
  const client = await live(gateway, '/live?subscriptions=build.1')
  assert.deepEqual((await client.find({ retained: true })).data, { n: 1 })
  await client.close()
})

it('the last message of a topic is kept on its own server of a cluster', { skip: withoutRealRedis }, async (t) => {
  const cluster = await clusterFor(t)
  const redis = await realRedisFor(t)
  const gateway = await gatewayFor(t, { redis, env: { ...ENV, REDIS_CLUSTER_NODES: cluster.addresses } })
  for (const topic of ['build.a', 'build.b', 'build.c', 'build.d']) {
    assert.equal((await broadcast(gateway, topic, '{"n":1}')).retained, true)
    const client = await live(gateway, `/live?subscriptions=${topic}`)
    assert.deepEqual((await client.find({ retained: true })).data, { n: 1 })
    await client.close()
  }
})
