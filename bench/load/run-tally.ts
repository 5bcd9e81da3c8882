/** What has arrived at the sockets of runs: frames, how late, and for each change when its last socket had it. */
import { createHistogram } from 'node:perf_hooks'
import { readChangeUs } from './runs.ts'
import type { Counter, Latency } from './tally.ts'

const LONGEST_US = 120_000_000

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
  readonly #latencyUs = histogram()
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
    this.#latencyUs.record(Math.max(1, Math.round(arrivedUs - changeUs)))
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
    this.#latencyUs.reset()
    this.#changes.clear()
    this.delivered = 0
    this.outOfOrder = 0
    this.foreign = 0
  }

  latencyMs(): Latency {
    return latencyOf(this.#latencyUs)
  }

  /** How long a change took to its last socket. */
  lastSocketMs(): Latency {
    const lastUs = histogram()
    for (const [changeUs, spread] of this.#changes) lastUs.record(Math.max(1, Math.round(spread.lastUs - changeUs)))
    return latencyOf(lastUs)
  }
}

const histogram = () => createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 })

function latencyOf(us: ReturnType<typeof histogram>): Latency {
  const at = (percentile: number) => us.percentile(percentile) / 1000
  return { p50: at(50), p99: at(99), p999: at(99.9), max: us.max / 1000 }
}
