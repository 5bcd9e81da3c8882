/** The interface of a check: what it receives, what it may ask, what it returns. */

type Mode = 'full' | 'light'
export type Status = 'pass' | 'warn' | 'fail' | 'skipped'

/** What the caller is about to launch. */
export interface Launch {
  readonly mode: Mode
  /** `NO_EVENT_TYPE` when the caller gave none. */
  readonly eventType: string
  readonly campaignId?: string
  readonly agentId?: string
  readonly sessionId?: string
  readonly runId?: string
  readonly userId?: string
  readonly streamerIds?: readonly string[]
  readonly metadata?: Readonly<Record<string, unknown>>
}

export const NO_EVENT_TYPE = 'none'

/** Light mode skips checks whose priority is higher than this. */
export const LIGHT_PRIORITY = 10

/** What a check returns. */
export interface Verdict {
  /** Optional. A name other than the check's own makes the check fail. */
  readonly name?: string
  readonly status: Status
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
  /** What an operator can do about it. */
  readonly remediation?: string
}

/** The verdict of one check, and how long the check took. */
export interface Result extends Verdict {
  readonly name: string
  /** Absent in reports of older versions. */
  readonly priority?: number
  readonly durationMs: number
}

/** What checks need of Redis. */
export interface CheckedRedis {
  /** The address without credentials, for messages. */
  readonly address: string
  readonly uses: RedisUses
  /** The reply to one command. @throws RedisUnavailable, or an error reply of Redis. */
  command(args: readonly string[], signal: AbortSignal): Promise<unknown>
  /** Sends the command to every node that stores data. One reply a node. */
  everyNode(args: readonly string[], signal: AbortSignal): Promise<readonly unknown[]>
  /** Returns those of the channels that the Redis user may not subscribe. */
  forbidden(channels: readonly string[], signal: AbortSignal): Promise<string[]>
  /**
   * For each node the flags of notify-keyspace-events that a probe missed, where CONFIG is
   * forbidden; undefined where Redis refuses the probe as well.
   */
  keyspaceMissing(signal: AbortSignal): Promise<readonly (string | undefined)[]>
  /** The number of subscribers of the channel, summed over all nodes. */
  subscribers(channel: string, signal: AbortSignal): Promise<number>
  /** Publishes to a private channel and resolves when its own subscription receives the message. */
  echo(signal: AbortSignal): Promise<void>
}

/** What the settings make the gateway do in Redis beyond tokens, client frames and runs. */
export interface RedisUses {
  /** Session channels use sharded pub/sub (REDIS_SHARDED_PUBSUB). */
  readonly shardedPubSub: boolean
  /** Sentinels name the master, and the gateway verifies it (REDIS_SENTINELS). */
  readonly sentinels: boolean
  /** REDIS_CANARY_INTERVAL is not 0. */
  readonly canary: boolean
  /** SESSION_FLOW_SIGNAL is on. */
  readonly flowSignal: boolean
  /** The number of the database, which is part of the names of keyspace channels. */
  readonly database: number
  /** RUN_KEY_PREFIX. */
  readonly runKeyPrefix: string
  /** RUN_AUTH is bearer. */
  readonly runTokens: boolean
  /** RESUME_TICKET_TTL is not 0. */
  readonly tickets: boolean
  /** HTTP_STREAMS and SESSION_UPSTREAM are on: clients post frames. */
  readonly posts: boolean
  /** HTTP_STREAMS and STREAM_APPEND are on: agents write streams over HTTP. */
  readonly appends: boolean
  /** OUTBOX_TOPICS: names, and prefixes followed by `*`. */
  readonly outboxTopics: readonly string[]
}

