import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../../src/contract/names.ts'
import { slotOf } from '../../../src/redis/slots.ts'
import { accountDown, gapsOf, type Interval, numbered, type Published, type Witness } from '../../chaos/account.ts'
import { type BareGateway, bareGatewayFor } from '../../support/bare.ts'
import { connect, RefusedError, refused, type TestClient } from '../../support/client.ts'
import { type ClusterClient, clusterFor, migrateSlot, primaryOf, type TestCluster } from '../../support/cluster.ts'
import { sample } from '../../support/gateway.ts'
import { withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const SESSIONS = 24
/** A gap begins where the map of slots was last known to be right. */
const MAP_MS = 6000

interface Session {
  readonly id: string
  readonly client: TestClient
  readonly openedAt: number
  readonly published: Published[]
}

describe('a Redis Cluster with sharded pub/sub', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)
  const suite = scopeOf(after)
  let cluster: TestCluster
  let agent: ClusterClient
  let gateway: BareGateway
  let sessions: Session[]
  let round = 0

  before(async () => {
    cluster = await clusterFor(suite)
    agent = await cluster.client()
  })
  beforeEach(async () => {
    const env = { REDIS_CLUSTER_NODES: cluster.addresses, REDIS_SHARDED_PUBSUB: 'true', CONNECT_RATE_PER_IP: '0' }
    gateway = bareGatewayFor(each, 'redis://localhost', env)
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach the cluster')
    round++
    sessions = await Promise.all(Array.from({ length: SESSIONS }, (_, i) => join(idOf(i))))
  })

  /** Names that differ in one digit share a server: CRC16 is linear. */
  const idOf = (i: number) => createHash('md5').update(`${round}-${i}`).digest('hex').slice(0, 8)

  async function join(id: string): Promise<Session> {
    await agent.set(sessionAuth(id), 't')
    const client = await connect(`${gateway.ws}/a/ws/${id}`, { token: 't' })
    return { id, client, openedAt: Date.now(), published: [] }
  }

  /** One more numbered message to a session. */
  async function publish({ id, published }: Session): Promise<void> {
    const text = numbered(published.length, id)
    const from = Date.now()
    await agent.sPublish(sessionDown(id), text)
    published.push({ text, at: { from, to: Date.now() }, sure: true })
  }

  /** Publishes to all, round after round, as long as `work` takes. */
  async function publishDuring(work: Promise<void>): Promise<void> {
    let over = false
    const done = work.finally(() => {
      over = true
    })
    while (!over) for (const session of sessions) await publish(session)
    await done
  }

  const witnessOf = ({ id, client, openedAt }: Session): Witness => {
    return { name: id, openedAt, closeCode: client.code, frames: client.frames.map(String), sent: 0 }
  }
  const told = (session: Session) => gapsOf(witnessOf(session)).length > 0

  /** All get what comes now, and all that did not come before is accounted for. */
  async function assertAccounted(faults: readonly Interval[]): Promise<void> {
    for (const session of sessions) {
      await publish(session)
      const last = session.published.at(-1)!.text
      await eventually(() => session.client.frames.includes(last), `the last message of ${session.id}`)
    }
    const complaints = sessions.flatMap((session) => accountDown(witnessOf(session), session.published, faults))
    assert.deepEqual(complaints, [])
  }

  it('sends a gap to the sockets of a moved slot only, and loses nothing outside it', async () => {
    const [moving, ...others] = sessions as [Session, ...Session[]]
    const slot = slotOf(sessionDown(moving.id))
    const [from, to] = [cluster.nodes[primaryOf(slot)]!, cluster.nodes[(primaryOf(slot) + 1) % 3]!]
    const began = Date.now()
    await publishDuring(
      migrateSlot(slot, from, to)
        .then(() => eventually(() => told(moving), 'the gap'))
        .then(() => {}),
    )
    await assertAccounted([{ from: began - MAP_MS, to: Date.now() }])
    assert.ok(others.every((session) => !told(session)))
    assert.equal(gapsOf(witnessOf(moving)).length, 1)
    const late = await join(moving.id)
    await publish(moving)
    await eventually(() => late.client.frames.length > 0, 'the message at the late one')
    await migrateSlot(slot, to, from)
    await eventually(() => gapsOf(witnessOf(moving)).length === 2, 'the gap of the way back')
    await assertAccounted([{ from: began - MAP_MS, to: Date.now() }])
  })

  it('reads tokens and runs with ASK while their slot is being moved', async () => {
    const ids = Array.from({ length: 200 }, (_, i) => createHash('md5').update(`asking-${round}-${i}`).digest('hex'))
    const session = ids.find((id) => primaryOf(slotOf(sessionAuth(id))) === 1)!
    const run = ids.find((id) => primaryOf(slotOf(id)) === 1)!
    const slots = [slotOf(sessionAuth(session)), slotOf(run)]
    const [source, target] = [await cluster.nodes[1]!.client(), await cluster.nodes[2]!.client()]
    const setSlot = async (client: typeof source, slot: number, ...state: string[]) =>
      client.sendCommand(['CLUSTER', 'SETSLOT', String(slot), ...state])
    const id = async (client: typeof source) => String(await client.sendCommand(['CLUSTER', 'MYID']))
    for (const slot of slots) {
      await setSlot(target, slot, 'IMPORTING', await id(source))
      await setSlot(source, slot, 'MIGRATING', await id(target))
    }
    const { client } = await join(session)
    await agent.hSet(run, 'timestamps:build_landuse', '1')
    const watcher = await connect(`${gateway.ws}/${run}`)
    await eventually(() => watcher.values.some(({ type }) => type === 'preflight'), 'the checklist')
    await refused(`${gateway.ws}/a/ws/${session}`, { token: 't' }).then(({ code }) =>
      assert.equal(code, 'token-rejected'),
    )
    for (const slot of slots) for (const each of [source, target]) await setSlot(each, slot, 'STABLE')
    await watcher.close()
    await client.close()
  })

  it('publishes client frames to the new server when the slot of :up moves', async () => {
    const [{ id, client }] = sessions as [Session]
    const slot = slotOf(sessionUp(id))
    const [from, to] = [cluster.nodes[primaryOf(slot)]!, cluster.nodes[(primaryOf(slot) + 1) % 3]!]
    await migrateSlot(slot, from, to)
    const heard: string[] = []
    const ear = await to.client()
    await ear.sSubscribe(sessionUp(id), (frame) => heard.push(frame))
    for (let i = 0; i < 10; i++) client.send({ i })
    await eventually(() => heard.length === 10, 'the frames')
    assert.deepEqual(
      heard,
      Array.from({ length: 10 }, (_, i) => JSON.stringify({ i })),
    )
    assert.deepEqual(client.frames, [])
    await ear.sUnsubscribe(sessionUp(id))
    await migrateSlot(slot, to, from)
  })

  it('publishes held frames when their slot gets a server again without a reconnect', async () => {
    const [{ id, client }] = sessions as [Session]
    const slot = slotOf(sessionUp(id))
    const node = cluster.nodes[primaryOf(slot)]!
    const admin = await node.client()
    await admin.sendCommand(['CLUSTER', 'DELSLOTS', String(slot)])
    for (let i = 0; i < 5; i++) client.send({ held: i })
    const held = async () =>
      sample(await (await fetch(`${gateway.http}/metrics`)).text(), 'wsproxy_upstream_held_messages')
    await eventually(async () => (await held()) === 5, 'the frames to be held')
    await admin.sendCommand(['CLUSTER', 'ADDSLOTS', String(slot)])
    const ear = await node.client()
    const heard: string[] = []
    await eventually(
      () =>
        ear
          .sSubscribe(sessionUp(id), (frame) => heard.push(frame))
          .then(
            () => true,
            () => false,
          ),
      'the slot to be served',
    )
    await eventually(async () => (await held()) === 0, 'the frames to be published')
    client.send({ last: true })
    await eventually(() => heard.includes('{"last":true}'), 'what comes after them')
    await ear.sUnsubscribe(sessionUp(id))
  })

  it('keeps the sessions of a lost server waiting, and those of other servers served', async () => {
    const lost = 2
    const isLost = (name: string) => primaryOf(slotOf(name)) === lost
    const hit = sessions.filter(({ id }) => isLost(sessionDown(id)))
    const spared = sessions.filter(({ id }) => !isLost(sessionDown(id)))
    assert.ok(hit.length > 0 && spared.length > 0)
    const began = Date.now()
    await cluster.nodes[lost]!.kill()
    await eventually(() => !gateway.gateway.redisReady, 'the loss')

    const refusal = await refused(`${gateway.ws}/a/ws/${hit[0]!.id}`, { token: 't' })
    assert.equal(refusal.code, 'redis-unavailable')
    for (const session of spared) await publish(session)
    for (const { client, published } of spared)
      await eventually(() => client.frames.includes(published.at(-1)!.text), 'messages of other servers')
    const free = spared.find(({ id }) => !isLost(sessionAuth(id)))!
    const newcomer = await join(free.id)
    await newcomer.client.close()

    await cluster.nodes[lost]!.restart()
    await eventually(() => gateway.gateway.redisReady, 'the server to be back')
    for (const session of hit) await eventually(() => told(session), 'the gap')
    agent = await cluster.client()
    await eventually(async () => (await agent.sPublish(sessionDown(hit[0]!.id), '0').catch(() => 0)) > 0, 'the agent')
    await assertAccounted([{ from: began - MAP_MS, to: Date.now() }])
    assert.ok(spared.every((session) => !told(session)))
    const returned = await join(hit[0]!.id).catch((error: unknown) => error)
    assert.ok(!(returned instanceof RefusedError), String(returned))
  })
})
