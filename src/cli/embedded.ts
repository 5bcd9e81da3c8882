import { redisAddressOf } from '../config/redis-address.ts'
import type { Config } from '../config/table.ts'
import { protect } from '../platform/redact.ts'
import { askOnce } from '../redis/servers/ask.ts'
import { announce, announced } from './embedded-file.ts'
import { type RunningRedis, redisOfRunning } from './running.ts'

/** The preferred port of the embedded server, where the other commands look first. */
const EMBEDDED_PORT = 16379

interface UsedRedis {
  readonly url: string
  readonly close: () => Promise<void>
}

/** Whether any setting says where Redis is. */
export const isConfigured = ({ redisUrl, redisSentinels, redisClusterNodes }: Config): boolean =>
  redisUrl !== undefined || redisSentinels.length + redisClusterNodes.length > 0

/** With Sentinels or a cluster, only the credentials and the database of this URL are used. */
const configured = ({ redisUrl = 'redis://localhost' }: Config): UsedRedis => ({ url: redisUrl, close: async () => {} })

/** Loaded lazily: it brings a Lua engine and 30 MB. */
async function startEmbedded(port: number) {
  const { startEmbeddedRedis } = await import('../redis/servers/embedded.ts')
  const server = await startEmbeddedRedis(port)
  protect([new URL(server.url).password])
  return server
}

/**
 * Returns the configured Redis, or starts an embedded one when none is configured, and stores its
 * URL for the other commands. `embedded` is its address.
 * @throws CommandFailed when the URL cannot be stored.
 */
export async function startRedis(config: Config): Promise<UsedRedis & { readonly embedded?: string }> {
  if (isConfigured(config)) return configured(config)
  const server = await startEmbedded(EMBEDDED_PORT).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') return startEmbedded(0)
    throw error
  })
  let forget = () => {}
  try {
    forget = announce(server.url)
  } catch (error) {
    await server.close()
    throw error
  }
  const close = async () => {
    forget()
    await server.close()
  }
  return { url: server.url, embedded: server.address, close }
}

/**
 * Returns the Redis of the gateway at LISTEN_ADDR, or the embedded one of another gateway of this
 * user. Undefined: none runs. @throws as `redisOfRunning`.
 */
export async function runningRedis(config: Config): Promise<RunningRedis | undefined> {
  const used = await redisOfRunning(config)
  if (used !== undefined) return used
  for (const url of announced(EMBEDDED_PORT)) {
    const answers = await askOnce(redisAddressOf(url), ['PING']).then(
      () => true,
      () => false,
    )
    if (answers) return { url, keyPrefix: '', source: 'the embedded Redis of the running gateway' }
  }
  return undefined
}

/**
 * Returns the configured Redis. When none is configured, returns the embedded Redis of a running
 * gateway, or starts an embedded one.
 */
export async function findRedis(config: Config): Promise<UsedRedis & { readonly source: string }> {
  if (isConfigured(config)) {
    const sources = { REDIS_CLUSTER_NODES: config.redisClusterNodes, REDIS_SENTINELS: config.redisSentinels }
    const [source] = Object.entries(sources).find(([, nodes]) => nodes.length > 0) ?? ['REDIS_URL']
    return { ...configured(config), source }
  }
  const used = await runningRedis(config)
  if (used !== undefined) return { ...used, source: `REDIS_URL is not set: ${used.source}`, close: async () => {} }
  const { url, close } = await startEmbedded(0)
  return { url, source: 'REDIS_URL is not set: an embedded Redis, started for this command', close }
}
