/** How late messages were. */
import { createHistogram } from 'node:perf_hooks'

const LONGEST_US = 120_000_000

/** Latencies in milliseconds. */
export interface Latency {
  p50: number
  p99: number
  p999: number
  max: number
}

export class Latencies {
  readonly #us = createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 })

  record(us: number): void {
    this.#us.record(Math.max(1, Math.round(us)))
  }

  reset(): void {
    this.#us.reset()
  }

  inMs(): Latency {
    const at = (percentile: number) => this.#us.percentile(percentile) / 1000
    return { p50: at(50), p99: at(99), p999: at(99.9), max: this.#us.max / 1000 }
  }
}
