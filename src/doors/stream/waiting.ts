/** Hears of a session: whenever a message may have come, or when no more will be heard. */
export interface Watch {
  /** Resolves when the session was heard since the last call, or after `ms`. */
  heard(ms: number): Promise<void>
  /** Whether nothing more is heard: the gateway stops, or Redis forbids the channel. */
  readonly isOver: boolean
  end(): void
}

/** A watch and the part of it that a wire calls. */
export class Waiting implements Watch {
  isOver = false
  readonly #leave: () => void
  #wake: (() => void) | undefined
  #hasHeard = false

  constructor(leave: () => void) {
    this.#leave = leave
  }

  heard(ms: number): Promise<void> {
    if (this.#hasHeard || this.isOver) {
      this.#hasHeard = false
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms)
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        this.#hasHeard = false
        resolve()
      }
    })
  }

  /** A message has come. */
  wake(): void {
    this.#hasHeard = true
    this.#wake?.()
  }

  /** Nothing more will come. */
  close(): void {
    this.isOver = true
    this.#wake?.()
  }

  end(): void {
    this.close()
    this.#leave()
  }
}
