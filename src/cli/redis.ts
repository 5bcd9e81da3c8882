import { createClient, createCluster } from 'redis'
import { redisAddressOf } from '../config/redis-address.ts'
import type { Config } from '../config/table.ts'
import { useKeyPrefix } from '../contract/names.ts'
import { within } from '../platform/deadline.ts'
import { reasonOf } from '../platform/reason.ts'
import { addressOf } from '../redis/servers/link.ts'
import { sentinelTarget } from '../redis/servers/sentinel.ts'
import type { Target } from '../redis/wire/connection.ts'
import { EMBEDDED_PORT, isConfigured, runningEmbedded } from './embedded.ts'
import { CommandFailed } from './failure.ts'

const CONNECT_TIMEOUT_MS = 3000

/** What an agent does in Redis, on one server, behind Sentinels or in a cluster. */
export interface Agent {
  set(key: string, value: string, lifeMs: number): Promise<unknown>
  /**
   * Adds a member to a set, and extends the life of the set to `lifeMs` when it is shorter. A set
   * without an end keeps none. @throws an error of Redis when the key is no set.
   */
  add(key: string, member: string, lifeMs: number): Promise<unknown>
  /** Resolves with the number of subscribers that received the message. */
  publish(channel: string, message: string): Promise<number>
}

interface Opened {
  readonly agent: Agent
  close(): void
}

/**
 * Connects to Redis, calls `use` and disconnects. Without any setting it connects to the embedded
 * server of a running gateway.
 * @throws CommandFailed when no Redis answers at that address.
 */
export async function asAgent<T>(config: Config, use: (agent: Agent) => Promise<T>): Promise<T> {
  const { redisUrl, redisClusterNodes, redisSentinels } = config
  useKeyPrefix(config.redisKeyPrefix)
  const embedded = isConfigured(config) ? undefined : await runningEmbedded()
  const template = redisAddressOf(redisUrl ?? embedded ?? `redis://127.0.0.1:${EMBEDDED_PORT}`)
  const [where, opening] =
    redisClusterNodes.length > 0
      ? [`in the cluster of ${redisClusterNodes.join(', ')}`, openCluster(config, template)]
      : redisSentinels.length > 0
        ? [`behind the Sentinels ${redisSentinels.join(', ')}`, masterOf(config, template).then(openServer)]
        : [`at ${addressOf(template)}`, openServer(template)]
  const { agent, close } = await opening.catch((cause: Error) => {
    const hint = isConfigured(config) ? '' : '; run "npm start" or set REDIS_URL'
    throw new CommandFailed(`no Redis ${where} (${reasonOf(cause)})${hint}`)
  })
  return use(agent).finally(close)
}

const masterOf = (
  { redisSentinels: sentinels, redisSentinelMaster, redisSentinelPassword }: Config,
  template: Target,
): Promise<Target> =>
  sentinelTarget({ sentinels, master: redisSentinelMaster, template, password: redisSentinelPassword })()

async function openServer({ host, port, path, tls, username, password, database }: Target): Promise<Opened> {
  const client = createClient({
    ...credentials({ username, password }),
    database,
    socket: {
      ...(path === undefined ? { host, port } : { path }),
      ...(tls && { tls }),
      reconnectStrategy: false,
      connectTimeout: CONNECT_TIMEOUT_MS,
    },
  }).on('error', () => {})
  await client.connect()
  const agent: Agent = {
    set: (key, value, lifeMs) => client.set(key, value, { expiration: { type: 'PX', value: lifeMs } }),
    add: async (key, member, lifeMs) => {
      const life = lifeOf(await client.pTTL(key), lifeMs)
      const adding = client.multi().sAdd(key, member)
      return (life === undefined ? adding : adding.pExpire(key, life)).exec()
    },
    publish: (channel, message) => client.publish(channel, message),
  }
  return { agent, close: () => client.destroy() }
}

async function openCluster({ redisClusterNodes, redisShardedPubsub }: Config, template: Target): Promise<Opened> {
  const { tls } = template
  const cluster = createCluster({
    rootNodes: redisClusterNodes.map((address) => ({ url: `${tls ? 'rediss' : 'redis'}://${address}` })),
    defaults: {
      ...credentials(template),
      socket: { ...(tls && { tls }), reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS },
    },
  }).on('error', () => {})
  const close = () => cluster.destroy()
  try {
    await within(cluster.connect(), CONNECT_TIMEOUT_MS)
  } catch (error) {
    close()
    throw error
  }
  const verb = redisShardedPubsub ? 'SPUBLISH' : 'PUBLISH'
  const agent: Agent = {
    set: (key, value, lifeMs) => cluster.set(key, value, { expiration: { type: 'PX', value: lifeMs } }),
    add: async (key, member, lifeMs) => {
      const life = lifeOf(await cluster.pTTL(key), lifeMs)
      const adding = cluster.multi().sAdd(key, member)
      return (life === undefined ? adding : adding.pExpire(key, life)).exec()
    },
    publish: async (channel, message) => {
      const receivers = await cluster.sendCommand<number>(channel, false, [verb, channel, message])
      if (receivers > 0 || redisShardedPubsub) return receivers
      // PUBLISH reaches every server of the cluster, but its reply counts one server only.
      const counts = await Promise.all(
        cluster.masters.map(async (node) => (await cluster.nodeClient(node)).pubSubNumSub(channel)),
      )
      return counts.reduce((sum, count) => sum + (count[channel] ?? 0), 0)
    },
  }
  return { agent, close }
}

/** The new life of a key in ms, from its PTTL; undefined for a key without an end. */
const lifeOf = (leftMs: number, wantedMs: number): number | undefined =>
  leftMs === -1 ? undefined : Math.max(leftMs, wantedMs)

const credentials = ({ username, password }: Pick<Target, 'username' | 'password'>) => ({
  ...(username !== undefined && { username }),
  ...(password !== undefined && { password }),
})
