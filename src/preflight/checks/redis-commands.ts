import { randomBytes } from 'node:crypto'
import {
  cooldown,
  eventsConfig,
  liveAnswers,
  preflightCounts,
  preflightReports,
  privateSession,
  redisCanary,
  runAuth,
  runKey,
  sessionAuth,
  sessionCancel,
  sessionControl,
  sessionDown,
  sessionFlow,
  sessionLog,
  sessionMeta,
  sessionUp,
} from '../../contract/names.ts'
import type { Check, CheckedRedis, RedisUses } from '../check.ts'
import { type Need, streamNeeds } from '../probes/stream-needs.ts'

/**
 * Reads, and would delete: every command of the scripts for tokens and for the flow signal but SET.
 */
const SCRIPT = `if redis.call('GET', KEYS[1]) == '' then redis.call('DEL', KEYS[1]) end return redis.call('PTTL', KEYS[1])`

/** Reads a set as the script for tokens does. */
const SET_SCRIPT = `if redis.call('SCARD', KEYS[1]) > 0 then redis.call('SREM', KEYS[1], '') end return redis.call('SMEMBERS', KEYS[1])`
/** Without these a set of tokens admits no client; a string does. */
const setOf = (key: string, pattern: string): Need => ({
  what: `SCARD, SMEMBERS, SREM on ${pattern}`,
  for: 'sets of tokens',
  args: ['EVAL', SET_SCRIPT, '1', key],
})

function forSessions(session: string, { shardedPubSub }: RedisUses): Need[] {
  const publish = shardedPubSub ? 'SPUBLISH' : 'PUBLISH'
  const key = sessionAuth(session)
  return [
    { what: `GET, DEL, EVAL on ${sessionAuth('*')}`, for: 'tokens', args: ['EVAL', SCRIPT, '1', key] },
    setOf(key, sessionAuth('*')),
    { what: 'EVALSHA', for: 'tokens', args: ['EVALSHA', '0'.repeat(40), '1', key] },
    { what: `${publish} to ${sessionUp('*')}`, for: 'client frames', args: [publish, sessionUp(session), ''] },
    { what: `${publish} to ${sessionDown('*')}`, for: 'wsproxy publish', args: [publish, sessionDown(session), ''] },
  ]
}

function forLogs(session: string): Need[] {
  const [log, meta, cancel] = [sessionLog(session), sessionMeta(session), sessionCancel(session)]
  const purpose = 'numbered messages'
  return [
    { what: `XRANGE on ${sessionLog('*')}`, for: purpose, args: ['XRANGE', log, '-', '+', 'COUNT', '1'] },
    { what: `XREVRANGE on ${sessionLog('*')}`, for: purpose, args: ['XREVRANGE', log, '+', '-', 'COUNT', '1'] },
    { what: `HMGET on ${sessionMeta('*')}`, for: purpose, args: ['HMGET', meta, 'e'] },
    { what: `SET on ${sessionCancel('*')}`, for: purpose, args: ['SET', cancel, '', 'XX', 'PX', '1'] },
  ]
}

/** SET with XX writes nothing, because the key does not exist. */
function forFlow(session: string, { shardedPubSub }: RedisUses): Need[] {
  const publish = shardedPubSub ? 'SPUBLISH' : 'PUBLISH'
  const key = sessionFlow(session)
  const purpose = 'the flow signal'
  return [
    { what: `GET, DEL, EVAL on ${sessionFlow('*')}`, for: purpose, args: ['EVAL', SCRIPT, '1', key] },
    { what: `SET on ${sessionFlow('*')}`, for: purpose, args: ['SET', key, '', 'XX', 'PX', '1'] },
    { what: `${publish} to ${sessionControl('*')}`, for: purpose, args: [publish, sessionControl(session), ''] },
  ]
}

/**
 * The bus itself, wsproxy:live, is not published to: every instance would log a message that it
 * cannot use. PUBLISH to the channel of an instance that does not exist needs the same command and
 * the same pattern.
 */
const forLive = (random: string): Need[] => [
  { what: `PUBLISH to ${liveAnswers('*')}`, for: 'the live bus', args: ['PUBLISH', liveAnswers(random), ''] },
]

