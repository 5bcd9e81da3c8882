/**
 * What has reached the sockets of runs: frames, their latency, and when each change reached its
 * last socket.
 */

import { Latencies, type Latency } from './latencies.ts'
import { readChangeUs } from './runs.ts'
import type { Counter } from './tally.ts'

interface Spread {
  frames: number
  lastUs: number
}

export class RunTally implements Counter {
  /** Frames that show a change of the bench. */
  delivered = 0
  /** Frames that are not newer than the frame before them on their socket. */
  outOfOrder = 0
  /** Frames of another kind, such as a ping. */
  foreign = 0
  lastArrivalUs = 0
  readonly #latencies = new Latencies()
  /**
   * By the time of the change. Two changes at the same time belong to different runs and count as
   * one.
   */
  readonly #changes = new Map<number, Spread>()

  /**
   * Counts one frame. Returns the time that it shows, which the next frame on this socket must
   * pass.
   */
  count(bytes: Uint8Array, start: number, length: number, before: number, arrivedUs: number): number {
    const changeUs = readChangeUs(bytes, start, length)
    if (changeUs === undefined) {
      this.foreign++
      return before
    }
    if (changeUs === 0) return before
    if (changeUs <= before) this.outOfOrder++
    this.delivered++
    this.lastArrivalUs = arrivedUs
    this.#latencies.record(arrivedUs - changeUs)
    const spread = this.#changes.get(changeUs)
    if (spread === undefined) this.#changes.set(changeUs, { frames: 1, lastUs: arrivedUs })
    else {
      spread.frames++
      spread.lastUs = arrivedUs
    }
    return changeUs
  }

  /** Resets all but the position of each socket. */
  restart(): void {
    this.#latencies.reset()
    this.#changes.clear()
    this.delivered = 0
    this.outOfOrder = 0
    this.foreign = 0
  }

  latencyMs(): Latency {
    return this.#latencies.inMs()
  }

  /** How long a change took to reach its last socket. */
  lastSocketMs(): Latency {
    const last = new Latencies()
    for (const [changeUs, spread] of this.#changes) last.record(spread.lastUs - changeUs)
    return last.inMs()
  }
}
