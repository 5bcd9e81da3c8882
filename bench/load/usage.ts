/** How busy this very process is: the generator has to know when it is the bottleneck itself. */
import { nowUs } from './clock.ts'

export class Usage {
  #startedUs = nowUs()
  #cpu = process.cpuUsage()

  restart(): void {
    this.#startedUs = nowUs()
    this.#cpu = process.cpuUsage()
  }

  /** CPU time over wall time since the (re)start: 1 is one core, always busy. */
  share(): number {
    const { user, system } = process.cpuUsage(this.#cpu)
    return (user + system) / Math.max(1, nowUs() - this.#startedUs)
  }
}
