import type { Config } from '../config/load.ts'
import { parseTarget } from '../redis/client.ts'
import { askOnce } from '../redis/servers/ask.ts'

/** Where the embedded server listens when that port is free, so that the other commands find it without being told. */
export const EMBEDDED_PORT = 16379

/** The Redis of the settings, or, where there is none, an embedded one. */
export async function startRedis(
  config: Config,
): Promise<{ url: string; embedded: boolean; close: () => Promise<void> }> {
  const elsewhere = config.sentinels.length + config.clusterNodes.length > 0
  if (config.redisUrl !== undefined || elsewhere) {
    // With Sentinels or a cluster the host is not used: only what is the same on all servers.
    return { url: config.redisUrl ?? 'redis://localhost', embedded: false, close: async () => {} }
  }
  // Only where it is used: it brings a Lua engine and 30 MB.
  const { startEmbeddedRedis } = await import('../redis/servers/embedded.ts')
  const server = await startEmbeddedRedis(EMBEDDED_PORT).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') return startEmbeddedRedis()
    throw error
  })
  return { url: server.url, embedded: true, close: server.close }
}

/** The Redis of the settings; where there is none, that of a gateway in development, or an embedded one as a gateway would have. */
export async function findRedis(config: Config): Promise<{ url: string; source: string; close: () => Promise<void> }> {
  const development = `redis://127.0.0.1:${EMBEDDED_PORT}`
  const sources = { REDIS_CLUSTER_NODES: config.clusterNodes, REDIS_SENTINELS: config.sentinels }
  const [source] = Object.entries(sources).find(([, nodes]) => nodes.length > 0) ?? ['REDIS_URL']
  if (config.redisUrl !== undefined || source !== 'REDIS_URL') {
    return { url: config.redisUrl ?? 'redis://localhost', source, close: async () => {} }
  }
  const running = await askOnce(parseTarget(development), ['PING']).then(
    () => true,
    () => false,
  )
  if (running) return { url: development, source: 'no REDIS_URL: that of the running gateway', close: async () => {} }
  const { url, close } = await startRedis(config)
  return { url, source: 'no REDIS_URL: an embedded one, started for this', close }
}
