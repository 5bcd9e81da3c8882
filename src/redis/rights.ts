import { acceptsJwts } from '../config/jwt.ts'
import type { Config } from '../config/table.ts'
import {
  cooldown,
  eventsConfig,
  isPattern,
  keyEvents,
  keyspaceProbe,
  liveAnswers,
  liveBus,
  liveChannel,
  liveLast,
  olderChannels,
  outboxCount,
  outboxLog,
  outboxSeen,
  preflightReports,
  privateSession,
  redisCanary,
  revokedSet,
  runAuth,
  runEvents,
  runKey,
  sessionAuth,
  sessionCancel,
  sessionControl,
  sessionDown,
  sessionFlow,
  sessionLog,
  sessionMeta,
  sessionPosted,
  sessionUp,
  ticketSecrets,
  usedToken,
} from '../contract/names.ts'
import { failuresOfAccount, loginsOfAddress, refreshFamily, userIndex, userKey } from '../contract/user-names.ts'

/** The settings that decide what the gateway does in Redis. */
export interface RightsOptions
  extends Pick<
    Config,
    | 'redisClusterNodes'
    | 'redisShardedPubsub'
    | 'redisCanaryIntervalMs'
    | 'sessionFlowSignal'
    | 'streamAppend'
    | 'liveLast'
    | 'resumeTicketTtlMs'
    | 'authJwtSecret'
    | 'authLogin'
    | 'authJwksFile'
    | 'authJwksUrl'
    | 'runAuth'
    | 'runKeyPrefix'
    | 'authTokenMode'
    | 'authReconnectGraceMs'
    | 'httpStreams'
    | 'outboxTopics'
    | 'sessionUpstream'
  > {
  readonly database: number
}

/** What one feature needs in Redis. Names are glob patterns, as in an ACL. */
interface Right {
  readonly feature: string
  /** Commands without keys and channels. */
  readonly commands?: readonly string[]
  /** Commands on keys. */
  readonly keys?: readonly KeyRight[]
  /** Channels to subscribe; one with a `*` of its own is a pattern (PSUBSCRIBE). */
  readonly subscribes?: readonly string[]
  readonly patterns?: readonly string[]
  readonly publishes?: readonly string[]
}

interface KeyRight {
  readonly commands: string
  readonly keys: readonly string[]
  /** Redis 7 can allow reading alone. */
  readonly readOnly?: true
}

const TOKEN = 'eval evalsha get del pttl pexpire type scard smembers srem'
/** A used token of a set has a key of its own while it stays valid. */
const USED = 'set exists'

/** Redis 6 takes no rule with a command that it does not know. */
const SINCE_7 = new Set(['function|list'])

const loginRight = (): Right => ({
  feature: 'users and their logins',
  keys: [
    {
      commands: 'get set del exists hmget hset eval pexpire zadd zrem zcard zrange zremrangebyscore',
      keys: [userKey('*'), userIndex()],
    },
    { commands: 'eval evalsha hmget hset del pexpire', keys: [refreshFamily('*')] },
    { commands: 'eval evalsha incr get del pexpire pttl', keys: [loginsOfAddress('*'), failuresOfAccount('*')] },
  ],
})

