import { sessionUp } from '../../contract/names.ts'
import type { Check } from '../check.ts'

const check: Check = {
  name: 'agent-connection',
  priority: 15,
  appliesTo: 'all',
  async execute({ sessionId }, signal, { redis }) {
    if (sessionId === undefined) return { status: 'skipped', message: 'no session was given' }
    const channel = sessionUp(sessionId)
    const listeners = await redis.subscribers(channel, signal)
    if (listeners > 0)
      return { status: 'pass', message: `${listeners} subscribed to ${channel}`, details: { listeners } }
    return {
      status: 'fail',
      message: `no agent has subscribed to ${channel}: client frames would be lost`,
      remediation: 'Start the agent, and check that it subscribes to that channel on this Redis.',
    }
  },
}
export default check
