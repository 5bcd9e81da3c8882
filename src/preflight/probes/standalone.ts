import { RedisClient, type RedisOptions } from '../../redis/client.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RedisAccess } from './redis.ts'

/**
 * Opens the connections that a gateway would have, for checks in a process without a gateway
 * (`wsproxy doctor`). Changes no setting of Redis. The caller closes `client`.
 */
export function openStandalone(
  options: Omit<RedisOptions, 'redisSetKeyspaceEvents' | 'trials'>,
  metrics: Metrics,
  log: Logger,
): { client: RedisClient; access: RedisAccess } {
  const listeners = new Map<string, () => void>()
  const client = new RedisClient({
    options: { ...options, redisSetKeyspaceEvents: false },
    metrics,
    log,
    message: (channel) => listeners.get(channel)?.(),
    refused: () => {},
    ready: () => {},
    gap: () => {},
  })
  const access: RedisAccess = {
    command: (key, args) => client.command(key, args),
    forbidden: (channels) => client.forbidden(channels),
    keyspaceMissing: () => client.keyspaceMissing(),
    everyNode: (args) => client.everyNode(args),
    listen(channel, heard) {
      listeners.set(channel, heard)
      return client.feed.subscribe(channel)
    },
    unlisten(channel) {
      listeners.delete(channel)
      client.feed.unsubscribe(channel)
    },
  }
  return { client, access }
}
