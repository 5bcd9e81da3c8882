import { sessionAuth } from '../../contract/names.ts'
import type { Check } from '../check.ts'

const NO_KEY = -2
const NO_EXPIRY = -1

const check: Check = {
  name: 'session-token',
  priority: 10,
  appliesTo: 'all',
  async execute({ sessionId }, signal, { redis }) {
    if (sessionId === undefined) return { status: 'skipped', message: 'no session was given' }
    const key = sessionAuth(sessionId)
    const [type, leftMs] = await Promise.all([
      redis.command(['TYPE', key], signal),
      redis.command(['PTTL', key], signal).then(Number),
    ])
    if (leftMs === NO_KEY || type === 'none') {
      return {
        status: 'fail',
        message: `session ${sessionId} has no token: none was made, or it was used or has expired`,
        remediation: `Create one: wsproxy token create ${sessionId} --ttl 60`,
      }
    }
    if (type !== 'string' && type !== 'set') {
      return {
        status: 'fail',
        message: `the key of the token holds a ${type}, not a string or a set`,
        remediation: `Delete ${key} and create a token: wsproxy token create ${sessionId} --ttl 60`,
      }
    }
    const life = leftMs === NO_EXPIRY ? 'and never expires' : `for another ${Math.round(leftMs / 100) / 10} s`
    const what = type === 'set' ? 'several tokens' : 'a token'
    return { status: 'pass', message: `session ${sessionId} has ${what}, ${life}`, details: { leftMs } }
  },
}
export default check