/** What checks need of the gateway. */
export interface CheckedGateway {
  /** Whether the run door is served, which needs keyspace notifications. */
  readonly runDoor: boolean
  readonly limits: Limits
  /** NODE_ENV is production. */
  readonly isProduction: boolean
  /** What anybody can use who reaches the listener, and what closes it; undefined for nothing. */
  readonly exposure: string | undefined
  /** Whether JWTs are accepted, and bound to an audience where a JWKS has keys of others. */
  readonly jwts: 'off' | 'bound' | 'unbound'
  /** Resolves with what is known of AUTH_JWKS_URL; undefined where it is not set. */
  keySet(): Promise<KeySetState | undefined>
  /** Settings of logins whose secret is easy to guess. */
  readonly weakSecrets: readonly string[]
  readonly httpDependencies: readonly string[]
  /** The number of open sockets. */
  sockets(): number
  /** The resident memory of this process and its limit, in bytes. */
  memory(): { readonly usedBytes: number; readonly limitBytes: number }
  /** The limit of open files of this process; undefined where the system does not publish it. */
  openFiles(): number | undefined
  /** How many files a client takes. */
  readonly filesPerSocket: number
  /** Peers that sent a forwarding header in the last minute while TRUST_PROXY=none. */
  unknownProxies(): readonly string[]
  /**
   * Makes a real upgrade over loopback. @returns the address, for messages. @throws when it fails.
   */
  upgrade(signal: AbortSignal): Promise<string>
}

/** What the last fetch of AUTH_JWKS_URL has shown. */
export interface KeySetState {
  readonly isAway: boolean
  /** Why it failed. Undefined: it did not, or has not ended yet. */
  readonly reason: string | undefined
  /** What its clock has more than ours. Undefined: it says no time. */
  readonly skewMs: number | undefined
}

interface Limits {
  readonly maxConnections: number
  /** The most unsent bytes that one socket may queue. */
  readonly maxBufferBytes: number
  /** The most unsent bytes of all sockets together. */
  readonly maxBufferedBytes: number
  /** The bytes a second that this instance expects from Redis. */
  readonly expectedBytesPerSecond: number
}

/** What a check may ask while it runs. */
export interface CheckContext {
  readonly redis: CheckedRedis
  readonly gateway: CheckedGateway
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** One check: the default export of a file in a folder of checks. It leaves no lasting change. */
export interface Check {
  readonly name: string
  /** Lower priorities run first; checks of equal priority run in parallel. */
  readonly priority: number
  /** The event types for which the check runs. */
  readonly appliesTo: 'all' | readonly string[]
  /**
   * Fails when it throws, or when it takes longer than `PREFLIGHT_CHECK_TIMEOUT`; then `signal`
   * is aborted.
   */
  execute(launch: Launch, signal: AbortSignal, context: CheckContext): Promise<Verdict>
}

/** The result of one run. */
export interface Report extends Launch {
  readonly id: string
  /** True when no check failed. */
  readonly healthy: boolean
  /** The same; older programs read it under this name. */
  readonly success: boolean
  readonly hasWarnings: boolean
  readonly checks: readonly Result[]
  readonly durationMs: number
  readonly triggeredBy?: string
  /** An RFC 3339 time in UTC. */
  readonly createdAt: string
}

const STATUSES: ReadonlySet<unknown> = new Set(['pass', 'warn', 'fail', 'skipped'])

/**
 * Whether a value has what every reader of a report uses. Any program may write to the stream of
 * reports.
 */
export function isReport(value: unknown): value is Report {
  const isObject = (each: unknown): each is Record<string, unknown> =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
  if (!isObject(value)) return false
  const { id, eventType, mode, healthy, hasWarnings, checks, durationMs, createdAt } = value
  return (
    [id, eventType, mode, createdAt].every((each) => typeof each === 'string') &&
    !Number.isNaN(Date.parse(createdAt as string)) &&
    typeof healthy === 'boolean' &&
    typeof hasWarnings === 'boolean' &&
    typeof durationMs === 'number' &&
    Array.isArray(checks) &&
    checks.every((check) => isObject(check) && typeof check.name === 'string' && STATUSES.has(check.status))
  )
}
