import { createClient } from 'redis'
import type { Config } from '../config.ts'
import { CommandFailed } from './failure.ts'

/** Where the embedded server listens when that port is free, so that the other commands find it without being told. */
const EMBEDDED_PORT = 16379
const CONNECT_TIMEOUT_MS = 3000

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
  const { startEmbeddedRedis } = await import('../redis/embedded.ts')
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
  const client = newClient(development).on('error', () => {})
  const running = await client.connect().then(
    () => true,
    () => false,
  )
  if (running) client.destroy()
  if (running) return { url: development, source: 'no REDIS_URL: that of the running gateway', close: async () => {} }
  const { url, close } = await startRedis(config)
  return { url, source: 'no REDIS_URL: an embedded one, started for this', close }
}

const newClient = (url: string) =>
  createClient({ url, socket: { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS } })
type Client = ReturnType<typeof newClient>

/**
 * One connection for one command; without `REDIS_URL` to the embedded server of a running gateway.
 * @throws CommandFailed when nobody answers there.
 */
export async function withRedis<T>(config: Config, use: (client: Client) => Promise<T>): Promise<T> {
  const url = config.redisUrl ?? `redis://127.0.0.1:${EMBEDDED_PORT}`
  const client = newClient(url)
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (cause) {
    const { hostname, port } = new URL(url)
    const hint = config.redisUrl === undefined ? '; is "npm start" running, or should REDIS_URL be set?' : ''
    throw new CommandFailed(`no Redis at ${hostname}:${port || 6379} (${(cause as Error).message})${hint}`)
  }
  return use(client).finally(() => client.destroy())
}
