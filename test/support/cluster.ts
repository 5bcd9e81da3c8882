import { freePorts } from './ports.ts'
import { PATIENT, type RealRedis, startRealRedis } from './redis.ts'
import { createCluster } from './redis-client.ts'
import { type Scope, stopAtEnd } from './scope.ts'
import { eventually } from './wait.ts'

/** A real Redis Cluster on loopback: three primaries, with a replica each on request. */
export interface TestCluster {
  readonly nodes: readonly RealRedis[]
  /** `host:port,...` of all nodes. */
  readonly addresses: string
  /** Connects a cluster client, which closes when the cluster stops. */
  client(): Promise<ClusterClient>
  stop(): Promise<void>
}

export type ClusterClient = ReturnType<typeof newClient>
const newClient = (ports: readonly number[]) =>
  createCluster({
    rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
    RESP: 3,
    commandOptions: PATIENT,
  })

const PRIMARIES = 3
const SLOTS = 16384
const ARGS = [
  '--cluster-enabled',
  'yes',
  '--cluster-node-timeout',
  '1000',
  '--cluster-require-full-coverage',
  'no',
  '--repl-diskless-sync-delay',
  '0',
]

/**
 * Starts servers, each on two ports: Redis defaults the cluster port to the port plus 10,000, which
 * another process may hold.
 */
async function startNodes(count: number): Promise<RealRedis[]> {
  const ports = await freePorts(2 * count)
  const starts = ports
    .slice(0, count)
    .map((port, i) => startRealRedis([...ARGS, '--cluster-port', String(ports[count + i])], port))
  const settled = await Promise.allSettled(starts)
  const nodes = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  if (nodes.length === count) return nodes
  // Servers that go on running would keep the process of the test alive.
  await Promise.all(nodes.map((node) => node.stop()))
  throw settled.find((each) => each.status === 'rejected')!.reason
}

async function startCluster({ replicas = false } = {}): Promise<TestCluster> {
  const nodes = await startNodes(PRIMARIES * (replicas ? 2 : 1))
  const primaries = nodes.slice(0, PRIMARIES)
  const clients = await Promise.all(nodes.map((node) => node.client()))
  const { 'cluster-port': bus = '' } = await clients[0]!.configGet('cluster-port')
  for (const [i, client] of clients.entries()) {
    await client.sendCommand(['CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1)])
    if (i > 0) await client.sendCommand(['CLUSTER', 'MEET', '127.0.0.1', String(nodes[0]!.port), bus])
  }
  for (const i of primaries.keys()) {
    const first = Math.floor((i * SLOTS) / PRIMARIES)
    const last = Math.floor(((i + 1) * SLOTS) / PRIMARIES) - 1
    await clients[i]!.sendCommand(['CLUSTER', 'ADDSLOTSRANGE', String(first), String(last)])
  }
  const info = (i: number) => clients[i]!.sendCommand(['CLUSTER', 'INFO']).then(String)
  const known = `cluster_known_nodes:${nodes.length}`
  for (const i of clients.keys()) {
    await eventually(async () => (await info(i)).includes(known), 'all nodes to know each other')
  }
  for (const [i, client] of clients.slice(PRIMARIES).entries()) {
    const id = String(await clients[i]!.sendCommand(['CLUSTER', 'MYID']))
    await client.sendCommand(['CLUSTER', 'REPLICATE', id])
    await eventually(
      async () => (await client.info('replication')).includes('master_link_status:up'),
      'the replica to follow',
    )
  }
  // The state alone does not say it: without full coverage, a node is ok before it knows all slots.
  const allOk = (text: string) => text.includes('cluster_state:ok') && text.includes(`cluster_slots_ok:${SLOTS}`)
  for (const i of clients.keys()) {
    await eventually(async () => allOk(await info(i)), 'each node to know the server of every slot')
  }
  const open: ClusterClient[] = []
  return {
    nodes,
    addresses: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    client: async () => {
      const client = newClient(nodes.map(({ port }) => port))
      client.on('error', () => {})
      await client.connect()
      open.push(client)
      return client
    },
    stop: async () => {
      for (const client of open) client.destroy()
      await Promise.all(nodes.map((node) => node.stop()))
    },
  }
}

/** The index of the primary that has the slot, as long as no slot has moved. */
export const primaryOf = (slot: number): number =>
  Array.from({ length: PRIMARIES }, (_, i) => Math.floor(((i + 1) * SLOTS) / PRIMARIES)).findIndex((end) => slot < end)

/** Moves a slot in use, with its keys, to another primary (Redis: CLUSTER SETSLOT, resharding). */
export async function migrateSlot(slot: number, from: RealRedis, to: RealRedis): Promise<void> {
  const [source, target] = [await from.client(), await to.client()]
  const id = async (client: typeof source) => String(await client.sendCommand(['CLUSTER', 'MYID']))
  const setSlot = (client: typeof source, ...state: string[]) =>
    client.sendCommand(['CLUSTER', 'SETSLOT', String(slot), ...state])
  await setSlot(target, 'IMPORTING', await id(source))
  await setSlot(source, 'MIGRATING', await id(target))
  const some = () => source.sendCommand<string[]>(['CLUSTER', 'GETKEYSINSLOT', String(slot), '100'])
  for (let keys = await some(); keys.length > 0; keys = await some())
    await source.sendCommand(['MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys])
  for (const client of [target, source]) await setSlot(client, 'NODE', await id(target))
}

/** A cluster that stops when the scope ends. */
export const clusterFor = (scope: Scope, options?: Parameters<typeof startCluster>[0]): Promise<TestCluster> =>
  stopAtEnd(scope, startCluster(options))
