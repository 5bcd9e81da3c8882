import type { Check } from '../check.ts'

const check: Check = {
  name: 'redis-pubsub',
  priority: 0,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const startedAt = performance.now()
    await redis.echo(signal)
    const ms = Math.round((performance.now() - startedAt) * 100) / 100
    return { status: 'pass', message: `a published message is back after ${ms} ms`, details: { roundTripMs: ms } }
  },
}
export default check
