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
const FIRST_RETURN_MS = 1000
/** However few the clients are, they come back over this time. */
const MIN_RETURNS_MS = 1000

/**
 * The pause, in ms, that the goodbye of socket `index` of `count` asks of its client. The drain
 * gives each socket a moment of its own to come back at, and the moments lie evenly over
 * `windowMs`. So a close that comes late, after a stall of this process, moves no arrival. A close
 * that comes behind its own moment gets a random pause, since a stall makes many of these.
 */
export function returnAfterMs(index: number, count: number, windowMs: number, elapsedMs: number): number {
  const at = FIRST_RETURN_MS + (index / count) * Math.max(windowMs, MIN_RETURNS_MS)
  return Math.ceil(at > elapsedMs ? at - elapsedMs : Math.random() * FIRST_RETURN_MS)
}

/**
 * Closes all sockets with 1001 in random order, each after the goodbye of its door, and cuts those
 * that are left. Resolves with the number of sockets that it cut, when the last socket is gone or
 * cut.
 */
export async function drain(sockets: OpenSockets, closer: Closer, options: DrainOptions): Promise<number> {
  const { graceMs, cut } = options
  const order = shuffle([...sockets])
  const windowMs = Math.min(options.windowMs, MS_PER_SOCKET * order.length)
  const startedAt = performance.now()
  let next = 0
  await new Promise<void>((resolve) => {
    const step = () => {
      const elapsedMs = performance.now() - startedAt
      const until = elapsedMs >= windowMs ? order.length : Math.floor((elapsedMs / windowMs) * order.length)
      for (; next < until; next++) {
        const closedMs = performance.now() - startedAt
        closer.end(order[next]!, closes.draining, returnAfterMs(next, order.length, windowMs, closedMs))
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

function shuffle<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[items[i], items[j]] = [items[j]!, items[i]!]
  }
  return items
}
