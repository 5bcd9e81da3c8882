import { sessionUp } from '../../contract/names.ts'
import type { Check } from '../check.ts'

const check: Check = {
  name: 'agent-connection',
  priority: 15,
  appliesTo: 'all',
  async execute({ sessionId }, signal, { redis }) {
    if (sessionId === undefined) return { status: 'skipped', message: 'no session was named' }
    const channel = sessionUp(sessionId)
    const listeners = await redis.subscribers(channel, signal)
    if (listeners > 0)
      return { status: 'pass', message: `${listeners} listening to ${channel}`, details: { listeners } }
    return {
      status: 'fail',
      message: `no agent listens to ${channel}: what clients say would be lost`,
      remediation: 'Start the agent, and see that it has subscribed to that channel of this Redis.',
    }
  },
}
export default check
