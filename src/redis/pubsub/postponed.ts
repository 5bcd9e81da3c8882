/** Channels that Redis has refused, until they are tried again together. */
export class PostponedChannels {
  readonly #channels = new Set<string>()
  readonly #pauseMs: number
  readonly #again: (channel: string) => void
  #timer: NodeJS.Timeout | undefined

  /** @param again is called with each channel after `pauseMs`. */
  constructor(pauseMs: number, again: (channel: string) => void) {
    this.#pauseMs = pauseMs
    this.#again = again
  }

  add(channel: string): void {
    this.#channels.add(channel)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const channels = [...this.#channels]
      this.#channels.clear()
      for (const each of channels) this.#again(each)
    }, this.#pauseMs).unref()
  }
}
