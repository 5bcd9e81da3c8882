import { parseAddress } from './kinds.ts'
import type { Config } from './load.ts'

/** A value that is wrong in itself is still text here, and reported already. */
const listLength = (list: readonly string[] | string): number => (typeof list === 'string' ? 0 : list.length)

const hasServers = (config: Config): boolean => listLength(config.sentinels) + listLength(config.clusterNodes) > 0

const invalidAddresses = (name: string, list: readonly string[] | string): [boolean, string][] =>
  typeof list === 'string'
    ? []
    : list.map((entry) => [
        parseAddress(entry) === undefined || entry.startsWith(':'),
        `${name}: "${entry}" is not host:port`,
      ])

/** The addresses themselves are not repeated: what is wrong with one may be that it holds a password. */
function isWebAddress(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
}

/** What cannot be as it is, although each value alone is right: one line a problem. */
export function contradictions(config: Config): string[] {
  const problems: [boolean, string][] = [
    [
      config.production === 'production' && config.redisUrl === undefined && !hasServers(config),
      'REDIS_URL: must be set when NODE_ENV=production (the embedded server is for development)',
    ],
    [
      config.reconnectGraceMs > 0 && config.tokenMode === 'reusable',
      'AUTH_RECONNECT_GRACE: has no meaning with AUTH_TOKEN_MODE=reusable',
    ],
    [
      listLength(config.sentinels) > 0 && listLength(config.clusterNodes) > 0,
      'REDIS_SENTINELS: excludes REDIS_CLUSTER_NODES',
    ],
    [
      config.shardedPubSub === true && listLength(config.clusterNodes) === 0,
      'REDIS_SHARDED_PUBSUB: needs REDIS_CLUSTER_NODES',
    ],
    [
      listLength(config.clusterNodes) > 0 && /\/[1-9]\d*$/.test(config.redisUrl ?? ''),
      'REDIS_URL: a cluster has no database but 0',
    ],
    ...invalidAddresses('REDIS_SENTINELS', config.sentinels),
    ...invalidAddresses('REDIS_CLUSTER_NODES', config.clusterNodes),
    [
      config.adminToken !== undefined && !/^[\x21-\x7e]{16,}$/.test(config.adminToken),
      'ADMIN_TOKEN: must be 16 or more visible ASCII characters',
    ],
    [config.pongTimeoutMs <= config.pingIntervalMs, 'PONG_TIMEOUT: must be longer than PING_INTERVAL'],
    [config.runPongTimeoutMs <= config.runPingIntervalMs, 'RUN_PONG_TIMEOUT: must be longer than RUN_PING_INTERVAL'],
    [config.drainDelayMs >= config.shutdownGraceMs, 'DRAIN_DELAY: must be shorter than SHUTDOWN_GRACE_PERIOD'],
    [
      config.adminPort !== undefined && config.adminPort === config.listen.port,
      'ADMIN_PORT: is the port of LISTEN_ADDR',
    ],
    [
      !config.preflightHttpDependencies.every(isWebAddress),
      'PREFLIGHT_HTTP_DEPENDENCIES: must be http:// or https:// addresses without credentials',
    ],
  ]
  return problems.filter(([wrong]) => wrong).map(([, line]) => line)
}
