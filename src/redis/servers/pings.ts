import { isReply } from '../wire/errors.ts'

/** An answered PING says for this long that the server answers: the watch sends one a second. */
const KNOWN_MS = 1500

/** What PINGs use of a connection. */
interface Pinged {
  ping(): Promise<unknown>
}

/** The PINGs of one connection after another, and what they say about the server now. */
export class Pings {
  #client: Pinged | undefined
  /** When the oldest PING without an answer was sent (ms of performance.now). */
  #askedAt: number | undefined
  #answeredAt = Number.NEGATIVE_INFINITY
  #roundTripMs = 0

  /** Sends a PING. @throws the error reply, and the error of the connection. */
  async send(client: Pinged): Promise<void> {
    if (client !== this.#client) this.forget(client)
    const sentAt = performance.now()
    this.#askedAt ??= sentAt
    try {
      await client.ping()
    } catch (error) {
      if (isReply(error)) this.#answered(client, undefined)
      throw error
    }
    this.#answered(client, sentAt)
  }

  /** Forgets what the connection before this one has said. */
  forget(client: Pinged | undefined): void {
    this.#client = client
    this.#askedAt = undefined
    this.#answeredAt = Number.NEGATIVE_INFINITY
  }

  /**
   * The round trip of the last PING in ms. Undefined where that is old, took more than
   * `deadlineMs`, or where another one has waited for longer than that.
   */
  known(deadlineMs: number): number | undefined {
    const now = performance.now()
    if (now - this.#answeredAt > KNOWN_MS || this.#roundTripMs > deadlineMs) return undefined
    if (this.#askedAt !== undefined && now - this.#askedAt > deadlineMs) return undefined
    return this.#roundTripMs
  }

  /** `sentAt` undefined: the server has answered with an error. */
  #answered(client: Pinged, sentAt: number | undefined): void {
    if (client !== this.#client) return
    // Another PING may be on its way. Its wait counts from the next one on, or ends by KNOWN_MS.
    this.#askedAt = undefined
    if (sentAt === undefined) return this.forget(client)
    this.#answeredAt = performance.now()
    this.#roundTripMs = Math.round((this.#answeredAt - sentAt) * 1000) / 1000
  }
}
