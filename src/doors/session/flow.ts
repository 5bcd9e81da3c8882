import type { BackpressureLevel, Connection } from '../../connection/connection.ts'

/** Where the signal is kept and told, as this file needs it. All of it rejects when Redis is not there. */
export interface FlowSink {
  /** Keeps `state` at the session's flow key for `ttlMs`, whoever has written there before. */
  keep(sessionId: string, state: string, ttlMs: number): Promise<void>
  /** The same if the key still holds `before`, or is gone; what somebody else has written since stays. False: it was gone. */
  renew(sessionId: string, before: string, state: string, ttlMs: number): Promise<boolean>
  /** Removes the key if it still holds `state`; false: somebody else has written since. */
  forget(sessionId: string, state: string): Promise<boolean>
  /** Tells `state` on the session's control channel. */
  tell(sessionId: string, state: string): Promise<void>
}

interface Slow {
  readonly since: string
  readonly sockets: Set<Connection>
  /** As it was last written. */
  kept: string
}

/** The key lives so long; it is renewed at a third of that while the session is slow, so that a gateway that dies leaves no lie behind. */
const TTL_MS = 6000
const OK = JSON.stringify({ state: 'ok' })

/**
 * Tells agents that a client of theirs does not keep up, before it is cut: while a socket of a session is past half of its send buffer,
 * `session:<id>:flow` says so, and each change is published on `session:<id>:ctl`.
 */
export class FlowSignal {
  readonly #sink: FlowSink
  readonly #slow = new Map<string, Slow>()
  /** Sessions whose last change could not be told. */
  readonly #untold = new Set<string>()
  readonly #under = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout

  constructor(sink: FlowSink) {
    this.#sink = sink
    this.#timer = setInterval(() => this.#renew(), TTL_MS / 3)
  }

  /** The level of backpressure of a socket has changed. */
  onBackpressure(connection: Connection, level: BackpressureLevel): void {
    const { subject } = connection
    const session = this.#slow.get(subject)
    if (level === 'high') {
      if (session) session.sockets.add(connection)
      else {
        this.#slow.set(subject, { since: new Date().toISOString(), sockets: new Set([connection]), kept: '' })
        this.#do(subject, () => this.#begin(subject))
      }
    } else if (session?.sockets.delete(connection) && session.sockets.size === 0) {
      this.#slow.delete(subject)
      this.#do(subject, () => this.#end(subject, session.kept))
    }
  }

  /** Redis is back: what could not be told meanwhile is told as it is now. */
  again(): void {
    for (const subject of this.#untold) {
      this.#untold.delete(subject)
      this.#do(subject, () => (this.#slow.has(subject) ? this.#begin(subject) : this.#sink.tell(subject, OK)))
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under)
  }

  async #begin(subject: string): Promise<void> {
    const slow = this.#slow.get(subject)
    if (!slow) return
    slow.kept = stateOf(slow)
    await this.#sink.keep(subject, slow.kept, TTL_MS)
    await this.#sink.tell(subject, stateOf(slow))
  }

  /** Another gateway may have a slow socket of the session too: then it is its key, and not for us to say that all is well. */
  async #end(subject: string, kept: string): Promise<void> {
    if (await this.#sink.forget(subject, kept)) await this.#sink.tell(subject, OK)
  }

  #renew(): void {
    for (const [subject, slow] of this.#slow) {
      this.#do(subject, async () => {
        const before = slow.kept
        slow.kept = stateOf(slow)
        // Gone: another gateway took it for its own, and said that all is well.
        if (!(await this.#sink.renew(subject, before, slow.kept, TTL_MS))) await this.#sink.tell(subject, slow.kept)
      })
    }
  }

  #do(subject: string, work: () => Promise<void>): void {
    const done: Promise<void> = work()
      .catch(() => void this.#untold.add(subject))
      .finally(() => this.#under.delete(done))
    this.#under.add(done)
  }
}

/** `buffered`: unsent bytes of the slowest socket. */
function stateOf({ since, sockets }: Slow): string {
  const buffered = Math.max(...Array.from(sockets, (socket) => socket.buffered))
  return JSON.stringify({ state: 'slow', buffered, since })
}
