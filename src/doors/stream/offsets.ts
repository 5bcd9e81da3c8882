/**
 * Offsets, cursors and ETags of the Durable Streams protocol. An offset is the epoch of the log and
 * 16 digits: an epoch begins with its creation time, so offsets sort as text for as long as the URL
 * of a stream lives.
 */

const DIGITS = 16
/** As many digits as any number of a message has, behind zeros. */
const OFFSET = /^([0-9a-z]{1,32})(0\d{15})$/

/** Where a reader wants to begin. */
export type StreamPosition = 'start' | 'now' | { readonly epoch: string; readonly offset: number }

export const offsetText = (epoch: string, offset: number): string => epoch + String(offset).padStart(DIGITS, '0')

/** Returns undefined for a text that is no offset. */
export function parseOffset(text: string): StreamPosition | undefined {
  if (text === '-1') return 'start'
  if (text === 'now') return 'now'
  const [, epoch, digits] = OFFSET.exec(text) ?? []
  return epoch === undefined ? undefined : { epoch, offset: Number(digits) }
}

/** The tag changes with what was read, and when the stream closes behind it. */
export const etagOf = (from: string, next: string, closed: boolean): string => `"${from}:${next}${closed ? ':c' : ''}"`

/** A cache in front may serve one answer to all pollers of one interval. */
const INTERVAL_MS = 20_000
/** 9 October 2024, with which the protocol begins to count. */
const BEGIN_MS = 1_728_432_000_000
/** A reader that polls twice in one interval is moved on by up to an hour. */
const MAX_JITTER = 180

const CURSOR = /^\d{1,15}$/

/**
 * The cursor of an answer to a live read: the number of this interval. It never goes back behind
 * the one that the reader has sent.
 */
export function cursorAfter(given: string, now: number, random = Math.random): string {
  const current = Math.floor((now - BEGIN_MS) / INTERVAL_MS)
  const before = CURSOR.test(given) ? Number(given) : -1
  return String(before < current ? current : before + 1 + Math.floor(random() * MAX_JITTER))
}
