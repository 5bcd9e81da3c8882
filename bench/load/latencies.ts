/** The latencies of messages. */
import { createHistogram } from 'node:perf_hooks'

const LONGEST_US = 120_000_000
/**
 * The clocks of two processes agree to about a microsecond; times are stamped in whole
 * microseconds.
 */
const CLOCK_US = 100

/** Latencies in milliseconds. */
export interface Latency {
  p50: number
  p99: number
  p999: number
  max: number
}

export class Latencies {
  readonly #us = createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 })

  #early = 0

  record(us: number): void {
    if (us < -CLOCK_US) this.#early++
    this.#us.record(Math.max(1, Math.round(us)))
  }

  reset(): void {
    this.#us.reset()
    this.#early = 0
  }

  /** Throws when a message arrived before it was sent: then all figures are wrong. */
  inMs(): Latency {
    if (this.#early > 0)
      throw new Error(`${this.#early} messages arrived before they were sent: the clocks do not agree`)
    const at = (percentile: number) => this.#us.percentile(percentile) / 1000
    return { p50: at(50), p99: at(99), p999: at(99.9), max: this.#us.max / 1000 }
  }
}
