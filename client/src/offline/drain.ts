import type { Answer, Waiting } from './store.ts'

const BATCH = 20
const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 30_000

/** What the one tab that publishes is doing. */
export type DrainState =
  /** Nothing waits. */
  | { readonly name: 'idle' }
  | { readonly name: 'sending' }
  /** The gateway could not be reached, or asked to wait. The next attempt comes after `ms`. */
  | { readonly name: 'waiting'; readonly ms: number }

export interface DrainParts {
  next(count: number): Promise<Waiting[]>
  publish(waiting: readonly Waiting[]): Promise<readonly Answer[]>
  /** Returns whether some must be sent again. */
  settle(sent: readonly Waiting[], answers: readonly Answer[]): Promise<boolean>
  state(state: DrainState): void
}

/** Publishes what waits, oldest first, until it is stopped. */
export class Drain {
  readonly #parts: DrainParts
  #isStopped = false
  /** Something happened since the last look. */
  #isNudged = false
  #isWaiting = false
  #failures = 0
  #wake: (() => void) | undefined

  constructor(parts: DrainParts) {
    this.#parts = parts
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      this.#isNudged = false
      const isAgain = await this.#once().catch(() => true)
      if (isAgain) await this.#pause()
    }
  }

  /** Something more waits. A pause goes on. */
  nudge(): void {
    this.#isNudged = true
    if (!this.#isWaiting) this.#wake?.()
  }

  /** The network or the credentials are back: a pause ends. */
  retry(): void {
    this.#failures = 0
    this.#isNudged = true
    this.#wake?.()
  }

  stop(): void {
    this.#isStopped = true
    this.#wake?.()
  }

  async #once(): Promise<boolean> {
    const { next, publish, settle, state } = this.#parts
    const waiting = await next(BATCH)
    if (waiting.length === 0) {
      state({ name: 'idle' })
      if (!this.#isNudged && !this.#isStopped) await new Promise<void>((resolve) => (this.#wake = resolve))
      return false
    }
    state({ name: 'sending' })
    const isAgain = await settle(waiting, await publish(waiting))
    if (!isAgain) this.#failures = 0
    return isAgain
  }

  /** 1, 2, 4 .. 30 s, each less up to a half at random. */
  async #pause(): Promise<void> {
    if (this.#isStopped) return
    const most = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures++)
    const ms = Math.round(most * (1 - Math.random() / 2))
    this.#isWaiting = true
    this.#parts.state({ name: 'waiting', ms })
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      setTimeout(resolve, ms)
    })
    this.#isWaiting = false
  }
}
