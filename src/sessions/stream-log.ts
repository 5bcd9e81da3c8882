import type { LogPage, LogState } from '../redis/session-log.ts'
import type { StreamLife } from '../redis/streams.ts'

export { LogUnusable } from '../redis/session-log.ts'
export type { Producer, StreamAnswer, StreamWord, StreamWrite } from '../redis/streams.ts'

/** A session as a stream, as of one moment. */
export interface DurableState extends Omit<LogState, 'closedAt'>, StreamLife {
  readonly epoch: string
}

export interface StreamLogParts {
  readonly log: {
    state(sessionId: string): Promise<LogState>
    page(sessionId: string, after: number, count: number): Promise<LogPage>
  }
  readonly life: (sessionId: string) => Promise<StreamLife>
}

/** A part of a stream, in order and without a hole. */
export interface StreamPart {
  readonly payloads: readonly Buffer[]
  /** The offset of its last message; that of the reader when it has none. */
  readonly end: number
  /** Whether nothing followed it when it was read. */
  readonly isLast: boolean
  readonly closed: boolean
}

/** Bytes and messages that one answer has, about. */
const PART_BYTES = 1024 * 1024
const PART_MESSAGES = 1000

/** Reads the logs of sessions as streams. */
export class StreamLog {
  readonly #parts: StreamLogParts

  constructor(parts: StreamLogParts) {
    this.#parts = parts
  }

  /** Resolves with undefined for no such stream. @throws RedisUnavailable; LogUnusable. */
  async state(sessionId: string): Promise<DurableState | undefined> {
    const [state, life] = await Promise.all([this.#parts.log.state(sessionId), this.#parts.life(sessionId)])
    const { closedAt: _, epoch, ...rest } = state
    return epoch === undefined ? undefined : { ...rest, ...life, epoch }
  }

  /**
   * Reads what follows `from`. Resolves with undefined when a part of it is gone, or the log is
   * another one. @throws as `state`.
   */
  async part(sessionId: string, { epoch, entryBytes }: DurableState, from: number): Promise<StreamPart | undefined> {
    const count = Math.max(1, Math.min(PART_MESSAGES, Math.floor(PART_BYTES / Math.max(1, entryBytes))))
    const [page, life] = await Promise.all([this.#parts.log.page(sessionId, from, count), this.#parts.life(sessionId)])
    if (page.epoch !== epoch) return undefined
    let end = from
    for (const { offset } of page.entries) {
      if (offset !== end + 1 && offset !== page.snapshot) return undefined
      end = offset
    }
    if (page.end > end) return undefined
    const payloads = page.entries.map(({ payload }) => payload)
    return { payloads, end, isLast: page.isLast, closed: page.isLast && life.closedAt === end }
  }
}

/**
 * Returns the offset behind which a reader begins; undefined when what it has read up to is gone,
 * or was never in this log.
 */
export function beginOf(
  { epoch, newest, oldest, snapshot }: DurableState,
  position: 'start' | 'now' | { readonly epoch: string; readonly offset: number },
): number | undefined {
  const first = Math.max(0, oldest - 1)
  if (position === 'start') return first
  if (position === 'now') return newest
  if (position.epoch !== epoch || position.offset > newest) return undefined
  if (position.offset >= first) return position.offset
  return snapshot === oldest ? first : undefined
}
