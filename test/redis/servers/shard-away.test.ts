import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../../src/contract/names.ts'
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
/** Its token and its channel are on servers that stay. */
const isServed = (id: string) => serverOf(sessionAuth(id)) !== AWAY && serverOf(sessionDown(id)) !== AWAY

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
      ADMIN_TOKEN,
    })
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach the cluster')
  })

  const ready = async (token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const answer = await fetch(`${gateway.http}/ready`, { headers })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  it('stays ready with a word, serves what has its servers, and refuses the rest with 503', async () => {
    const served = ids.filter(isServed)
    const others = ids.filter((id) => !isServed(id))
    assert.ok(served.length > 0 && others.length > 0)
    const spared = others.filter((id) => serverOf(sessionAuth(id)) !== AWAY)
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
    for (const id of served) await (await connect(`${gateway.ws}/a/ws/${id}`, { token: 't' })).close()
    for (const id of others) {
      const { status, code, headers } = await refused(`${gateway.ws}/a/ws/${id}`, { token: 't' })
      assert.deepEqual([status, code], [503, 'redis-unavailable'])
      assert.ok(Number(headers['retry-after']) > 0)
    }
    await cluster.nodes[AWAY]!.restart()
    await eventually(() => gateway.gateway.redisReady, 'the server to be back', 30_000)
    // A refusal spent no token.
    for (const id of spared) await (await connect(`${gateway.ws}/a/ws/${id}`, { token: 't' })).close()
    await eventually(async () => (await ready()).body.degraded === undefined, '/ready without a word')
  })

  it('is not ready when most slots have no server', async () => {
    await Promise.all([cluster.nodes[0]!.kill(), cluster.nodes[1]!.kill()])
    await eventually(async () => (await ready()).status === 503, '/ready to be 503')
    assert.equal((await ready()).body.reason, 'redis-unavailable')
  })
})
