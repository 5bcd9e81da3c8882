/** The clients of a soak: each holds one socket at a door, and comes back when it is dropped. */
import { WebSocket } from 'ws'

/** Where a client goes next; asked before each connection. */
export interface Destination {
  url: string
  token?: string
  protocols?: string[]
}

const BACK_MS = 200
const BACK_JITTER_MS = 800
/** A frame that a client of a session sends. */
const HELLO = '{"type":"soak"}'

/** What all clients have seen. */
export class Counts {
  opened = 0
  refused = 0
  received = 0
  sent = 0
}

export class SoakClient {
  readonly #next: () => Promise<Destination>
  readonly #counts: Counts
  #socket: WebSocket | undefined
  #timer: NodeJS.Timeout | undefined
  #hasEnded = false
  /** When it was opened or last got a message. */
  #heardAt = 0

  constructor(counts: Counts, next: () => Promise<Destination>) {
    this.#counts = counts
    this.#next = next
    void this.#dial()
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** Whether it has been open for at least that long without a message. */
  isDeaf(forMs: number): boolean {
    return this.isOpen && performance.now() - this.#heardAt > forMs
  }

  say(): void {
    if (!this.isOpen) return
    this.#socket!.send(HELLO)
    this.#counts.sent++
  }

  /** Drops the socket: with a close frame, or as a machine that vanishes. */
  drop(politely: boolean): void {
    if (politely) this.#socket?.close()
    else this.#socket?.terminate()
  }

  end(): void {
    this.#hasEnded = true
    clearTimeout(this.#timer)
    this.#socket?.terminate()
  }

  async #dial(): Promise<void> {
    let to: Destination
    try {
      to = await this.#next()
    } catch {
      return this.#later() // Redis is away, so there is no token
    }
    if (this.#hasEnded) return
    const headers = to.token === undefined ? {} : { Authorization: `Bearer ${to.token}` }
    const socket = new WebSocket(to.url, to.protocols ?? [], { headers })
    this.#socket = socket
    let wasOpen = false
    socket.on('open', () => {
      wasOpen = true
      this.#counts.opened++
      this.#heardAt = performance.now()
    })
    socket.on('message', () => {
      this.#counts.received++
      this.#heardAt = performance.now()
    })
    socket.on('error', () => {}) // "close" follows
    socket.on('close', () => {
      if (!wasOpen) this.#counts.refused++
      this.#later()
    })
  }

  #later(): void {
    if (this.#hasEnded) return
    this.#timer = setTimeout(() => void this.#dial(), BACK_MS + Math.random() * BACK_JITTER_MS)
  }
}
