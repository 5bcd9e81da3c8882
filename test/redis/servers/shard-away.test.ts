import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { liveChannel, sessionAuth, sessionDown, sessionUp } from '../../../src/contract/names.ts'
import { slotOf } from '../../../src/redis/slots.ts'
import { type BareGateway, bareGatewayFor } from '../../support/bare.ts'
import { connect, refused } from '../../support/client.ts'
import { type ClusterClient, clusterFor, primaryOf, type TestCluster } from '../../support/cluster.ts'
import { withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'admin-token-of-the-shards'
const AWAY = 2
const serverOf = (name: string) => primaryOf(slotOf(name))
/** Its token is on a server that stays. Its channels can be on any. */
const isServed = (id: string) => serverOf(sessionAuth(id)) !== AWAY

describe('a cluster of which one server of three is away', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let cluster: TestCluster
  let agent: ClusterClient
  let gateway: BareGateway
  const ids = Array.from({ length: 40 }, (_, n) => `shard-${(n * 7919).toString(36)}`)

  before(async () => {
    cluster = await clusterFor(suite)
    agent = await cluster.client()
    gateway = bareGatewayFor(suite, 'redis://localhost', {
      REDIS_CLUSTER_NODES: cluster.addresses,
      CONNECT_RATE_PER_IP: '0',
      LIVE_TOPICS: 'topic-*',
      ADMIN_TOKEN,
    })
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach the cluster')
  })

  const health = async () => {
    const answer = await fetch(`${gateway.http}/health`)
    return { status: answer.status, body: (await answer.json()) as { status: string; redis: { status: string } } }
  }
  const ready = async (token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const answer = await fetch(`${gateway.http}/ready`, { headers })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  it('stays ready with a word, serves what has its servers, and refuses the rest with 503', async () => {
    const served = ids.filter(isServed)
    const others = ids.filter((id) => !isServed(id))
    assert.ok(served.length > 0 && others.length > 0)
    for (const id of ids) await agent.set(sessionAuth(id), 't')
    await cluster.nodes[AWAY]!.kill()
    await eventually(() => !gateway.gateway.redisReady, 'the loss to be noticed')
    assert.deepEqual(await ready(), { status: 200, body: { status: 'ready', degraded: [{ name: 'redis' }] } })
    const { body } = await ready(ADMIN_TOKEN)
    const [{ message, remediation }] = body.degraded as [{ message: string; remediation: string }]
    assert.equal(
      message,
      `127.0.0.1:${cluster.nodes[AWAY]!.port} of the cluster away, and 33.3 % of its slots not served`,
    )
    assert.match(remediation, /CLUSTER NODES/)
    const { status, body: state } = await health()
    assert.deepEqual([status, state.status, state.redis.status], [200, 'healthy', 'degraded'])
    for (const id of served) await (await connect(`${gateway.ws}/a/ws/${id}`, { token: 't' })).close()
    for (const id of others) {
      const { status, code, headers } = await refused(`${gateway.ws}/a/ws/${id}`, { token: 't' })
      assert.deepEqual([status, code], [503, 'redis-unavailable'])
      assert.ok(Number(headers['retry-after']) > 0)
    }
    await cluster.nodes[AWAY]!.restart()
    await eventually(() => gateway.gateway.redisReady, 'the server to be back', 30_000)
    // A server that was killed without a disk has lost its tokens.
    for (const id of others) await eventually(() => agent.set(sessionAuth(id), 't').catch(() => undefined), 'a token')
    for (const id of others) await (await connect(`${gateway.ws}/a/ws/${id}`, { token: 't' })).close()
    assert.equal((await health()).body.redis.status, 'up')
    await eventually(async () => (await ready()).body.degraded === undefined, '/ready without a word')
  })

  it('serves open sockets whose channels were on the server that is away, after a gap', async () => {
    const id = ids.find(
      (each) => isServed(each) && [sessionDown(each), sessionUp(each)].every((c) => serverOf(c) === AWAY),
    )!
    const topic = Array.from({ length: 200 }, (_, n) => `topic-${n}`).find(
      (each) => serverOf(liveChannel(each)) === AWAY,
    )!
    await agent.set(sessionAuth(id), 't')
    const client = await connect(`${gateway.ws}/a/ws/${id}`, { token: 't' })
    const watcher = await connect(`${gateway.ws}/live?subscriptions=${topic}`)
    await cluster.nodes[AWAY]!.kill()
    // By a server that stays: PUBLISH reaches all of them.
    const publisher = await cluster.nodes[0]!.client()
    const heard: string[] = []
    await (await cluster.nodes[1]!.client()).subscribe(sessionUp(id), (frame) => void heard.push(frame))
    await eventually(() => client.values.some(({ command }) => command === 'gap'), 'the gap')
    await publisher.publish(sessionDown(id), '{"after":1}')
    await client.find({ after: 1 })
    await publisher.publish(liveChannel(topic), '{"n":7}')
    await eventually(() => watcher.frames.some((frame) => String(frame).includes('"n":7')), 'the message of the topic')
    client.send({ up: 1 })
    await eventually(() => heard.length > 0, 'the frame of the client')
    await cluster.nodes[AWAY]!.restart()
    await eventually(() => gateway.gateway.redisReady, 'the server to be back', 30_000)
    await publisher.publish(sessionDown(id), '{"after":2}')
    await client.find({ after: 2 })
    assert.equal(client.values.filter(({ after }) => after === 1).length, 1)
    await client.close()
    await watcher.close()
  })

  it('is not ready when most slots have no server', async () => {
    await Promise.all([cluster.nodes[0]!.kill(), cluster.nodes[1]!.kill()])
    await eventually(async () => (await ready()).status === 503, '/ready to be 503')
    assert.equal((await ready()).body.reason, 'redis-unavailable')
  })
})