const forCanary = (random: string): Need[] => [
  { what: `PUBLISH to ${redisCanary('*')}`, for: 'the canary', args: ['PUBLISH', redisCanary(random), ''] },
]

const forRuns = (session: string, { runTokens, runKeyPrefix }: RedisUses): Need[] => [
  { what: 'HGETALL on run ids', for: 'the run door', args: ['HGETALL', runKey(runKeyPrefix + session)] },
  ...(runTokens
    ? [
        { what: `GET, DEL, EVAL on ${runAuth('*')}`, for: 'run tokens', args: ['EVAL', SCRIPT, '1', runAuth(session)] },
        setOf(runAuth(session), runAuth('*')),
      ]
    : []),
]

/** Without INFO, a gap whose cause is the output buffer limit may be reported as redis_down. */
const forServers = ({ sentinels }: RedisUses): Need[] => [
  { what: 'INFO', for: 'the reason of a gap', args: ['INFO', 'stats'] },
  ...(sentinels ? [{ what: 'ROLE', for: 'refusing a demoted master', args: ['ROLE'] }] : []),
]

const forChecks = (session: string): Need[] => [
  { what: 'PUBSUB', for: 'the check agent-connection', args: ['PUBSUB', 'NUMSUB', sessionUp(session)] },
  { what: `HGET on ${eventsConfig()}`, for: 'checks', args: ['HGET', eventsConfig(), session] },
  { what: `PTTL on ${cooldown('*', '*')}`, for: 'checks', args: ['PTTL', cooldown('none', session)] },
  { what: 'TIME', for: 'checks', args: ['TIME'] },
]

/**
 * Values that are not numbers, and an entry id that no stream takes: Redis refuses them after it
 * has checked the ACL.
 */
function forReports(): Need[] {
  const absent = preflightCounts('hour', 0)
  const [counts, stream] = [`{${preflightReports()}}:*`, preflightReports()]
  return [
    { what: `HGETALL on ${counts}`, for: 'reports', args: ['HGETALL', absent] },
    { what: `HINCRBY on ${counts}`, for: 'reports', args: ['HINCRBY', absent, 'f', 'x'] },
    { what: `HSET on ${counts}`, for: 'reports', args: ['HSET', absent, 'f'] },
    { what: `HEXISTS on ${counts}`, for: 'reports', args: ['HEXISTS', absent, 'f'] },
    { what: `EXPIRE on ${counts}`, for: 'reports', args: ['EXPIRE', absent, '1'] },
    { what: `XTRIM on ${stream}`, for: 'reports', args: ['XTRIM', stream, 'MAXLEN', 'x'] },
    { what: `XADD on ${stream}`, for: 'reports', args: ['XADD', stream, '0-0', 'a', 'b'] },
    { what: `XREVRANGE on ${stream}`, for: 'reports', args: ['XREVRANGE', stream, '-', '+', 'COUNT', '1'] },
  ]
}

/**
 * Every command that the gateway sends to Redis with these settings, except SUBSCRIBE, which the
 * check redis-pubsub sends, and CONFIG, which the check keyspace-events sends.
 */
function needs(random: string, uses: RedisUses): Need[] {
  const session = privateSession(random)
  return [
    ...forSessions(session, uses),
    ...forLogs(session),
    ...(uses.flowSignal ? forFlow(session, uses) : []),
    ...forRuns(session, uses),
    ...forLive(random),
    ...(uses.canary ? forCanary(random) : []),
    ...streamNeeds(random, session, uses),
    ...forServers(uses),
    ...forChecks(session),
    ...forReports(),
  ]
}

/** The purposes without which no session works. */
const SESSIONS = new Set(['tokens', 'client frames'])

const check: Check = {
  name: 'redis-commands',
  priority: 10,
  appliesTo: 'all',
  async execute(_, signal, { redis }) {
    const needed = needs(randomBytes(8).toString('hex'), redis.uses)
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
    return /NOPERM|No permissions|executing the script|unknown command|READONLY/i.test(message)
      ? `${args[0]}: ${message}`
      : undefined
  }
}
