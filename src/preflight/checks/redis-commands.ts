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

/**
 * The commands that the gateway sends to Redis, in a form that changes nothing: keys that do not
 * exist, an entry id that no stream accepts, an amount that is not a number.
 */
function needs(random: string): Need[] {
  const session = privateSession(random)
  const key = sessionAuth(session)
  const absent = preflightCounts('hour', 0)
  return [
    { what: 'GET, DEL, EVAL on session:*:auth', for: 'tokens', args: ['EVAL', SCRIPT, '1', key] },
    { what: 'EVALSHA', for: 'tokens', args: ['EVALSHA', '0'.repeat(40), '1', key] },
    { what: 'PUBLISH to session:*:up', for: 'client frames', args: ['PUBLISH', sessionUp(session), ''] },
    { what: 'PUBLISH to session:*:down', for: 'wsproxy publish', args: ['PUBLISH', sessionDown(session), ''] },
    { what: 'PUBSUB', for: 'the check agent-connection', args: ['PUBSUB', 'NUMSUB', sessionUp(session)] },
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
/** Purposes without which no session works. */
const SESSIONS = new Set(['tokens', 'client frames'])
const SCRIPT = `if redis.call('GET', KEYS[1]) == '' then redis.call('DEL', KEYS[1]) end return redis.call('PTTL', KEYS[1])`

const check: Check = {
  name: 'redis-commands',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const needed = needs(randomBytes(8).toString('hex'))
    const answers = await Promise.all(needed.map(({ args }) => refusal(redis, args, signal)))
    const refused = needed.filter((_, i) => answers[i] !== undefined)
    if (refused.length === 0) return { status: 'pass', message: 'Redis allows every command that the gateway needs' }
    return {
      // Other purposes degrade one feature, which is no reason to take an instance out of service.
      status: refused.some(({ for: purpose }) => SESSIONS.has(purpose)) ? 'fail' : 'warn',
      message: `Redis refuses: ${refused.map(({ what, for: purpose }) => `${what} (${purpose})`).join('; ')}`,
      details: { refusals: answers.filter((each) => each !== undefined) },
      remediation:
        'Grant the missing rights (ACL SETUSER <user> +<command> ~<keys> &<channels>). ACL LOG shows what was refused.',
    }
  },
}
export default check

/** The error text when Redis does not permit the command; undefined for any other reply. */
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
