/** What a check is, what it is told, and what it may ask. */

export type Mode = 'full' | 'light'
export type Status = 'pass' | 'warn' | 'fail' | 'skipped'

/** What is about to be launched, as far as the caller knows. */
export interface Context {
  readonly mode: Mode
  /** `NO_EVENT_TYPE` when the caller named none. */
  readonly eventType: string
  readonly campaignId?: string
  readonly agentId?: string
  readonly sessionId?: string
  readonly runId?: string
  readonly userId?: string
  readonly metadata?: Readonly<Record<string, unknown>>
}

export const NO_EVENT_TYPE = 'none'

/** Checks of a higher priority than this run in full mode only. */
export const LIGHT_PRIORITY = 10

/** What a check says. */
export interface Verdict {
  /** May be left out; another name than that of the check makes it a failed one. */
  readonly name?: string
  readonly status: Status
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
  /** What a person can do about it. */
  readonly remediation?: string
}

/** What a check said, and how long it took. */
export interface Result extends Verdict {
  readonly name: string
  readonly durationMs: number
}

/** Redis, as checks need it. */
export interface CheckedRedis {
  /** For messages: where it is, without credentials. */
  readonly address: string
  /** The answer to one command. @throws RedisUnavailable, or Redis' own error (an `ErrorReply`). */
  command(args: readonly string[], signal: AbortSignal): Promise<unknown>
  /** The same command on every node that keeps data; one answer a node. */
  everyNode(args: readonly string[], signal: AbortSignal): Promise<readonly unknown[]>
  /** Who has subscribed the channel, on all nodes together. */
  subscribers(channel: string, signal: AbortSignal): Promise<number>
  /** Publishes to a private channel that it has subscribed; resolves when the message is back. */
  echo(signal: AbortSignal): Promise<void>
}

/** The gateway, as checks need it. */
export interface CheckedGateway {
  readonly limits: Limits
  readonly httpDependencies: readonly string[]
  /** Open sockets. */
  sockets(): number
  /** Memory of this process and what it may have, in bytes. */
  memory(): { readonly usedBytes: number; readonly limitBytes: number }
  /** Open files of this process: how many it may have; undefined where nobody can tell. */
  openFiles(): Promise<number | undefined>
  /** Makes a real upgrade on loopback; resolves with what was asked, for people. @throws when it is refused or fails. */
  upgrade(signal: AbortSignal): Promise<string>
}

export interface Limits {
  readonly maxConnections: number
  /** Unsent bytes that one socket may have. */
  readonly maxBufferBytes: number
  /** Bytes a second that this instance expects from Redis. */
  readonly expectedBytesPerSecond: number
}

/** What a check may ask. */
export interface CheckContext {
  readonly redis: CheckedRedis
  readonly gateway: CheckedGateway
  /** Ms since the epoch. */
  readonly now: () => number
}

/** One check: the default export of a file in a folder of checks. It changes nothing that lasts. */
export interface Check {
  readonly name: string
  /** Lower runs first; checks of one priority run side by side. */
  readonly priority: number
  /** The event types that it is for. */
  readonly appliesTo: 'all' | readonly string[]
  /** Has `PREFLIGHT_CHECK_TIMEOUT`, after which `signal` is aborted and the check has failed. What it throws is its failure. */
  execute(context: Context, signal: AbortSignal, surroundings: CheckContext): Promise<Verdict>
}

/** The record of one run. */
export interface Report extends Context {
  readonly id: string
  /** Nothing has failed. */
  readonly healthy: boolean
  readonly hasWarnings: boolean
  readonly checks: readonly Result[]
  readonly durationMs: number
  readonly triggeredBy?: string
  /** RFC 3339, UTC. */
  readonly createdAt: string
}
