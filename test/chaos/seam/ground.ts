import { setTimeout as sleep } from 'node:timers/promises'
import { sessionDown } from '../../../src/contract/names.ts'
import { slotOf } from '../../../src/redis/slots.ts'
import { clusterFor, migrateSlot, primaryOf } from '../../support/cluster.ts'
import { type FaultProxy, faultProxyFor } from '../../support/fault-proxy.ts'
import { type Client, realRedisFor } from '../../support/redis.ts'
import { atEnd, type Scope } from '../../support/scope.ts'
import { sentinelsFor } from '../../support/sentinel.ts'
import { eventually } from '../../support/wait.ts'
import type { GroundName } from './plan.ts'

/** The Redis of a run. */
export interface Ground {
  /** Settings with which a gateway reaches it. */
  readonly env: Record<string, string>
  /** Sends a command of an agent. It is sent at most once. */
  send(key: string, command: readonly string[]): Promise<unknown>
  /** Replicas that have to have a message before it counts as confirmed. */
  readonly replicas: number
  /** The way from the gateways to Redis. */
  readonly proxy?: FaultProxy
  /** The fault that such a Redis has: a restart, a fail-over, a slot that moves. */
  suffer(session: string, lengthMs: number): Promise<void>
}

/** A server that keeps all that it has confirmed over a restart. */
export async function startKeeping(scope: Scope): Promise<Ground & { readonly port: number }> {
  const redis = await realRedisFor(scope, ['--appendonly', 'yes', '--appendfsync', 'always'])
  const agent = await redis.client()
  return {
    port: redis.port,
    env: { REDIS_URL: redis.url },
    replicas: 0,
    send: (_, command) => sendOnce(agent, command),
    suffer: async (_, lengthMs) => {
      await redis.kill()
      await sleep(lengthMs)
      await redis.restart()
    },
  }
}

async function startPlain(scope: Scope): Promise<Ground> {
  const ground = await startKeeping(scope)
  const proxy = await faultProxyFor(scope, ground.port)
  return { ...ground, proxy, env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` } }
}

/** How long Sentinels wait for a silent server: while a fault of the plan lasts, and otherwise. */
const PROMPT_MS = 1000
const PATIENT_MS = 60_000

async function startSentinel(scope: Scope): Promise<Ground> {
  const sentinels = await sentinelsFor(scope)
  // A pause of the machine must not begin a fail-over of its own: the old master is empty for ten
  // seconds after its restart, until a Sentinel makes it a replica, and it would be chosen.
  await sentinels.downAfter(PATIENT_MS)
  const agents = new Map<number, Client>()
  for (const server of sentinels.servers) agents.set(server.port, await server.client())
  let master = await sentinels.master()
  const follow = setInterval(async () => {
    master = await sentinels.master().catch(() => master)
  }, 100)
  atEnd(scope, () => clearInterval(follow))
  const begin = () =>
    sentinels.failOver().then(
      () => true,
      () => false,
    )
  return {
    env: { REDIS_SENTINELS: sentinels.addresses, REDIS_URL: 'redis://localhost' },
    replicas: 1,
    send: (_, command) => sendOnce(agents.get(master)!, command),
    suffer: async (_, lengthMs) => {
      const old = await sentinels.master()
      const server = sentinels.servers.find(({ port }) => port === old)!
      if (lengthMs % 2 === 0) {
        await sentinels.downAfter(PROMPT_MS)
        await server.kill()
      } else await eventually(begin, 'a fail-over to begin')
      // A server that restarts is empty and says that it is a master: no gateway must reach it.
      const isOver = async () => ![undefined, old].includes(await sentinels.agreed())
      await eventually(isOver, 'all Sentinels to know another master')
      await sentinels.downAfter(PATIENT_MS)
      if (lengthMs % 2 === 0) await server.restart()
      const isFollowed = async () => /state=online/.test(await agents.get(master)!.info('replication'))
      await eventually(() => isFollowed().catch(() => false), 'the replica to follow')
    },
  }
}

async function startCluster(scope: Scope, sharded: boolean): Promise<Ground> {
  const cluster = await clusterFor(scope)
  const agent = await cluster.client()
  const owners = new Map<number, number>()
  return {
    env: {
      REDIS_CLUSTER_NODES: cluster.addresses,
      REDIS_URL: 'redis://localhost',
      REDIS_SHARDED_PUBSUB: String(sharded),
    },
    replicas: 0,
    send: (key, command) => agent.sendCommand(key, false, [...command]),
    suffer: async (session) => {
      const slot = slotOf(sessionDown(session))
      const from = owners.get(slot) ?? primaryOf(slot)
      const to = (from + 1) % cluster.nodes.length
      await migrateSlot(slot, cluster.nodes[from]!, cluster.nodes[to]!)
      owners.set(slot, to)
    },
  }
}

/** A command that waits for a connection would be sent behind later ones of another. */
const sendOnce = async (agent: Client, command: readonly string[]): Promise<unknown> => {
  if (!agent.isReady) throw new Error('the agent has no connection')
  return agent.sendCommand([...command])
}

export const startGround = (name: GroundName, scope: Scope): Promise<Ground> =>
  name === 'plain'
    ? startPlain(scope)
    : name === 'sentinel'
      ? startSentinel(scope)
      : startCluster(scope, name === 'sharded')
