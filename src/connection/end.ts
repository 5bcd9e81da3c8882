import { type Close, closes } from '../contract/codes.ts'
import { Paced } from '../platform/paced.ts'
import { asError } from '../platform/reason.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Bindings, Topic } from './bind.ts'
import { type Connection, Phase } from './connection.ts'
import type { Delivery } from './deliver.ts'
import type { ConnectLimits } from './limits.ts'
import type { OpenSockets } from './sockets.ts'
import { clockMs } from './times.ts'

export interface CloserParts {
  /** How long a socket that is closed may take to read what is buffered, before it is cut. */
  readonly slowCloseGraceMs: number
  readonly sockets: OpenSockets
  readonly bindings: Bindings
  readonly delivery: Delivery
  readonly limits: ConnectLimits
  readonly metrics: Metrics
  readonly log: Logger
}

/** Clients that are asked to reconnect do so after this time to twice this time, at random. */
const RECONNECT_AFTER_MS = 1000
/** Within this time all sockets are closed that one order names. */
const TOGETHER_MS = 500

/**
 * The one way out, for every reason, in one order: no new messages, accepted messages are written,
 * the goodbye of the door, the close frame. Then, in `closed`, the place in the limits is given
 * back and the socket is counted out.
 */
export class Closer {
  readonly #parts: CloserParts
  readonly #together = new Paced<Connection, Close>(
    (connection, close) => this.runGuarded(connection, () => this.end(connection, close)),
    TOGETHER_MS,
  )

  constructor(parts: CloserParts) {
    this.#parts = parts
  }

  /**
   * Runs `work` for a socket. A throw in it is our bug: it ends that socket with 1011 and affects
   * no other.
   */
  runGuarded(connection: Connection, work: (connection: Connection) => void): void {
    try {
      work(connection)
    } catch (error) {
      this.#fault(connection, error)
      this.end(connection, closes.internalError)
    }
  }

  #fault(connection: Connection, error: unknown): void {
    this.#parts.metrics.error('internal')
    this.#parts.log.connection(connection).error({ err: asError(error) }, 'unexpected error in the work for a socket')
  }

  /** A door that throws here must not keep its socket open, nor stop a drain or a sweep. */
  #goodbye(connection: Connection, close: Close, reconnectAfterMs: number): Buffer | undefined {
    try {
      return connection.door.goodbye(close, reconnectAfterMs)
    } catch (error) {
      this.#fault(connection, error)
      return undefined
    }
  }

  /**
   * Ends a socket. Accepted messages are written first. If the kernel has not taken all of them,
   * the close frame follows when it has, and the socket is cut after the grace: a client that never
   * reads again cannot hold memory. The goodbye asks a client that may come back to do so after
   * `reconnectAfterMs`.
   */
  end(connection: Connection, close: Close, reconnectAfterMs = randomReturnMs()): void {
    const { bindings, delivery, slowCloseGraceMs } = this.#parts
    if (connection.phase === Phase.accepting) {
      connection.gone()
      bindings.leaveAll(connection)
      return
    }
    if (connection.phase !== Phase.open) return
    bindings.leaveAll(connection)
    const goodbye = this.#goodbye(connection, close, reconnectAfterMs)
    // A client that is too slow has lost a frame. What waits in this tick came after that frame, so
    // it is not written.
    if (close !== closes.tooSlow) delivery.flush(connection)
    // The flush may have found the buffer full and ended the socket for that.
    if (connection.phase !== Phase.open) return
    if (goodbye) delivery.last(connection, goodbye)
    connection.beginClose(close)
    if (connection.buffered === 0) connection.sendClose()
    // The drain cuts its stragglers itself.
    else if (close === closes.draining) connection.checkAt(Number.POSITIVE_INFINITY)
    else connection.checkAt(clockMs() + slowCloseGraceMs)
  }

  /**
   * Ends a socket for a reason that many may have at once: at once when it is the first, and within
   * half a second after the others. Returns false when it ends already.
   */
  endTogether(connection: Connection, close: Close): boolean {
    return connection.phase === Phase.open && this.#together.add(connection, close)
  }

  /**
   * Ends the members of a topic for one reason: the open ones as `endTogether` does, and at once
   * those whose upgrade is under way.
   */
  endMembers({ members }: Topic, close: Close): void {
    for (const member of members.slice()) {
      if (member.phase === Phase.accepting) this.end(member, close)
      else this.endTogether(member, close)
    }
  }

  /**
   * uWebSockets.js reports that the kernel takes more. When it has returned from that report it
   * stops to watch the socket, even if the kernel did not take all of a large frame that was sent
   * meanwhile. So a backlog is written later in this turn.
   */
  writable(connection: Connection): void {
    if (connection.backlog === undefined) return this.drained(connection)
    setImmediate(() => this.runGuarded(connection, this.#drain))
  }

  readonly #drain = (connection: Connection): void => this.drained(connection)

  /** The kernel has taken some of what was buffered. The socket may be gone meanwhile. */
  drained(connection: Connection): void {
    if (connection.wire === undefined) return
    this.#parts.delivery.drained(connection)
    if (connection.phase === Phase.ending && connection.buffered === 0) connection.sendClose()
  }

  /** The client of a stream begins or ceases to lag. */
  lagging(change: 1 | -1): void {
    this.#parts.metrics.streams.lagging += change
  }

  /** The socket is gone, whichever side began. uWebSockets.js allows no call on it after this. */
  closed(connection: Connection, code: number): void {
    const { sockets, bindings, delivery, limits } = this.#parts
    connection.gone()
    delivery.forget(connection)
    bindings.leaveAll(connection)
    limits.give(connection.address)
    // A socket that was only completed to be closed was never among the open ones.
    if (sockets.remove(connection, code)) connection.door.closed?.(connection)
  }

  /**
   * Closes the TCP connection. Accepted messages that the kernel has not taken are lost. Their
   * number is unknown, so this counts a gap and not the messages.
   */
  cut(connection: Connection): void {
    if (!connection.wire) return
    if (connection.buffered > 0)
      this.#parts.metrics.gap(connection.closing === closes.draining ? 'drain' : 'slow_client')
    connection.wire.close()
  }
}

const randomReturnMs = () => Math.round(RECONNECT_AFTER_MS * (1 + Math.random()))
