/** What a client of `wsproxy.v2` on the command line has seen of its session. */
export class NumberedClient {
  #epoch: string | undefined
  #offset = 0

  /** The address of the next attempt: behind the newest message that has come. */
  urlFrom(url: URL): URL {
    if (this.#epoch === undefined) return url
    const next = new URL(url)
    next.searchParams.set('cursor', `${this.#epoch}.${this.#offset}`)
    next.searchParams.set('else', 'oldest')
    return next
  }

  /** Splits a frame: `message` is the agent's, `note` the gateway's own. */
  read(frame: string): { readonly message: string } | { readonly note: string } {
    if (frame.startsWith('{')) {
      this.#learn(JSON.parse(frame))
      return { note: frame }
    }
    const space = frame.indexOf(' ')
    const number = frame.slice(0, space)
    if (number !== '-') this.#offset = Number(number)
    return { message: frame.slice(space + 1) }
  }

  #learn({ command, epoch, offset, to }: { command?: string; epoch?: string; offset?: number; to?: number }): void {
    if (command === 'position') {
      this.#epoch = epoch
      this.#offset = offset ?? 0
    } else if (command === 'gap' && typeof to === 'number') this.#offset = to
  }
}