/** One row for each feature. A new feature adds its own. */
function rightsOf(options: RightsOptions): Right[] {
  const { database, redisClusterNodes, redisShardedPubsub, runKeyPrefix } = options
  const cluster = redisClusterNodes.length > 0
  const own = privateSession('*')
  const grace = options.authTokenMode === 'single-use' && options.authReconnectGraceMs > 0
  const tokensAt = (key: string): KeyRight[] => [
    { commands: TOKEN, keys: [key] },
    ...(grace ? [{ commands: USED, keys: [usedToken(key, '*')] }] : []),
  ]
  return [
    { feature: 'connections', commands: ['hello', 'ping', 'command|info', ...(database > 0 ? ['select'] : [])] },
    { feature: 'the reason of a gap', commands: ['info'] },
    { feature: 'refusing a demoted master', commands: ['role'] },
    ...(cluster ? [{ feature: 'the slots of a cluster', commands: ['cluster|slots', 'asking'] }] : []),
    { feature: 'tokens', keys: tokensAt(sessionAuth('*')) },
    { feature: 'sessions', subscribes: [sessionDown('*')], publishes: [sessionUp('*')] },
    {
      feature: 'numbered messages',
      commands: ['function|list'],
      keys: [
        { commands: 'xrange xrevrange', keys: [sessionLog('*')], readOnly: true },
        { commands: 'hmget', keys: [sessionMeta('*')], readOnly: true },
        { commands: 'set', keys: [sessionCancel('*')] },
      ],
    },
    ...(options.streamAppend ? [streamRight()] : []),
    ...(options.resumeTicketTtlMs > 0
      ? [{ feature: 'resume tickets', keys: [{ commands: 'hsetnx hmget hdel pexpire', keys: [ticketSecrets()] }] }]
      : []),
    ...(options.resumeTicketTtlMs > 0 || acceptsJwts(options)
      ? [
          {
            feature: 'revocations of tickets and JWTs',
            commands: ['time'],
            keys: [{ commands: 'eval evalsha zrange zrangebyscore zcard zrem zadd', keys: [revokedSet()] }],
          },
        ]
      : []),
    ...(options.authLogin ? [loginRight()] : []),
    ...(options.redisCanaryIntervalMs > 0
      ? [{ feature: 'the canary', subscribes: [redisCanary('*')], publishes: [redisCanary('*')] }]
      : []),
    ...(options.sessionFlowSignal
      ? [
          {
            feature: 'the flow signal',
            keys: [{ commands: 'eval get set del pttl', keys: [sessionFlow('*')] }],
            publishes: [sessionControl('*')],
          },
        ]
      : []),
    {
      feature: 'runs',
      keys: [{ commands: 'hgetall hlen exists', keys: [runKey(`${runKeyPrefix}*`)], readOnly: true }],
      subscribes: [runEvents(database, `${runKeyPrefix}*`)],
    },
    ...(options.runAuth === 'bearer' ? [{ feature: 'run tokens', keys: tokensAt(runAuth('*')) }] : []),
    {
      feature: 'the probe of keyspace events',
      keys: [{ commands: 'hset del pexpire', keys: [keyspaceProbe('*')] }],
      subscribes: [keyEvents(database, keyspaceProbe('*'))],
    },
    ...liveRights(options),
    ...(options.httpStreams && options.sessionUpstream ? [postsRight()] : []),
    {
      feature: 'checks',
      commands: ['time', redisShardedPubsub ? 'pubsub|shardnumsub' : 'pubsub|numsub'],
      keys: [
        { commands: 'eval get set del exists', keys: [sessionAuth(own)] },
        { commands: 'hget', keys: [eventsConfig()], readOnly: true },
        { commands: 'pttl', keys: [cooldown('*', '*')], readOnly: true },
      ],
      publishes: [sessionDown(own)],
    },
    {
      feature: 'reports',
      keys: [
        {
          commands: 'eval evalsha hexists hget hgetall hset hincrby expire xadd xtrim xrevrange',
          keys: [preflightReports(), `{${preflightReports()}}:*`],
        },
      ],
    },
  ]
}

const postsRight = (): Right => ({
  feature: 'frames posted with an idempotency key',
  keys: [{ commands: 'eval evalsha set get append del', keys: [sessionPosted('*', '*')] }],
  publishes: [sessionUp('*')],
})

const streamRight = (): Right => ({
  feature: 'streams over HTTP',
  commands: ['time'],
  keys: [
    {
      commands: 'eval evalsha hget hmget hset hlen hincrby del expire pexpireat xadd xtrim xlen xrange xrevrange',
      keys: [sessionLog('*'), sessionMeta('*')],
    },
  ],
  publishes: [sessionDown('*')],
})

