/** Time until channels are subscribed again that Redis refused for a moment, in ms. */
const RETRY_MS = 200

/** Channels that Redis refused for a moment: it is busy, or loads its data. */
export class PostponedChannels {
  readonly #channels = new Set<string>()
  readonly #again: (channel: string) => void
  #timer: NodeJS.Timeout | undefined

  /** @param again is called with each channel when its time has come. */
  constructor(again: (channel: string) => void) {
    this.#again = again
  }

  add(channel: string): void {
    this.#channels.add(channel)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const channels = [...this.#channels]
      this.#channels.clear()
      for (const each of channels) this.#again(each)
    }, RETRY_MS).unref()
  }
}
