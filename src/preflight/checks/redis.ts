import { reasonOf } from '../../platform/reason.ts'
import { redisRemedy } from '../../redis/remedy.ts'
import type { Check } from '../check.ts'

/** From this latency on, users would notice it in every handshake. */
const SLOW_MS = 100

const check: Check = {
  name: 'redis',
  priority: 0,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const startedAt = performance.now()
    try {
      await redis.everyNode(['PING'], signal)
    } catch (error) {
      const reason = reasonOf(error)
      return {
        status: 'fail',
        message: `${redis.address} cannot be used: ${reason}`,
        remediation: redisRemedy(reason),
      }
    }
    const ms = Math.round((performance.now() - startedAt) * 100) / 100
    const details = { address: redis.address, roundTripMs: ms }
    if (ms < SLOW_MS) return { status: 'pass', message: `Redis answers in ${ms} ms`, details }
    return {
      status: 'warn',
      message: `Redis answers, but only after ${ms} ms`,
      details,
      remediation:
        'Check the load of Redis (SLOWLOG GET, INFO commandstats) and the network between it and the gateway.',
    }
  },
}
export default check
