import { type Close, closes } from '../contract/codes.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Connection, Phase } from './connection.ts'

/** Ends sockets, as far as this file needs it. */
interface SocketCloser {
  /** Closes with a close frame, within the grace. */
  end(connection: Connection, close: Close): void
  /** Closes the TCP connection. */
  cut(connection: Connection): void
}

export interface UnsentOptions {
  /** Unsent bytes of all sockets together. */
  readonly maxBytes: number
  readonly sockets: Iterable<Connection>
  readonly closer: () => SocketCloser
  readonly metrics: Metrics
  readonly log: Logger
}

/** Closing goes on until the sockets that stay open hold this share of the budget. */
const TARGET = 0.9
/** Past this share of the budget, sockets that are closing are cut before their grace ends. */
const CUT = 1.25
/** All sockets are looked at again when the sum has grown by this share of the budget. */
const STEP = 1 / 32

/**
 * The unsent bytes of all sockets: one budget. Past it the sockets with the most unsent bytes are
 * closed with 1008. The sum changes only where bytes begin or cease to wait, so a message that the
 * kernel takes at once costs nothing here.
 */
export class UnsentBytes {
  readonly #options: UnsentOptions
  #bytes = 0
  #nextAt: number
  #isRelieving = false

  constructor(options: UnsentOptions) {
    this.#options = options
    this.#nextAt = options.maxBytes
  }

  /** A socket held `before` unsent bytes, and now holds `after`. */
  changed(before: number, after: number): void {
    if (before === after) return
    this.#bytes += after - before
    this.#options.metrics.buffered.move(before, after)
  }

  /** Closes sockets when the budget is exceeded. Must not be called under a cork. */
  relieve(): void {
    const { maxBytes } = this.#options
    if (this.#bytes <= this.#nextAt) {
      if (this.#bytes <= maxBytes) this.#nextAt = maxBytes
      return
    }
    // Closing a socket writes to it, and so comes back here.
    if (this.#isRelieving) return
    this.#isRelieving = true
    try {
      this.#closeLargest()
    } finally {
      this.#isRelieving = false
      this.#nextAt = Math.max(maxBytes, this.#bytes) + maxBytes * STEP
    }
  }

  #closeLargest(): void {
    const { maxBytes, sockets, metrics, log } = this.#options
    const closer = this.#options.closer()
    const bytes = this.#bytes
    const slow = [...sockets].filter(({ buffered }) => buffered > 0).sort((a, b) => b.buffered - a.buffered)
    const open = slow.filter(({ phase }) => phase === Phase.open)
    let held = open.reduce((sum, { buffered }) => sum + buffered, 0)
    let closed = 0
    for (const connection of open) {
      if (held <= maxBytes * TARGET) break
      held -= connection.buffered
      closed++
      closer.end(connection, closes.tooSlow)
    }
    metrics.budgetCloses += closed
    let cut = 0
    for (const connection of slow) {
      if (this.#bytes <= maxBytes * (cut === 0 ? CUT : 1)) break
      if (connection.phase !== Phase.ending) continue
      cut++
      closer.cut(connection)
    }
    if (closed + cut === 0) return
    log.warn(
      { event: 'buffer-budget', bytes, maxBytes, closed, cut },
      'sockets hold more unsent bytes than MAX_BUFFERED_BYTES: closed those that hold the most',
    )
  }
}
