import { mock } from 'node:test'

interface Timer {
  readonly at: number
  readonly work: () => void
}

/** One real turn of the event loop: microtasks, input and output. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Replaces `setTimeout`, `clearTimeout` and `performance.now()` of this process until `restore`, so
 * that time passes only when the test says so. It suits code of timers and promises: sockets and
 * `eventually` do not work meanwhile.
 */
export class VirtualClock {
  now = 0
  readonly #timers = new Set<Timer>()
  readonly #mocks = [
    mock.method(performance, 'now', () => this.now),
    mock.method(globalThis, 'setTimeout', ((work: () => void, ms = 0) => {
      const timer = { at: this.now + ms, work }
      this.#timers.add(timer)
      return timer
    }) as unknown as typeof setTimeout),
    mock.method(globalThis, 'clearTimeout', ((timer: unknown) => {
      this.#timers.delete(timer as Timer)
    }) as typeof clearTimeout),
  ]

  /** The number of pending timers. */
  get timers(): number {
    return this.#timers.size
  }

  /** Runs everything that needs no time. */
  async settle(): Promise<void> {
    await turn()
  }

  /** Lets `ms` pass: runs each due timer at its time, and what follows from it before the next. */
  async pass(ms: number): Promise<void> {
    await turn()
    const until = this.now + ms
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#timers.delete(next)
      this.now = Math.max(this.now, next.at)
      next.work()
      await turn()
    }
    this.now = until
  }

  restore(): void {
    for (const each of this.#mocks) each.mock.restore()
  }

  #next(until: number): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) if (timer.at <= until && (!first || timer.at < first.at)) first = timer
    return first
  }
}
