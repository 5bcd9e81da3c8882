import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../../src/contract/names.ts'
import type { Gateway } from '../../../src/gateway/gateway.ts'
import { slotOf } from '../../../src/redis/slots.ts'
import { type BareGateway, bareGatewayFor } from '../../support/bare.ts'
import { run } from '../../support/cli.ts'
import { connect } from '../../support/client.ts'
import { type ClusterClient, clusterFor, migrateSlot, primaryOf, type TestCluster } from '../../support/cluster.ts'
import { withoutRealRedis } from '../../support/redis.ts'
import { type Scope, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

describe('with a Redis Cluster', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let cluster: TestCluster
  let agent: ClusterClient
  let gateway: Gateway
  let url: string
  // Names that differ in one digit share a server: CRC16 is linear.
  const ids = Array.from({ length: 30 }, (_, i) => createHash('md5').update(String(i)).digest('hex').slice(0, 8))

  /** A gateway on the cluster, ready. */
  const start = async (scope: Scope, env: Record<string, string> = {}): Promise<BareGateway> => {
    const nodes = { REDIS_CLUSTER_NODES: cluster.addresses, CONNECT_RATE_PER_IP: '0' }
    const started = bareGatewayFor(scope, 'redis://localhost', { ...nodes, ...env })
    await eventually(() => started.gateway.redisReady, 'the gateway to reach the cluster')
    return started
  }
  const join = async (base: string, id: string) => {
    await agent.set(sessionAuth(id), 't')
    return connect(`${base}/a/ws/${id}`, { token: 't' })
  }

  it('is recognised when REDIS_URL names one of its nodes, by the log and by doctor', async (t) => {
    const [node] = cluster.addresses.split(',')
    const lone = bareGatewayFor(t, `redis://${node}`)
    const lost = () => lone.log.find(({ event }) => event === 'redis-lost')
    await eventually(lost, 'the first attempt')
    assert.match(String(lost()!.reason), /one of 3 nodes of a cluster .*: set REDIS_CLUSTER_NODES/)
    assert.equal(lone.gateway.redisReady, false)
    const env = { LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: `redis://${node}` }
    const doctor = await run(['doctor'], { env })
    assert.notEqual(doctor.status, 0)
    assert.match(doctor.stdout, /REDIS_CLUSTER_NODES/)
  })

  before(async () => {
    cluster = await clusterFor(suite, { replicas: true })
    agent = await cluster.client()
    const started = await start(suite)
    gateway = started.gateway
    url = started.ws
  })

  it('serves sessions and runs whose keys are on any server of a cluster', async () => {
    const clients = await Promise.all(ids.map((id) => join(url, id)))
    for (const id of ids) await agent.publish(sessionDown(id), `"${id}"`)
    for (const [i, client] of clients.entries()) assert.deepEqual(await client.take(1), [`"${ids[i]}"`])
    const runs = await Promise.all(ids.map((id) => connect(`${url}/run-${id}`)))
    for (const run of runs) await run.take(1)
    for (const id of ids) await agent.hSet(`run-${id}`, 'timestamps:build_channels', '5')
    for (const run of runs) assert.equal(JSON.parse(String((await run.take(2))[1])).last_modified, 5)
    for (const client of [...clients, ...runs]) await client.close()
  })

  it('publishes each envelope of an outbox once, on whichever server its topic is', async (t) => {
    const token = 'an-admin-token-of-a-test'
    const { http, ws } = await start(t, { OUTBOX_TOPICS: 't.*', LIVE_TOPICS: 't.*', ADMIN_TOKEN: token })
    const topics = ids.slice(0, 9).map((id) => `t.${id}`)
    const client = await connect(`${ws}/live?subscriptions=${topics.join(',')}`)
    await client.find({ type: 'connection_established' })
    const envelope = { correlation_id: randomUUID(), ts: 1, op: 'delete', domain: 'tasks', id: '1' }
    const body = JSON.stringify([...topics, ...topics].map((topic) => ({ topic, envelope })))
    const headers = { authorization: `Bearer ${token}` }
    const answer = await fetch(`${http}/api/outbox`, { method: 'POST', headers, body })
    const { results } = (await answer.json()) as { results: { type: string; duplicate: boolean }[] }
    assert.deepEqual(
      results.map(({ duplicate }) => duplicate),
      [...topics.map(() => false), ...topics.map(() => true)],
    )
    const messages = () => client.values.filter(({ type }) => type === 'envelope')
    await eventually(() => messages().length >= topics.length, 'all messages')
    assert.equal(new Set(messages().map(({ subscription }) => subscription)).size, topics.length)
    await client.close()
  })

  it('delivers each message once to a socket that joins after the slot of its plain channel has moved', async () => {
    const id = 'moved'
    const slot = slotOf(sessionDown(id))
    const [from, to] = [cluster.nodes[primaryOf(slot)]!, cluster.nodes[(primaryOf(slot) + 1) % 3]!]
    const first = await join(url, id)
    await migrateSlot(slot, from, to)
    // A client whose token is in that slot, so that the gateway learns of the move.
    const scout = Array.from({ length: 200_000 }, (_, i) => `scout-${i.toString(36)}`)
    await (await join(url, scout.find((each) => slotOf(sessionAuth(each)) === slot)!)).close()
    const second = await join(url, id)
    // By one server: between two of them the bus of the cluster keeps no order.
    const publisher = await to.client()
    for (let i = 0; i < 5; i++) await publisher.publish(sessionDown(id), String(i))
    for (const client of [first, second]) assert.deepEqual(await client.take(5), ['0', '1', '2', '3', '4'])
    await first.close()
    await second.close()
    const clients = await Promise.all(cluster.nodes.map((node) => node.client()))
    const subscribers = async () => {
      const counts = await Promise.all(clients.map((client) => client.pubSubNumSub([sessionDown(id)])))
      return counts.reduce((sum, each) => sum + Number(each[sessionDown(id)]), 0)
    }
    await eventually(async () => (await subscribers()) === 0, 'the channel to be left')
    assert.deepEqual([first.frames.length, second.frames.length], [5, 5])
    await migrateSlot(slot, to, from)
  })

  it('keeps every socket through the fail-over of a cluster server and sends a gap to those it affects', async () => {
    const clients = await Promise.all(ids.map((id) => join(url, `f-${id}`)))
    await cluster.nodes[0]!.kill()
    await eventually(() => !gateway.redisReady, 'the loss to be noticed')
    await eventually(() => gateway.redisReady, 'the replica to take over', 30_000)
    const told = () => clients.filter((client) => client.values.some(({ command }) => command === 'gap')).length
    await eventually(() => told() > 0, 'a gap frame')
    agent = await cluster.client()
    for (const id of ids) await agent.publish(sessionDown(`f-${id}`), '"after"')
    for (const client of clients)
      await eventually(() => client.frames.includes('"after"'), 'the message after the fail-over')
    assert.ok(clients.every((client) => client.code === undefined))
    assert.ok(told() < clients.length, `${told()} were told`)
    for (const client of clients) await client.close()
  })

  it('uses sharded pub/sub with REDIS_SHARDED_PUBSUB and follows a slot that moves', async (t) => {
    const { ws: sharded } = await start(t, { REDIS_SHARDED_PUBSUB: 'true' })
    const clients = await Promise.all(ids.map((id) => join(sharded, `h-${id}`)))
    for (const id of ids) await agent.sPublish(sessionDown(`h-${id}`), '"sharded"')
    for (const client of clients) await client.take(1)
    const heard: string[] = []
    await agent.sSubscribe(sessionUp(`h-${ids[1]}`), (message) => heard.push(message))
    clients[1]!.send('{"up":1}')
    await eventually(() => heard.length === 1, 'the frame on :up')
  })
})
