import type { Topic } from '../connection/bind.ts'
import type { Connection } from '../connection/connection.ts'
import type { LogPage, LogState } from '../redis/session-log.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { LoggedTopic, Reader } from './logged.ts'

/** Reads logs, as far as this room needs it. Each method throws RedisUnavailable or LogUnusable. */
interface LogSource {
  state(sessionId: string): Promise<LogState>
  page(sessionId: string, after: number, count: number): Promise<LogPage>
  newest(sessionId: string): Promise<number>
}

/** Writes to sockets, as far as this room needs it. */
interface Outlet {
  /** Enqueues a frame that the gateway makes. */
  enqueue(connection: Connection, frame: Buffer): void
  /** Enqueues a message. @param isText the frame is UTF-8; by default it is looked at. */
  deliver(connection: Connection, frame: Buffer, isText?: boolean): void
  /**
   * Whether half of the send buffer stays free with so many bytes more, or nothing waits. Writes
   * what waits in this tick if that is in the way.
   */
  makeRoom(connection: Connection, bytes: number): boolean
  /** Has the door called with the level `low` when the socket has read on. */
  awaitRoom(connection: Connection): void
}

export interface SessionLogsParts {
  readonly log: LogSource
  readonly out: Outlet
  /** Undefined for a socket of `wsproxy.v1`. */
  readonly readerOf: (connection: Connection) => Reader | undefined
  /** The topics of all sessions. */
  readonly topics: () => Iterable<Topic>
  /** A socket got the last message of its stream. */
  readonly ended: (connection: Connection) => void
  /** Most messages that one page has. */
  readonly pageMessages: number
  /** A larger message goes to no socket. */
  readonly maxMessageBytes: number
  readonly metrics: Metrics
  readonly logger: Logger
}

/** What `SessionLogs` keeps for a topic: a topic that has any has a member of `wsproxy.v2`. */
export const loggedOf = (topic: Topic): LoggedTopic => topic.state as LoggedTopic

/** The session id of a topic. All its members have the same. */
export const sessionOf = (topic: Topic): string => topic.members[0]!.subject

/** Bytes that a page should have: less than half of the free half of a send buffer. */
const PAGE_BYTES = 256 * 1024

/** About how many bytes a message of a page has; `before` for a page without any. */
export function bytesOf({ entries }: LogPage, before: number): number {
  if (entries.length === 0) return before
  const bytes = entries.reduce((sum, { payload }) => sum + payload.length, 0)
  return Math.ceil(bytes / entries.length)
}

/** How many messages to read at once when one has about `entryBytes`. */
export const pageSize = (entryBytes: number, pageMessages: number): number =>
  Math.max(1, Math.min(pageMessages, Math.floor(PAGE_BYTES / Math.max(1, entryBytes))))
