import { ErrorReply as ClientReply, createClient, createCluster } from 'redis'
import { startCommand } from '../config/env.ts'
import type { Config } from '../config/table.ts'
import { sessionLog, sessionMeta, useKeyPrefix } from '../contract/names.ts'
import { bracketed } from '../platform/address.ts'
import { within } from '../platform/deadline.ts'
import { reasonOf } from '../platform/reason.ts'
import { redisRemedy } from '../redis/remedy.ts'
import { addressOf } from '../redis/servers/link.ts'
import { sentinelTarget } from '../redis/servers/sentinel.ts'
import { type ClusterAddresses, clusterAddressesOf, sentinelOptionsOf, targetOf } from '../redis/servers/targets.ts'
import { SAY_LIMITS, SAY_TEXT } from '../redis/session-say.ts'
import { endpointOf } from '../redis/slots.ts'
import type { Target } from '../redis/wire/connection.ts'
import { ErrorReply } from '../redis/wire/errors.ts'
import { withoutArguments } from '../redis/wire/handshake.ts'
import { secureOptions } from '../redis/wire/secure.ts'
import { isConfigured, runningRedis } from './embedded.ts'
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
  /**
   * Appends a message to the log of a session and publishes it. Resolves with its offset; 0 for an
   * ephemeral one.
   */
  say(session: string, message: string, flags: string): Promise<number>
  /** Sets fields of a hash. */
  setFields(key: string, fields: Readonly<Record<string, string>>): Promise<unknown>
  /** Resolves with the number of subscribers of a channel. */
  subscribers(channel: string): Promise<number>
  /** Sends a command to the server that has the key. */
  command(key: string, args: readonly string[]): Promise<unknown>
  /** Sends a command to every server that takes writes. Resolves with their number. */
  everyMaster(args: readonly string[]): Promise<number>
}

const sayCommand = (session: string, message: string, flags: string): string[] => [
  'EVAL',
  SAY_TEXT,
  '2',
  sessionLog(session),
  sessionMeta(session),
  message,
  ...SAY_LIMITS,
  flags,
]

const startOrSet = () => `run "${startCommand()}" or set REDIS_URL`

interface Opened {
  readonly agent: Agent
  close(): void
}

/**
 * Connects to Redis, calls `use` and disconnects. Without any setting it connects to the Redis of
 * the gateway at LISTEN_ADDR, or to the embedded server of another running gateway.
 * @param said is called with the Redis that was found where no setting names it.
 * @throws CommandFailed when no Redis answers at that address.
 */
export async function asAgent<T>(
  config: Config,
  use: (agent: Agent) => Promise<T>,
  said: (text: string) => void = (text) => console.error(text),
): Promise<T> {
  const { redisUrl, redisClusterNodes, redisSentinels } = config
  const isGiven = isConfigured(config)
  const running = isGiven ? undefined : await runningRedis(config)
  // Whatever listens on the port of an embedded server is another one: its URL is not announced.
  if (!isGiven && running === undefined)
    throw new CommandFailed(`no gateway with an embedded Redis runs -> ${startOrSet()}`)
  useKeyPrefix(config.redisKeyPrefix || (running?.keyPrefix ?? ''))
  const url = redisUrl ?? running?.url ?? 'redis://localhost'
  const template = targetOf({ ...config, url })
  if (running !== undefined) said(`Redis: ${addressOf(template)}, ${running.source}`)
  const [where, opening] =
    redisClusterNodes.length > 0
      ? [`in the cluster of ${redisClusterNodes.join(', ')}`, openCluster(config, url)]
      : redisSentinels.length > 0
        ? [`behind the Sentinels ${redisSentinels.join(', ')}`, masterOf(config, url).then(openServer)]
        : [`at ${addressOf(template)}`, openServer(template)]
  const { agent, close } = await opening.catch((cause: Error) => {
    const reason = withoutArguments(reasonOf(cause), [template.password])
    const otherwise = isGiven ? '"wsproxy doctor" shows what is wrong' : startOrSet()
    // The remedies name REDIS_URL, which says nothing about a cluster or Sentinels.
    const advice = redisUrl === undefined ? otherwise : redisRemedy(reason)
    throw new CommandFailed(`no connection to Redis ${where} (${reason}) -> ${advice}`)
  })
  return use(agent).finally(close)
}

const masterOf = (config: Config, url: string): Promise<Target> =>
  sentinelTarget(sentinelOptionsOf({ ...config, url }))()

