/** How long this process was away though it was due: stopped, or without a core. It has counted that as latency of the subject. */
import { nowUs } from './clock.ts'

/** Less is what every timer and every scheduler does. */
const LEAST_US = 20_000

export class Absence {
  readonly #startedUs = nowUs()
  #lastUs = this.#startedUs
  #cpu = process.cpuUsage()
  #awayUs = 0

  /** To be called every few milliseconds: what has passed since, and was not work of this process, was absence. */
  look(): void {
    const now = nowUs()
    const { user, system } = process.cpuUsage(this.#cpu)
    const awayUs = now - this.#lastUs - user - system
    if (awayUs > LEAST_US) this.#awayUs += awayUs
    this.#lastUs = now
    this.#cpu = process.cpuUsage()
  }

  /** The part of the time since it was made. */
  share(): number {
    return this.#awayUs / Math.max(1, nowUs() - this.#startedUs)
  }
}
