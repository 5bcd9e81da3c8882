import { randomBytes } from 'node:crypto'
import {
  cooldown,
  EVENTS_CONFIG,
  PREFLIGHT_REPORTS,
  preflightCounts,
  privateSession,
  sessionAuth,
  sessionDown,
  sessionUp,
} from '../../contract/names.ts'
import type { Check, CheckedRedis } from '../check.ts'

interface Need {
  readonly what: string
  readonly for: string
  readonly args: readonly string[]
}

/** What the gateway sends to Redis, in a form that changes nothing: keys that nobody has, an entry id that no stream takes, a number that is none. */
function needs(random: string): Need[] {
  const session = privateSession(random)
  const key = sessionAuth(session)
  const absent = preflightCounts('hour', 0)
  return [
    { what: 'GET, DEL, EVAL on session:*:auth', for: 'tokens', args: ['EVAL', SCRIPT, '1', key] },
    { what: 'EVALSHA', for: 'tokens', args: ['EVALSHA', '0'.repeat(40), '1', key] },
    { what: 'PUBLISH to session:*:up', for: 'client frames', args: ['PUBLISH', sessionUp(session), ''] },
    { what: 'PUBLISH to session:*:down', for: 'wsproxy publish', args: ['PUBLISH', sessionDown(session), ''] },
    { what: 'PUBSUB', for: 'the check of agents', args: ['PUBSUB', 'NUMSUB', sessionUp(session)] },
    { what: 'HGETALL on run ids', for: 'the run door', args: ['HGETALL', session] },
    { what: 'HGET on events:config', for: 'checks', args: ['HGET', EVENTS_CONFIG, session] },
    { what: 'PTTL on cooldown:*', for: 'checks', args: ['PTTL', cooldown('none', session)] },
    { what: 'TIME', for: 'checks', args: ['TIME'] },
    { what: `HGETALL on {${PREFLIGHT_REPORTS}}:*`, for: 'reports', args: ['HGETALL', absent] },
    { what: `HINCRBY on {${PREFLIGHT_REPORTS}}:*`, for: 'reports', args: ['HINCRBY', absent, 'f', 'x'] },
    { what: `HSET on {${PREFLIGHT_REPORTS}}:*`, for: 'reports', args: ['HSET', absent, 'f'] },
    { what: `HEXISTS on {${PREFLIGHT_REPORTS}}:*`, for: 'reports', args: ['HEXISTS', absent, 'f'] },
    { what: `EXPIRE on {${PREFLIGHT_REPORTS}}:*`, for: 'reports', args: ['EXPIRE', absent, '1'] },
    { what: `XTRIM on ${PREFLIGHT_REPORTS}`, for: 'reports', args: ['XTRIM', PREFLIGHT_REPORTS, 'MAXLEN', 'x'] },
    { what: `XADD on ${PREFLIGHT_REPORTS}`, for: 'reports', args: ['XADD', PREFLIGHT_REPORTS, '0-0', 'a', 'b'] },
    {
      what: `XREVRANGE on ${PREFLIGHT_REPORTS}`,
      for: 'reports',
      args: ['XREVRANGE', PREFLIGHT_REPORTS, '-', '+', 'COUNT', '1'],
    },
  ]
}
/** What no session can do without. */
const SESSIONS = new Set(['tokens', 'client frames'])
const SCRIPT = `if redis.call('GET', KEYS[1]) == '' then redis.call('DEL', KEYS[1]) end return redis.call('PTTL', KEYS[1])`

const check: Check = {
  name: 'redis-commands',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const asked = needs(randomBytes(8).toString('hex'))
    const answers = await Promise.all(asked.map(({ args }) => refusal(redis, args, signal)))
    const refused = asked.filter((_, i) => answers[i] !== undefined)
    if (refused.length === 0) return { status: 'pass', message: 'Redis lets us do all that we need' }
    return {
      // Without the others some part does not work; an instance is not taken out of service for that.
      status: refused.some(({ for: purpose }) => SESSIONS.has(purpose)) ? 'fail' : 'warn',
      message: `Redis does not let us: ${refused.map(({ what, for: purpose }) => `${what} (${purpose})`).join('; ')}`,
      details: { refusals: answers.filter((each) => each !== undefined) },
      remediation:
        'Give its user what is missing (ACL SETUSER <user> +<command> ~<keys> &<channels>); ACL LOG shows what was refused.',
    }
  },
}
export default check

/** The text of a refusal; undefined when the command may be sent, whatever came of it. */
async function refusal(redis: CheckedRedis, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  try {
    await redis.command(args, signal)
    return undefined
  } catch (error) {
    const { message, name } = error as Error
    if (name === 'RedisUnavailable' || signal.aborted) throw error
    return /NOPERM|No permissions|unknown command|READONLY/i.test(message) ? `${args[0]}: ${message}` : undefined
  }
}