/** `topics` are names, or prefixes followed by `*`, as in an ACL. */
const outboxRight = (topics: readonly string[]): Right => ({
  feature: 'the outbox of clients',
  keys: [
    {
      commands: 'eval evalsha exists get set del incr expire xadd xdel',
      keys: topics.flatMap((each) => [outboxLog(each), outboxSeen(each, '*', '*'), outboxCount(each, '*', '*')]),
    },
  ],
  publishes: topics.map(liveChannel),
})

function liveRights({ liveLast: rules, outboxTopics }: RightsOptions): Right[] {
  const older = olderChannels()
  return [
    {
      feature: 'live topics',
      subscribes: [liveChannel('*'), ...older.filter((each) => !isPattern(each))],
      patterns: older.filter(isPattern),
    },
    ...(rules.length > 0
      ? [
          {
            feature: 'last messages of live topics',
            keys: [{ commands: 'getrange set del', keys: [liveLast('*')] }],
          },
        ]
      : []),
    ...(outboxTopics.length > 0 ? [outboxRight(outboxTopics)] : []),
    {
      feature: 'orders between instances',
      subscribes: [liveBus(), liveAnswers('*')],
      publishes: [liveBus(), liveAnswers('*')],
    },
  ]
}

const plus = (commands: readonly string[]): string => [...new Set(commands)].map((each) => `+${each}`).join(' ')
const and = (channels: readonly string[]): string => [...new Set(channels)].map((each) => `&${each}`).join(' ')

/**
 * Returns the rules of `ACL SETUSER` that give a user exactly what the gateway does with these
 * settings.
 * @param version 7: each group of commands has its own keys and channels (selectors). 6 (6.2 or
 * later) has no selectors: every command may use every key and channel of the list.
 */
export function aclRules(options: RightsOptions, version: 6 | 7): string[] {
  const rights = rightsOf(options)
  const commands = rights.flatMap((each) => each.commands ?? []).filter((each) => version === 7 || !SINCE_7.has(each))
  const keys = rights.flatMap((each) => each.keys ?? [])
  const subscribes = rights.flatMap((each) => each.subscribes ?? [])
  const patterns = rights.flatMap((each) => each.patterns ?? [])
  const publishes = rights.flatMap((each) => each.publishes ?? [])
  const sharded = options.redisShardedPubsub
  const hear = ['subscribe', 'unsubscribe', ...(sharded ? ['ssubscribe', 'sunsubscribe'] : [])]
  const hearPatterns = ['psubscribe', 'punsubscribe']
  const say = ['publish', ...(sharded ? ['spublish'] : [])]
  const base = ['resetkeys', 'resetchannels', '-@all']
  if (version === 7) {
    const on = ({ commands: each, keys: names, readOnly }: KeyRight) =>
      `(${plus(each.split(' '))} ${names.map((name) => `${readOnly ? '%R' : ''}~${name}`).join(' ')})`
    // All channels of a command must be allowed by one selector, and the gateway subscribes
    // channels of all kinds with one SUBSCRIBE.
    return [
      ...base,
      ...plus(commands).split(' '),
      `(${plus(hear)} ${and(subscribes)})`,
      `(${plus(hearPatterns)} ${and(patterns)})`,
      `(${plus(say)} ${and(publishes)})`,
      ...keys.map(on),
    ]
  }
  const all = [...commands, ...hear, ...hearPatterns, ...say, ...keys.flatMap((each) => each.commands.split(' '))]
  const names = [...new Set(keys.flatMap((each) => each.keys))].map((each) => `~${each}`)
  return [...base, ...plus(all).split(' '), ...names, ...and([...subscribes, ...patterns, ...publishes]).split(' ')]
}

/** Quotes a rule for a shell. */
const quoted = (rule: string): string => (/^[\w@+:.-]+$/.test(rule) ? rule : `'${rule}'`)

/** Returns the words after `redis-cli` that create the user, quoted for a shell. */
export const aclCommand = (user: string, password: string, rules: readonly string[]): string =>
  ['ACL', 'SETUSER', user, 'reset', 'on', `>${password}`, ...rules].map(quoted).join(' ')
