/** Redis is away, or was lost before it answered: what asks for it gets `redis-unavailable`, not `internal-error`. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}
