import { sessionDown } from '../../contract/names.ts'
import { reasonOf } from '../../platform/reason.ts'
import type { Check } from '../check.ts'

const check: Check = {
  name: 'redis-pubsub',
  priority: 0,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const startedAt = performance.now()
    try {
      await redis.echo(signal)
    } catch (error) {
      const { name } = error as Error
      const why =
        name === 'RedisForbids' ? `Redis forbids SUBSCRIBE on ${sessionDown('*')} (the session door)` : reasonOf(error)
      return {
        status: 'fail',
        message: `a published message did not come back: ${why}`,
        remediation:
          name === 'RedisUnavailable'
            ? 'See the check redis: it names the cause.'
            : 'The Redis user needs PUBLISH to and SUBSCRIBE on session channels: wsproxy redis acl prints its rights.',
      }
    }
    const ms = Math.round((performance.now() - startedAt) * 100) / 100
    return { status: 'pass', message: `a published message came back after ${ms} ms`, details: { roundTripMs: ms } }
  },
}
export default check
