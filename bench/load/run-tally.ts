/** What has arrived at the sockets of runs: frames, how late, and for each change when its last socket had it. */

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
  /** Frames that are older than one before them on their socket, or the same once more. */
  outOfOrder = 0
  /** Frames that are not of a run: a ping, say. */
  foreign = 0
  lastArrivalUs = 0
  readonly #latencies = new Latencies()
  /** By the moment of the change; two changes of one moment are of different runs and count as one. */
  readonly #changes = new Map<number, Spread>()

  /** Counts one frame and returns the moment that it shows, which the next one on this socket has to pass. */
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

  /** Forgets all but where each socket is. */
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

  /** How long a change took to its last socket. */
  lastSocketMs(): Latency {
    const last = new Latencies()
    for (const [changeUs, spread] of this.#changes) last.record(spread.lastUs - changeUs)
    return last.inMs()
  }
}