async function openServer({
  host,
  port,
  path,
  tls,
  secure = {},
  username,
  password,
  database,
}: Target): Promise<Opened> {
  const client = createClient({
    ...credentials({ username, password }),
    database,
    // Some servers and proxies know no HELLO, which chooses RESP3.
    RESP: 2,
    socket: {
      ...(path === undefined ? { host, port } : { path }),
      ...(tls && { tls, ...secureOptions(secure, host) }),
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
    say: async (...message) => Number(await client.sendCommand(sayCommand(...message))),
    setFields: (key, fields) => client.hSet(key, { ...fields }),
    subscribers: async (channel) => (await client.pubSubNumSub(channel))[channel] ?? 0,
    command: (_, args) => client.sendCommand([...args]).catch(asOwnReply),
    everyMaster: async (args) => {
      await client.sendCommand(args)
      return 1
    },
  }
  return { agent, close: () => client.destroy() }
}

const newCluster = ({ seeds, reachable, template: { tls, secure = {}, username, password } }: ClusterAddresses) =>
  createCluster({
    rootNodes: seeds.map(({ host, port }) => ({ url: `${tls ? 'rediss' : 'redis'}://${bracketed(host)}:${port}` })),
    nodeAddressMap: (address) => reachable(endpointOf(address)),
    defaults: {
      ...credentials({ username, password }),
      socket: {
        ...(tls && { tls, ...secureOptions(secure) }),
        reconnectStrategy: false,
        connectTimeout: CONNECT_TIMEOUT_MS,
      },
    },
  }).on('error', () => {})

async function openCluster(config: Config, url: string): Promise<Opened> {
  const cluster = newCluster(clusterAddressesOf({ ...config, url }))
  const close = () => cluster.destroy()
  try {
    await within(cluster.connect(), CONNECT_TIMEOUT_MS)
  } catch (error) {
    close()
    throw error
  }
  return { agent: clusterAgent(cluster, config.redisShardedPubsub), close }
}

/** Code that the gateway shares knows its own class of replies. */
function asOwnReply(error: Error): never {
  throw error instanceof ClientReply ? new ErrorReply(reasonOf(error)) : error
}

type Cluster = ReturnType<typeof newCluster>

function clusterAgent(cluster: Cluster, sharded: boolean): Agent {
  const subscribers = async (channel: string): Promise<number> => {
    if (sharded) {
      const [, count] = await cluster.sendCommand<[string, number]>(channel, true, ['PUBSUB', 'SHARDNUMSUB', channel])
      return count
    }
    const counts = await Promise.all(
      cluster.masters.map(async (node) => (await cluster.nodeClient(node)).pubSubNumSub(channel)),
    )
    return counts.reduce((sum, count) => sum + (count[channel] ?? 0), 0)
  }
  const verb = sharded ? 'SPUBLISH' : 'PUBLISH'
  return {
    set: (key, value, lifeMs) => cluster.set(key, value, { expiration: { type: 'PX', value: lifeMs } }),
    add: async (key, member, lifeMs) => {
      const life = lifeOf(await cluster.pTTL(key), lifeMs)
      const adding = cluster.multi().sAdd(key, member)
      return (life === undefined ? adding : adding.pExpire(key, life)).exec()
    },
    publish: async (channel, message) => {
      const receivers = await cluster.sendCommand<number>(channel, false, [verb, channel, message])
      // PUBLISH reaches every server of the cluster, but its reply counts one server only.
      return receivers > 0 || sharded ? receivers : subscribers(channel)
    },
    say: async (session, ...message) =>
      Number(await cluster.sendCommand(sessionLog(session), false, sayCommand(session, ...message))),
    setFields: (key, fields) => cluster.hSet(key, { ...fields }),
    subscribers,
    command: (key, args) => cluster.sendCommand(key, false, [...args]).catch(asOwnReply),
    everyMaster: async (args) => {
      await Promise.all(cluster.masters.map(async (node) => (await cluster.nodeClient(node)).sendCommand(args)))
      return cluster.masters.length
    },
  }
}

/** The new life of a key in ms, from its PTTL; undefined for a key without an end. */
const lifeOf = (leftMs: number, wantedMs: number): number | undefined =>
  leftMs === -1 ? undefined : Math.max(leftMs, wantedMs)

const credentials = ({ username, password }: Pick<Target, 'username' | 'password'>) => ({
  ...(username !== undefined && { username }),
  ...(password !== undefined && { password }),
})
