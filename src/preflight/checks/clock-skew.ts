import type { Check } from '../check.ts'

const MAX_SKEW_MS = 1000

const check: Check = {
  name: 'clock-skew',
  priority: 15,
  appliesTo: 'all',
  async execute(_, signal, { redis, now }) {
    const before = now()
    const [seconds, microseconds] = (await redis.command(['TIME'], signal)) as [unknown, unknown]
    const after = now()
    const theirs = Number(seconds) * 1000 + Number(microseconds) / 1000
    // Redis read its clock between `before` and `after`.
    const skewMs = Math.round(theirs < before ? theirs - before : theirs > after ? theirs - after : 0)
    const details = { skewMs }
    if (Math.abs(skewMs) <= MAX_SKEW_MS)
      return { status: 'pass', message: `${Math.abs(skewMs)} ms apart from Redis`, details }
    return {
      status: 'warn',
      message: `the clock of Redis is ${Math.abs(skewMs)} ms ${skewMs > 0 ? 'ahead of' : 'behind'} ours`,
      details,
      remediation:
        'Synchronise the clocks of both machines (chronyc tracking, timedatectl). Until then expiry times are wrong.',
    }
  },
}
export default check
