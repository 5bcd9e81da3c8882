import type { Connection } from '../connection/connection.ts'

/** Where the signal is kept and told, as this file needs it. */
export interface FlowSink {
  /** Keeps `state` at the session's flow key for `ttlMs`. Failures are the sink's to count. */
  keep(sessionId: string, state: string, ttlMs: number): void
  /** Removes it. */
  forget(sessionId: string): void
  /** Tells it on the session's control channel. */
  tell(sessionId: string, state: string): void
}

interface Slow {
  readonly since: string
  readonly sockets: Set<Connection>
}

/** The key lives so long; it is renewed at a third of that while the session is slow, so that a gateway that dies leaves no lie behind. */
const TTL_MS = 6000

/**
 * Tells agents that a client of theirs does not keep up, before it is cut: while a socket of a session is past half of its send buffer,
 * `session:<id>:flow` says so, and each change is published on `session:<id>:ctl`.
 */
export class FlowSignal {
  readonly #sink: FlowSink
  readonly #slow = new Map<string, Slow>()
  readonly #timer: NodeJS.Timeout

  constructor(sink: FlowSink) {
    this.#sink = sink
    this.#timer = setInterval(() => this.#renew(), TTL_MS / 3)
  }

  /** A socket's unsent bytes have passed half of its buffer, or are below it again, or it is gone. */
  changed(connection: Connection, slow: boolean): void {
    const session = this.#slow.get(connection.subject)
    if (slow) this.#slower(connection, session)
    else if (session?.sockets.delete(connection) && session.sockets.size === 0) {
      this.#slow.delete(connection.subject)
      this.#sink.forget(connection.subject)
      this.#sink.tell(connection.subject, JSON.stringify({ state: 'ok' }))
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #slower(connection: Connection, session: Slow | undefined): void {
    if (session) {
      session.sockets.add(connection)
      return
    }
    const started = { since: new Date().toISOString(), sockets: new Set([connection]) }
    this.#slow.set(connection.subject, started)
    const state = stateOf(started)
    this.#sink.keep(connection.subject, state, TTL_MS)
    this.#sink.tell(connection.subject, state)
  }

  #renew(): void {
    for (const [sessionId, slow] of this.#slow) this.#sink.keep(sessionId, stateOf(slow), TTL_MS)
  }
}

/** `buffered`: unsent bytes of the slowest socket. */
function stateOf({ since, sockets }: Slow): string {
  const buffered = Math.max(...Array.from(sockets, (socket) => socket.buffered))
  return JSON.stringify({ state: 'slow', buffered, since })
}
