import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../../src/contract/names.ts'
import { bareGatewayFor } from '../../support/bare.ts'
import { run } from '../../support/cli.ts'
import { connect } from '../../support/client.ts'
import { clusterFor, type TestCluster } from '../../support/cluster.ts'
import { freePorts } from '../../support/ports.ts'
import { proxyFor, type TcpProxy } from '../../support/proxy.ts'
import { withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { sentinelsFor } from '../../support/sentinel.ts'
import { eventually } from '../../support/wait.ts'

const PRIMARIES = 3

/** Lets each node announce what no process can reach, as behind NAT. */
async function announce({ nodes }: TestCluster, settings: (i: number) => readonly string[]): Promise<void> {
  for (const [i, node] of nodes.entries()) await (await node.client()).sendCommand(['CONFIG', 'SET', ...settings(i)])
}

describe('REDIS_ADDRESS_MAP', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)

  /** Asserts that sessions on all servers work, for the gateway and for the command line. */
  async function assertServes(cluster: TestCluster, env: Record<string, string>): Promise<void> {
    const { gateway, ws } = bareGatewayFor(each, 'redis://localhost', env)
    await eventually(() => gateway.redisReady, 'the gateway to reach the cluster')
    const ids = Array.from({ length: 12 }, (_, i) => `session-${i * 37}`)
    const publisher = await cluster.nodes[0]!.client()
    for (const id of ids) {
      const created = await run(['token', 'create', id], { env })
      assert.equal(created.status, 0, created.stderr)
      const client = await connect(`${ws}/a/ws/${id}`, { token: created.stdout.trim().split('\n').at(-1)! })
      await publisher.publish(sessionDown(id), `"${id}"`)
      assert.deepEqual(await client.take(1), [`"${id}"`])
      await client.close()
    }
  }

  it('leads to nodes of a cluster that announce other ports', async () => {
    const cluster = await clusterFor(each)
    const ports = await freePorts(PRIMARIES)
    await announce(cluster, (i) => ['cluster-announce-port', String(ports[i])])
    await eventually(async () => {
      const slots = await (await cluster.nodes[0]!.client()).sendCommand(['CLUSTER', 'SLOTS'])
      return ports.every((port) => JSON.stringify(slots).includes(String(port)))
    }, 'the new ports to be known')
    const map = cluster.nodes.map(({ port }, i) => `127.0.0.1:${ports[i]}=127.0.0.1:${port}`)
    const seeds = `redis://127.0.0.1:${cluster.nodes[1]!.port}`
    await assertServes(cluster, { REDIS_CLUSTER_NODES: seeds, REDIS_ADDRESS_MAP: map.join(',') })
  })

  it('leads to nodes of a cluster that announce names', async () => {
    const cluster = await clusterFor(each)
    await announce(cluster, (i) => [
      ...['cluster-announce-hostname', `node-${i}.inside`],
      ...['cluster-preferred-endpoint-type', 'hostname'],
    ])
    await eventually(async () => {
      const slots = await (await cluster.nodes[0]!.client()).sendCommand(['CLUSTER', 'SLOTS'])
      return [0, 1, 2].every((i) => JSON.stringify(slots).includes(`node-${i}.inside`))
    }, 'the names to be known')
    const map = cluster.nodes.map((_, i) => `node-${i}.inside=127.0.0.1`).join(',')
    await assertServes(cluster, { REDIS_CLUSTER_NODES: cluster.addresses, REDIS_ADDRESS_MAP: map })
  })

  it('leads to the master that Sentinels name, also after a fail-over', async () => {
    const sentinels = await sentinelsFor(each)
    const proxies = new Map<number, TcpProxy>()
    for (const { port } of sentinels.servers) proxies.set(port, await proxyFor(each, port))
    const map = Array.from(proxies, ([port, proxy]) => `127.0.0.1:${port}=127.0.0.1:${proxy.port}`).join(',')
    const urls = sentinels.addresses.replaceAll('127.', 'redis://127.')
    const { gateway, ws } = bareGatewayFor(each, 'redis://localhost', { REDIS_SENTINELS: urls, REDIS_ADDRESS_MAP: map })
    await eventually(() => gateway.redisReady, 'the gateway to reach the master')
    const old = await sentinels.master()
    assert.ok(proxies.get(old)!.connections > 0)
    const [other] = [...proxies.keys()].filter((port) => port !== old)
    assert.equal(proxies.get(other!)!.connections, 0)
    await sentinels.failOver()
    await eventually(() => proxies.get(other!)!.connections > 0 && gateway.redisReady, 'the new master')
    const agent = await sentinels.servers.find(({ port }) => port === other)!.client()
    await eventually(async () => (await agent.set(sessionAuth('s'), 't').catch(() => undefined)) === 'OK', 'a token')
    await (await connect(`${ws}/a/ws/s`, { token: 't' })).close()
  })
})
