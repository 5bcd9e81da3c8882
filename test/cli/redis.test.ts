import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { slotOf } from '../../src/redis/slots.ts'
import { killCommands, run, serve } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { clusterFor, primaryOf, type TestCluster } from '../support/cluster.ts'
import { freePort } from '../support/ports.ts'
import { withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { sentinelsFor } from '../support/sentinel.ts'
import { eventually } from '../support/wait.ts'

/** A session for each server of a cluster, by the slot of its channel. */
const SESSIONS = [0, 1, 2].map((server) => {
  const names = Array.from({ length: 100 }, (_, i) => `session-${i}`)
  return names.find((name) => primaryOf(slotOf(sessionDown(name))) === server)!
})

describe('wsproxy token and publish in a cluster', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let cluster: TestCluster
  let env: Record<string, string>
  before(async () => {
    cluster = await clusterFor(suite)
    env = { REDIS_CLUSTER_NODES: cluster.addresses }
    atEnd(suite, killCommands)
  })

  for (const sharded of ['false', 'true']) {
    it(`token and publish reach a session in any slot, with REDIS_SHARDED_PUBSUB=${sharded}`, async () => {
      const both = { ...env, REDIS_SHARDED_PUBSUB: sharded }
      const { http, ws } = await serve(both)
      await eventually(async () => (await fetch(`${http}/ready`).catch(() => undefined))?.ok, 'readiness')
      await Promise.all(
        SESSIONS.map(async (session) => {
          const { stdout } = await run(['token', 'create', session], { env: both })
          const client = await connect(`${ws}/agent/ws/${session}`, { token: stdout.trim() })
          const { status, stderr } = await run(['publish', session, '{"n":1}'], { env: both })
          assert.deepEqual([status, stderr.trim()], [0, 'published to 1 gateway'])
          assert.deepEqual(await client.take(1), ['{"n":1}'])
        }),
      )
    })
  }

  it('publish counts the subscribers of every server and fails when there are none', async () => {
    for (const node of cluster.nodes) {
      const subscriber = await node.client()
      await subscriber.subscribe(sessionDown('elsewhere'), () => {})
      const { status, stderr } = await run(['publish', 'elsewhere', '1'], { env })
      assert.deepEqual([status, stderr.trim()], [0, 'published to 1 gateway'])
      subscriber.destroy()
      const silent = await run(['publish', 'elsewhere', '1'], { env })
      assert.equal(silent.status, 1)
      assert.match(silent.stderr, /the message was dropped/)
    }
  })

  it('token and publish exit with one line when no server of the cluster answers', async () => {
    const nodes = `127.0.0.1:${await freePort()}`
    const { status, complaints } = await run(['token', 'create', 's'], { env: { REDIS_CLUSTER_NODES: nodes } })
    assert.equal(status, 1)
    assert.equal(complaints.length, 1)
    assert.ok(complaints[0]!.includes(nodes))
  })
})

describe('wsproxy token and publish with Sentinels', { skip: withoutRealRedis }, () => {
  after(killCommands)

  it('token and publish go to the master that the Sentinels name, also after a fail-over', async (t) => {
    const sentinels = await sentinelsFor(t)
    const env = { REDIS_SENTINELS: sentinels.addresses }
    for (const server of sentinels.servers) {
      await eventually(async () => (await sentinels.master()) === server.port, 'the master')
      const client = await server.client()
      await eventually(async () => (await client.info('replication')).includes('role:master'), 'its role')
      const { status, stdout, stderr } = await run(['token', 'create', 's'], { env })
      assert.equal(status, 0, stderr)
      assert.equal(await client.get(sessionAuth('s')), stdout.trim())
      if (server === sentinels.servers[0]) await sentinels.failOver()
    }
  })

  it('token and publish exit with one line when no Sentinel answers', async () => {
    const sentinels = `127.0.0.1:${await freePort()}`
    const { status, complaints } = await run(['publish', 's', '1'], { env: { REDIS_SENTINELS: sentinels } })
    assert.equal(status, 1)
    assert.equal(complaints.length, 1)
    assert.ok(complaints[0]!.includes(sentinels))
  })
})
