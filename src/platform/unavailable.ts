/**
 * Redis is unreachable, or its connection was lost before it answered. A client then gets the
 * refusal `redis-unavailable`, not `internal-error`.
 */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}
