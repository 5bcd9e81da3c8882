import { eventsConfig } from '../../contract/names.ts'
import { type Check, NO_EVENT_TYPE } from '../check.ts'

const OFF = new Set(['false', '0'])

const check: Check = {
  name: 'event-enabled',
  priority: 20,
  appliesTo: 'all',
  async execute({ eventType }, signal, { redis }) {
    if (eventType === NO_EVENT_TYPE) return { status: 'skipped', message: 'no event type was given' }
    const value = await redis.command(['HGET', eventsConfig(), eventType], signal)
    if (!OFF.has(String(value).trim().toLowerCase()))
      return { status: 'pass', message: `${eventType} is not switched off` }
    return {
      status: 'fail',
      message: `${eventType} is switched off`,
      details: { value: String(value) },
      remediation: `Switch it on: redis-cli HSET ${eventsConfig()} ${eventType} true`,
    }
  },
}
export default check
