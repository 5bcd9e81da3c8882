/**
 * Redis is unreachable, or its connection was lost before it answered. A client then gets the
 * refusal `redis-unavailable`, not `internal-error`.
 */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

/**
 * The Redis user may not subscribe a channel. A client then gets the refusal `forbidden`. The
 * message names the channel, for the log.
 */
export class RedisForbids extends Error {
  override readonly name = 'RedisForbids'
}
