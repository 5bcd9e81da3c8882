import type { ResumeReason } from '../contract/reasons.ts'
import type { LogState } from '../redis/session-log.ts'
import type { Cursor } from './numbers.ts'

/** Where a socket starts in a log. */
export interface Start {
  /** The first message that the socket gets is behind this offset. */
  readonly offset: number
  /** Whether the client misses nothing. Undefined: it brought no cursor of its own. */
  readonly recovered: boolean | undefined
  readonly reason?: ResumeReason
}

/** What a client asks for in its query. */
export interface Resume {
  readonly cursor: Cursor | undefined
  /** Where it starts when its cursor cannot be used: at the oldest message, or now. */
  readonly otherwise: 'oldest' | 'now'
}

/** Decides where a socket starts. It never starts within a range of which a part is missing. */
export function startOf(log: LogState, { cursor, otherwise }: Resume): Start {
  // What is before a snapshot is superseded.
  const first = Math.max(0, log.oldest - 1)
  const lost = (reason: ResumeReason): Start => ({
    offset: otherwise === 'oldest' ? first : log.newest,
    recovered: false,
    reason,
  })
  if (cursor === undefined) return { offset: log.newest, recovered: undefined }
  if (cursor === 'start') return { offset: first, recovered: undefined }
  if (log.epoch === undefined) return lost('window')
  if (cursor.epoch !== log.epoch) return lost(cursor.epoch < log.epoch ? 'epoch' : 'unknown')
  if (log.newest === 0) return cursor.offset === 0 ? { offset: 0, recovered: true } : lost('expired')
  if (cursor.offset > log.newest) return lost('future')
  if (cursor.offset >= first) return { offset: cursor.offset, recovered: true }
  return log.snapshot === log.oldest ? { offset: first, recovered: true } : lost('trimmed')
}

/**
 * Returns the newest offset that the client has, when the messages between it and the start are
 * gone: they are to be said in a gap. Undefined: nothing is missing, or it cannot be counted.
 */
export function seenOf({ offset, reason }: Start, { cursor }: Resume, log: LogState): number | undefined {
  if (reason === undefined || cursor === undefined || cursor === 'start' || cursor.epoch !== log.epoch) return undefined
  return cursor.offset < offset ? cursor.offset : undefined
}
