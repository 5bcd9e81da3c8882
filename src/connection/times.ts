import type { Close } from '../contract/codes.ts'

/**
 * Whole milliseconds of the monotonic clock. V8 would allocate an object for each fractional time
 * of each socket.
 */
export const clockMs = (): number => Math.floor(performance.now())

/** Closes a socket after `afterMs` without a message in either direction. */
export interface IdleTimeout {
  readonly afterMs: number
  readonly close: Close
}

/**
 * A ping that the door sends as a frame. Its client answers with a frame, which shows that the page
 * is alive: the browser answers WebSocket pings even when the page hangs.
 */
export interface Heartbeat {
  readonly intervalMs: number
  /** The socket is closed after this time without a client frame. */
  readonly timeoutMs: number
  readonly frame: Buffer
}
