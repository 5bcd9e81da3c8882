import type { Connection } from '../../connection/connection.ts'
import type { BackpressureLevel } from '../../connection/wire.ts'

/** Writes the signal to Redis. Each method rejects while Redis is away. */
export interface FlowSink {
  /** Sets the flow key of the session to `state` for `ttlMs`, over any value that is there. */
  keep(sessionId: string, state: string, ttlMs: number): Promise<void>
  /**
   * The same, but only if the key still holds `before` or is gone, so that the value of another
   * gateway stays. Resolves with false when the key was gone.
   */
  renew(sessionId: string, before: string, state: string, ttlMs: number): Promise<boolean>
  /**
   * Deletes the key if it still holds `state`. Resolves with false when another gateway has written
   * it since.
   */
  forget(sessionId: string, state: string): Promise<boolean>
  /** Publishes `state` on the control channel of the session. */
  publish(sessionId: string, state: string): Promise<void>
}

interface Slow {
  readonly since: string
  readonly sockets: Set<Connection>
  /** The value that was last written to the key. */
  kept: string
}

/**
 * Lifetime of the key. It is renewed at a third of that while the session is slow, so the key of a
 * gateway that died expires soon.
 */
const TTL_MS = 6000
const OK = JSON.stringify({ state: 'ok' })

/**
 * Signals to agents that a client does not keep up, before that client is cut. While a socket of a
 * session is past half of its send buffer, the key `session:<id>:flow` says so. Each change is
 * published on `session:<id>:ctl`.
 */
export class FlowSignal {
  readonly #sink: FlowSink
  readonly #slow = new Map<string, Slow>()
  /** Sessions whose last change could not be written to Redis. */
  readonly #unwritten = new Set<string>()
  /** Writes that Redis has not answered yet. */
  readonly #inFlight = new Set<Promise<void>>()
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

  /** Redis is ready again: writes the current state of each session whose last change was lost. */
  retry(): void {
    for (const subject of this.#unwritten) {
      this.#unwritten.delete(subject)
      this.#do(subject, () => (this.#slow.has(subject) ? this.#begin(subject) : this.#sink.publish(subject, OK)))
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Resolves when no write is in flight. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.all(this.#inFlight)
  }

  async #begin(subject: string): Promise<void> {
    const slow = this.#slow.get(subject)
    if (!slow) return
    slow.kept = stateOf(slow)
    await this.#sink.keep(subject, slow.kept, TTL_MS)
    await this.#sink.publish(subject, stateOf(slow))
  }

  /**
   * Another gateway may have a slow socket of the same session. Then the key is its own, and only
   * it may publish `ok`.
   */
  async #end(subject: string, kept: string): Promise<void> {
    if (await this.#sink.forget(subject, kept)) await this.#sink.publish(subject, OK)
  }

  #renew(): void {
    for (const [subject, slow] of this.#slow) {
      this.#do(subject, async () => {
        const before = slow.kept
        slow.kept = stateOf(slow)
        // The key was gone: another gateway had overwritten it, and then published `ok` and deleted
        // it.
        if (!(await this.#sink.renew(subject, before, slow.kept, TTL_MS))) await this.#sink.publish(subject, slow.kept)
      })
    }
  }

  #do(subject: string, work: () => Promise<void>): void {
    const done: Promise<void> = work()
      .catch(() => void this.#unwritten.add(subject))
      .finally(() => this.#inFlight.delete(done))
    this.#inFlight.add(done)
  }
}

/** The value of the key. `buffered` counts the unsent bytes of the slowest socket. */
function stateOf({ since, sockets }: Slow): string {
  const buffered = Math.max(...Array.from(sockets, (socket) => socket.buffered))
  return JSON.stringify({ state: 'slow', buffered, since })
}
