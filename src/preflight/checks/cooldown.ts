import { cooldown } from '../../contract/names.ts'
import { type Check, NO_EVENT_TYPE } from '../check.ts'

const NO_KEY = -2
const NO_EXPIRY = -1

const check: Check = {
  name: 'cooldown',
  priority: 20,
  appliesTo: 'all',
  async execute({ eventType, campaignId }, signal, { redis, now }) {
    if (eventType === NO_EVENT_TYPE || campaignId === undefined) {
      return { status: 'skipped', message: 'needs an event type and a campaign' }
    }
    const key = cooldown(eventType, campaignId)
    const leftMs = Number(await redis.command(['PTTL', key], signal))
    if (leftMs === NO_KEY) return { status: 'pass', message: `campaign ${campaignId} may send ${eventType}` }
    if (leftMs === NO_EXPIRY) {
      return {
        status: 'fail',
        message: `campaign ${campaignId} may not send ${eventType}, and its cooldown never ends`,
        remediation: `If this is unintended: redis-cli DEL ${key}`,
      }
    }
    const endsAt = new Date(now() + leftMs).toISOString()
    return {
      status: 'fail',
      message: `campaign ${campaignId} may send ${eventType} again in ${Math.ceil(leftMs / 1000)} s, at ${endsAt}`,
      details: { endsAt, leftMs },
      remediation: 'Wait until then.',
    }
  },
}
export default check
