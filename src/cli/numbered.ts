import { split } from '../../client/src/frames.ts'
import { reasonOf } from '../platform/reason.ts'

interface Control {
  readonly command?: string
  readonly epoch?: string
  readonly offset?: number
  readonly to?: number
  readonly ticket?: string
  readonly expires_in_ms?: number
}

/** What a client of `wsproxy.v2` on the command line has seen of its session. */
export class NumberedClient {
  #epoch: string | undefined
  #offset = 0
  #ticket: string | undefined
  #ticketUntil = 0

  /** The address of the next attempt: behind the newest message that has come. */
  urlFrom(url: URL): URL {
    if (this.#epoch === undefined) return url
    const next = new URL(url)
    next.searchParams.set('cursor', `${this.#epoch}.${this.#offset}`)
    next.searchParams.set('else', 'oldest')
    return next
  }

  /** Returns the newest resume ticket if it is still valid at `now`, by a monotonic clock in ms. */
  ticketAt(now: number): string | undefined {
    return now < this.#ticketUntil ? this.#ticket : undefined
  }

  forgetTicket(): void {
    this.#ticket = undefined
  }

  /**
   * Splits a frame: `message` is the agent's, `note` the gateway's own. A ticket is neither, since
   * it is a secret.
   */
  read(frame: string): { readonly message?: string; readonly note?: string } {
    if (frame.startsWith('{')) {
      const control: Control = JSON.parse(frame)
      this.#learn(control)
      return control.command === 'ticket' ? {} : { note: frame }
    }
    try {
      const [offset, message] = split(frame)
      if (offset !== undefined) this.#offset = offset
      return { message }
    } catch (error) {
      return { note: `${reasonOf(error)}: ${frame}` }
    }
  }

  #learn({ command, epoch, offset, to, ticket, expires_in_ms: expiresInMs = 0 }: Control): void {
    if (command === 'position') {
      this.#epoch = epoch
      this.#offset = offset ?? 0
    } else if (command === 'gap' && typeof to === 'number') this.#offset = to
    else if (command === 'ticket') {
      this.#ticket = ticket
      this.#ticketUntil = performance.now() + expiresInMs
    }
  }
}
