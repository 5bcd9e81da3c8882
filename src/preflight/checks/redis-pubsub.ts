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
      return {
        status: 'fail',
        message: `a published message did not come back: ${(error as Error).message}`,
        remediation:
          'Check that Redis runs and that its user may PUBLISH to and SUBSCRIBE session:* (ACL LOG shows what was refused).',
      }
    }
    const ms = Math.round((performance.now() - startedAt) * 100) / 100
    return { status: 'pass', message: `a published message came back after ${ms} ms`, details: { roundTripMs: ms } }
  },
}
export default check
