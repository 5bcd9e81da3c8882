import { closes } from '../contract/codes.ts'
import type { Connection } from './connection.ts'
import type { Closer } from './end.ts'
import type { OpenSockets } from './sockets.ts'

export interface DrainOptions {
  /** The closes are spread evenly over this time. */
  readonly windowMs: number
  /** Sockets that are still there after this time are cut. */
  readonly graceMs: number
  /** Cuts all that is left at once when it fires. */
  readonly cut: AbortSignal
}

const STEP_MS = 5
/** Few sockets are closed sooner than over the whole window. */
const MS_PER_SOCKET = 2
/** The first client comes back so long after the drain has begun. */
const FIRST_RETURN_MS = 1500
/** However few the clients are, they come back over this time. */
const MIN_RETURNS_MS = 1000
/** Sockets that are closed within this time get their moments in random order. */
const MIXED_MS = 1000
/** Longest pause of a client whose close came behind its moment. */
const LATE_RETURN_MS = 1000

/**
 * When each of `count` clients comes back, in ms since the drain has begun, in the order of their
 * closes. The moments lie evenly over `windowMs`, so a close that comes late, after a stall of this
 * process, moves no arrival. The pauses between close and moment differ by up to two seconds, so
 * that the clients of a program that stalls, and reads many goodbyes at once, come back apart.
 */
export function returnMoments(count: number, windowMs: number): number[] {
  const returnsMs = Math.max(windowMs, MIN_RETURNS_MS)
  const moments = Array.from({ length: count }, (_, i) => FIRST_RETURN_MS + (i / count) * returnsMs)
  const perBlock = Math.ceil((count * MIXED_MS) / returnsMs)
  for (let first = 0; first < count; first += perBlock) shuffle(moments, first, Math.min(first + perBlock, count))
  return moments
}

/**
 * The pause, in ms, that a goodbye asks of its client: until its moment. A close that comes behind
 * its moment gets a random pause, since a stall makes many of these.
 */
export const returnAfterMs = (momentMs: number, elapsedMs: number): number =>
  Math.ceil(momentMs > elapsedMs ? momentMs - elapsedMs : Math.random() * LATE_RETURN_MS)

/**
 * Closes all sockets with 1001 in random order, each after the goodbye of its door, and cuts those
 * that are left. Resolves with the number of sockets that it cut, when the last socket is gone or
 * cut.
 */
export async function drain(sockets: OpenSockets, closer: Closer, options: DrainOptions): Promise<number> {
  const { graceMs, cut } = options
  const order = shuffle([...sockets])
  const windowMs = Math.min(options.windowMs, MS_PER_SOCKET * order.length)
  const moments = returnMoments(order.length, windowMs)
  const startedAt = performance.now()
  let next = 0
  await new Promise<void>((resolve) => {
    const step = () => {
      const elapsedMs = performance.now() - startedAt
      const until = elapsedMs >= windowMs ? order.length : Math.floor((elapsedMs / windowMs) * order.length)
      for (; next < until; next++) {
        const closedMs = performance.now() - startedAt
        closer.end(order[next]!, closes.draining, returnAfterMs(moments[next]!, closedMs))
      }
      if (sockets.size > 0 && elapsedMs < graceMs && !cut.aborted) return
      clearInterval(timer)
      cut.removeEventListener('abort', step)
      resolve()
    }
    const timer = setInterval(step, STEP_MS)
    cut.addEventListener('abort', step)
    step()
  })
  const stragglers: Connection[] = [...sockets]
  for (const connection of stragglers) closer.cut(connection)
  return stragglers.length
}

/** Puts the items from `first` to before `end` into random order. */
function shuffle<T>(items: T[], first = 0, end = items.length): T[] {
  for (let i = end - 1; i > first; i--) {
    const j = first + Math.floor(Math.random() * (i + 1 - first))
    ;[items[i], items[j]] = [items[j]!, items[i]!]
  }
  return items
}
