/**
 * How busy this process is, and how long it was absent: the generator must know when it is the
 * bottleneck itself.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { nowUs } from './clock.ts'

const LOOK_MS = 2
/** Timers and schedulers cause shorter absences all the time. */
const LEAST_AWAY_US = 20_000
/** Shorter collections do not stand out from other work. */
const LEAST_GC_MS = 2

export interface Used {
  /** CPU time over wall time: 1 is one core, always busy. */
  generatorShare: number
  /**
   * The share of the time in which this process was due but did not run: stopped, without a core,
   * or collecting garbage. It has counted that time as latency of the subject.
   */
  awayShare: number
}

/** Watches this process from its first use on. */
class Absence {
  awayUs = 0
  #lastUs = nowUs()
  #cpu = process.cpuUsage()

  constructor() {
    setInterval(() => this.look(), LOOK_MS).unref()
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) if (duration >= LEAST_GC_MS) this.awayUs += duration * 1000
    }).observe({ entryTypes: ['gc'] })
  }

  /** Time that passed since the last look without work of this process is absence. */
  look(): void {
    const us = nowUs()
    const { user, system } = process.cpuUsage(this.#cpu)
    const awayUs = us - this.#lastUs - user - system
    if (awayUs > LEAST_AWAY_US) this.awayUs += awayUs
    this.#lastUs = us
    this.#cpu = process.cpuUsage()
  }
}

let absence: Absence | undefined

/** Collects garbage now, and not during the measurement; does nothing without --expose-gc. */
export const collectGarbage = (): void => globalThis.gc?.()

export class Usage {
  #startedUs = 0
  #cpu = process.cpuUsage()
  #awayUs = 0

  constructor() {
    absence ??= new Absence()
    this.restart()
  }

  restart(): void {
    absence!.look()
    this.#startedUs = nowUs()
    this.#cpu = process.cpuUsage()
    this.#awayUs = absence!.awayUs
  }

  /** Since the last restart. */
  used(): Used {
    absence!.look()
    const us = Math.max(1, nowUs() - this.#startedUs)
    const { user, system } = process.cpuUsage(this.#cpu)
    return { generatorShare: (user + system) / us, awayShare: (absence!.awayUs - this.#awayUs) / us }
  }
}
