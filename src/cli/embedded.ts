import type { Config } from '../config/table.ts'
import { parseTarget } from '../redis/client.ts'
import { askOnce } from '../redis/servers/ask.ts'

/** The preferred port of the embedded server, where the other commands look for it. */
export const EMBEDDED_PORT = 16379

/** Returns the configured Redis, or starts an embedded one when none is configured. */
export async function startRedis(
  config: Config,
): Promise<{ url: string; embedded: boolean; close: () => Promise<void> }> {
  const elsewhere = config.redisSentinels.length + config.redisClusterNodes.length > 0
  if (config.redisUrl !== undefined || elsewhere) {
    // With Sentinels or a cluster, only the credentials and the database of this URL are used.
    return { url: config.redisUrl ?? 'redis://localhost', embedded: false, close: async () => {} }
  }
  // Loaded lazily: it brings a Lua engine and 30 MB.
  const { startEmbeddedRedis } = await import('../redis/servers/embedded.ts')
  const server = await startEmbeddedRedis(EMBEDDED_PORT).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') return startEmbeddedRedis()
    throw error
  })
  return { url: server.url, embedded: true, close: server.close }
}

/**
 * Returns the configured Redis. When none is configured, returns the embedded Redis of a running
 * gateway, or starts an embedded one.
 */
export async function findRedis(config: Config): Promise<{ url: string; source: string; close: () => Promise<void> }> {
  const development = `redis://127.0.0.1:${EMBEDDED_PORT}`
  const sources = { REDIS_CLUSTER_NODES: config.redisClusterNodes, REDIS_SENTINELS: config.redisSentinels }
  const [source] = Object.entries(sources).find(([, nodes]) => nodes.length > 0) ?? ['REDIS_URL']
  if (config.redisUrl !== undefined || source !== 'REDIS_URL') {
    return { url: config.redisUrl ?? 'redis://localhost', source, close: async () => {} }
  }
  const running = await askOnce(parseTarget(development), ['PING']).then(
    () => true,
    () => false,
  )
  if (running)
    return {
      url: development,
      source: 'REDIS_URL is not set: the embedded Redis of the running gateway',
      close: async () => {},
    }
  const { url, close } = await startRedis(config)
  return { url, source: 'REDIS_URL is not set: an embedded Redis, started for this command', close }
}
