import type { RedisAccess } from '../preflight/probes/redis.ts'
import type { Core } from './core.ts'

/**
 * Gives the checks the Redis connections of the gateway, and topics that have a listener and no
 * sockets.
 */
export const redisAccess = ({ redis, bindings }: Core): RedisAccess => ({
  command: (key, args) => redis.command(key, args),
  forbidden: (channels) => redis.forbidden(channels),
  keyspaceMissing: () => redis.keyspaceMissing(),
  everyNode: (args) => redis.everyNode(args),
  listen(channel, heard) {
    const render = () => {
      heard()
      return undefined
    }
    return bindings.keep({ render }, channel)
  },
  unlisten: (channel) => bindings.unkeep(channel),
})
