import {
  outboxCount,
  outboxLog,
  outboxSeen,
  revokedSet,
  sessionLog,
  sessionMeta,
  sessionPosted,
  ticketSecrets,
} from '../../contract/names.ts'
import type { RedisUses } from '../check.ts'

/** A right that a feature needs in Redis, and how to find out whether it is there. */
export interface Need {
  /** For the message: the command, and the keys or channels that it needs. */
  readonly what: string
  readonly for: string
  /** The command in a form that changes nothing and reaches no subscriber. */
  readonly args: readonly string[]
}

/**
 * Tries commands on keys that are there for nothing else. The last ones delete the keys, so they
 * run even when one before was refused. Returns the first refusal.
 */
const trialOf = (commands: readonly string[]): string => `local fault
local function try(reply)
  if type(reply) == 'table' and reply.err then fault = fault or reply end
end
${commands.map((each) => `try(redis.pcall(${each}))`).join('\n')}
return fault or 1`

const POSTS = trialOf([
  "'SET', KEYS[1], '', 'NX', 'PX', '1000'",
  "'GET', KEYS[1]",
  "'APPEND', KEYS[1], 'x'",
  "'DEL', KEYS[1]",
])

const STREAMS = trialOf([
  "'HSET', KEYS[2], 'n', '1'",
  "'HINCRBY', KEYS[2], 'b', '1'",
  "'HGET', KEYS[2], 'n'",
  "'HMGET', KEYS[2], 'n'",
  "'HLEN', KEYS[2]",
  "'XADD', KEYS[1], '0-1', 'm', ''",
  "'XLEN', KEYS[1]",
  "'XRANGE', KEYS[1], '-', '+', 'COUNT', '1'",
  "'XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1'",
  "'XTRIM', KEYS[1], 'MAXLEN', '1'",
  "'TIME'",
  ...[1, 2].flatMap((key) => [
    `'PEXPIREAT', KEYS[${key}], '4102444800000'`,
    `'EXPIRE', KEYS[${key}], '1'`,
    `'DEL', KEYS[${key}]`,
  ]),
])

const OUTBOX = trialOf([
  "'EXISTS', KEYS[1]",
  "'SET', KEYS[1], '', 'EX', '1'",
  "'DEL', KEYS[1]",
  "'GET', KEYS[2]",
  "'INCR', KEYS[2]",
  "'EXPIRE', KEYS[2], '1'",
  "'DEL', KEYS[2]",
])

const forTickets = (random: string): Need[] => [
  {
    what: `HMGET on ${ticketSecrets()}`,
    for: 'resume tickets',
    args: ['HMGET', ticketSecrets(), random],
  },
  { what: `HDEL on ${ticketSecrets()}`, for: 'resume tickets', args: ['HDEL', ticketSecrets(), random] },
  {
    what: `ZRANGEBYSCORE on ${revokedSet()}`,
    for: 'revocations',
    args: ['ZRANGEBYSCORE', revokedSet(), '-1', '-1'],
  },
]

const forPosts = (session: string): Need => ({
  what: `SET, GET, APPEND, DEL, EVAL on ${sessionPosted('*', '*')}`,
  for: 'frames posted with an Idempotency-Key',
  args: ['EVAL', POSTS, '1', sessionPosted(session, 'none')],
})

const forAppends = (session: string): Need => ({
  what: `the script of streams on ${sessionLog('*')} and ${sessionMeta('*')}`,
  for: 'streams over HTTP (STREAM_APPEND)',
  args: ['EVAL', STREAMS, '2', sessionLog(session), sessionMeta(session)],
})

/**
 * The log of a topic is in use: XADD gets an id that no stream takes, and XDEL one that none has.
 * PUBLISH would reach subscribers, so it is not tried.
 */
function forOutbox(random: string, topic: string): Need[] {
  const name = topic.replace('*', random)
  const purpose = `the outbox of ${topic}`
  const [seen, count] = [outboxSeen(name, random, 'none'), outboxCount(name, random, 0)]
  return [
    {
      what: `EXISTS, SET, GET, INCR, EXPIRE, DEL, EVAL on ${outboxSeen(topic, '*', '*')} and ${outboxCount(topic, '*', '*')}`,
      for: purpose,
      args: ['EVAL', OUTBOX, '2', seen, count],
    },
    { what: `XADD on ${outboxLog(topic)}`, for: purpose, args: ['XADD', outboxLog(name), '0-0', 'a', 'b'] },
    { what: `XDEL on ${outboxLog(topic)}`, for: purpose, args: ['XDEL', outboxLog(name), '0-0'] },
  ]
}

/** What streams over HTTP, their tickets, and the outbox need. */
export const streamNeeds = (random: string, session: string, uses: RedisUses): Need[] => [
  ...(uses.tickets ? forTickets(random) : []),
  ...(uses.posts ? [forPosts(session)] : []),
  ...(uses.appends ? [forAppends(session)] : []),
  ...uses.outboxTopics.flatMap((topic) => forOutbox(random, topic)),
]
