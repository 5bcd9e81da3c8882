import { admit, type Rate } from '../platform/rate.ts'
import { clockMs } from './times.ts'

const KIB = 1024
/**
 * A smaller frame is sent as it is: it fits into one packet either way, and compressing it adds
 * more than a third to the CPU of its delivery.
 */
export const MIN_COMPRESSED_BYTES = 250
/** A larger frame is sent as it is: compressing this much holds the event loop for 2 ms. */
export const MAX_COMPRESSED_BYTES = 128 * KIB
/** Setting up the compression of a frame takes as long as the compression of this much. */
const FRAME_BYTES = 6 * KIB
/** Bytes that all sockets of a door compress in a second, and at once: a fifth of a core, 25 ms. */
export const COMPRESSED_BYTES_PER_SECOND = 16 * KIB * KIB
export const COMPRESSED_BURST_BYTES = 2 * KIB * KIB
const RATE: Rate = { intervalMs: 1000 / COMPRESSED_BYTES_PER_SECOND, burst: COMPRESSED_BURST_BYTES }

/**
 * Bounds the time that a door spends on compression. uWebSockets.js compresses a frame again for
 * each socket: one of 900 KB for 100 sockets stops the event loop for more than a second. RFC 7692
 * lets a server send any message without compression, so a frame that is over the bound is sent so.
 */
export class Compression {
  #fullAt = 0

  /** Whether a frame of this many bytes may be compressed now, for one socket. Counts it if so. */
  takes(bytes: number): boolean {
    if (bytes < MIN_COMPRESSED_BYTES || bytes > MAX_COMPRESSED_BYTES) return false
    const next = admit(this.#fullAt, clockMs(), RATE.intervalMs, RATE.burst, bytes + FRAME_BYTES)
    if (next === undefined) return false
    this.#fullAt = next
    return true
  }
}
