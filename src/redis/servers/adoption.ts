import type { RedisFeed } from '../pubsub/feed.ts'

export interface AdoptionParts {
  readonly feed: () => RedisFeed
  /** Whether there is a connection to subscribe on. */
  readonly connected: () => boolean
  /** The last channel has been confirmed or left, or the connection is lost. */
  readonly done: () => void
}

/** Time between two tries of one channel: doubled from the first to the second. */
const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 1000

/**
 * Channels that a server has to subscribe now and has not confirmed yet: those of another server,
 * and those that it refused for a moment. Tries each until it is confirmed. When the connection is
 * lost meanwhile, the next one subscribes them.
 */
export class Adoption {
  readonly #parts: AdoptionParts
  readonly #channels = new Set<string>()

  constructor(parts: AdoptionParts) {
    this.#parts = parts
  }

  /** Some channels are not confirmed yet. */
  get pending(): boolean {
    return this.#channels.size > 0
  }

  has(channel: string): boolean {
    return this.#channels.has(channel)
  }

  add(channel: string): void {
    this.#parts.feed().want(channel)
    if (!this.#channels.has(channel)) void this.#adopt(channel)
  }

  async #adopt(channel: string): Promise<void> {
    const { feed, connected, done } = this.#parts
    this.#channels.add(channel)
    let pauseMs = FIRST_RETRY_MS
    while (connected() && feed().isWanted(channel)) {
      const confirmed = await feed()
        .subscribe(channel)
        .then(
          () => true,
          () => false,
        )
      if (confirmed) break
      // A server may not know yet that it owns the slot, or is busy.
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      pauseMs = Math.min(MAX_RETRY_MS, 2 * pauseMs)
    }
    this.#channels.delete(channel)
    if (this.#channels.size === 0) done()
  }
}
