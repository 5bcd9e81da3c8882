import { closes } from '../contract/codes.ts'
import { admit } from '../platform/rate.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Connection, Phase } from './connection.ts'
import type { Closer } from './end.ts'
import { clockMs } from './times.ts'

/** A socket gets at most one notice of its rate limit in this time. */
export const RATE_NOTICE_MS = 5000
/** A socket that is over its rate for this long is closed. */
const FLOOD_MS = 5000
/** A pause of this length ends a flood. */
const FLOOD_GAP_MS = 1000
/**
 * A socket that is over its rate by the frames of `FLOOD_MS`, but at least by this many, is closed
 * at once: each costs a call, and 20 sockets that send 10,000 each stopped all others for 220 ms.
 */
const FLOOD_FRAMES = 1000
/** Bytes of unusable frames count this many times at the byte rate of their socket. */
const UNUSABLE_WEIGHT = 8
/** So many of the largest unusable frames may always come at once. */
const UNUSABLE_FRAMES = 4

/**
 * Passes client frames to their door. It checks kind, size and rate, which work alike for all
 * doors.
 */
export class Receiver {
  readonly #closer: Closer
  readonly #metrics: Metrics
  readonly #flooded: (address: string, now: number) => void
  /** When the bucket of unusable bytes is full again, of the sockets that have sent any. */
  readonly #unusableFullAt = new WeakMap<Connection, number>()

  /** `flooded` is called with the address of a socket that is closed for a flood. */
  constructor(closer: Closer, metrics: Metrics, flooded: (address: string, now: number) => void) {
    this.#closer = closer
    this.#metrics = metrics
    this.#flooded = flooded
  }

  /**
   * Takes a complete message. `data` belongs to uWebSockets.js and is only valid during the call.
   */
  message(connection: Connection, data: ArrayBuffer, isBinary: boolean): void {
    if (connection.phase !== Phase.open)
      return this.#metrics.lose(connection.closing === closes.draining ? 'drain' : 'closing')
    const now = clockMs()
    connection.received(data.byteLength, now)
    this.#metrics.received.client++
    const { door } = connection
    door.stats.framesIn++
    door.stats.bytesIn += data.byteLength
    if (isBinary && !door.receiveBinary) return this.#reject(connection, 'binaryFrame')
    if (data.byteLength > (door.maxForgivenBytes ?? door.maxMessageBytes))
      return this.#reject(connection, 'messageTooBig')
    // Before the frame is parsed, so that a frame over the rate costs no more than this.
    if (!this.#withinRates(connection, data.byteLength, now)) return
    if (data.byteLength > door.maxMessageBytes) {
      this.#metrics.lose('oversize')
      return door.oversized?.(connection)
    }
    if (isBinary) return door.receiveBinary?.(connection, Buffer.from(data))
    door.receive(connection, Buffer.from(data))
  }

  /**
   * Counts a frame that the door has refused to read: not JSON, or nested too deep. Reading it has
   * cost as much as a frame that is published. A socket floods when such bytes are over an eighth
   * of its byte rate; one second of that rate may come at once.
   */
  unusable(connection: Connection, bytes: number): void {
    const { byteRate, maxMessageBytes } = connection.door
    if (byteRate === undefined || byteRate.intervalMs === 0 || connection.phase !== Phase.open) return
    const now = clockMs()
    const intervalMs = byteRate.intervalMs * UNUSABLE_WEIGHT
    const burst = Math.max(1000 / byteRate.intervalMs, maxMessageBytes * UNUSABLE_FRAMES)
    const fullAt = admit(this.#unusableFullAt.get(connection) ?? 0, now, intervalMs, burst, bytes)
    if (fullAt === undefined) return this.#endFlood(connection, now)
    this.#unusableFullAt.set(connection, fullAt)
  }

  /** The client sent a ping or a pong, which has the rate of messages, counted apart. */
  heard(connection: Connection): void {
    if (connection.phase !== Phase.open) return
    const now = clockMs()
    connection.heard(now)
    const { intervalMs, burst } = connection.door.rate
    if (intervalMs === 0) return
    const fullAt = admit(connection.controlFullAt, now, intervalMs, burst)
    if (fullAt === undefined) this.#flood(connection, now, FLOOD_FRAMES, 1)
    else connection.controlFullAt = fullAt
  }

  /**
   * Ends a socket that has been over its rate for `FLOOD_MS`, or by `maxFrames`. A ping costs far
   * more than a message that is dropped: the library writes a pong for each.
   * @param frames how many frames this one counts for.
   */
  #flood(connection: Connection, now: number, maxFrames: number, frames: number): void {
    if (now - connection.overAt > FLOOD_GAP_MS) {
      connection.overSince = now
      connection.overFrames = 0
    }
    connection.overAt = now
    connection.overFrames += frames
    if (now - connection.overSince < FLOOD_MS && connection.overFrames < maxFrames) return
    this.#endFlood(connection, now)
  }

  #endFlood(connection: Connection, now: number): void {
    this.#flooded(connection.address, now)
    this.#closer.end(connection, closes.flooding)
  }

  #reject(connection: Connection, close: 'binaryFrame' | 'messageTooBig'): void {
    this.#metrics.lose(close === 'binaryFrame' ? 'invalid' : 'oversize')
    this.#closer.end(connection, closes[close])
  }

  /** Asks both rates; an interval of 0 is no limit. Notices a frame over one of them. */
  #withinRates(connection: Connection, bytes: number, now: number): boolean {
    const { rate, byteRate } = connection.door
    if (rate.intervalMs > 0) {
      const fullAt = admit(connection.rateFullAt, now, rate.intervalMs, rate.burst)
      if (fullAt === undefined) return this.#overRate(connection, 'frame', bytes, now)
      connection.rateFullAt = fullAt
    }
    if (byteRate !== undefined && byteRate.intervalMs > 0) {
      const fullAt = admit(connection.byteRateFullAt, now, byteRate.intervalMs, byteRate.burst, bytes)
      if (fullAt === undefined) return this.#overRate(connection, 'bytes', bytes, now)
      connection.byteRateFullAt = fullAt
    }
    return true
  }

  /**
   * Counts and drops a frame that is over a rate. The bytes of `FLOOD_MS` are as much of a flood as
   * the frames of it.
   */
  #overRate(connection: Connection, what: 'frame' | 'bytes', bytes: number, now: number): false {
    connection.door.stats.overRate++
    this.#metrics.rateLimited[what]++
    this.#metrics.lose('rate_limit')
    if (now - connection.rateNoticeAt >= RATE_NOTICE_MS) {
      connection.rateNoticeAt = now
      connection.door.rateLimited(connection)
    }
    const { rate, byteRate } = connection.door
    const maxFrames = rate.intervalMs === 0 ? FLOOD_FRAMES : Math.max(FLOOD_FRAMES, FLOOD_MS / rate.intervalMs)
    // Where there is no byte rate its interval is 0.
    const share = (bytes * (byteRate?.intervalMs ?? 0)) / FLOOD_MS
    this.#flood(connection, now, maxFrames, Math.max(1, share * maxFrames))
    return false
  }
}
