import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Connection } from './connection.ts'

/**
 * Fill levels of the send buffer, as shares of it. `high` and `low` lie apart, so that a socket
 * which hovers around one of them does not change its level all the time.
 */
const LEVEL = { low: 0.25, high: 0.5, warning: 0.8 }

export interface LevelOptions {
  /** Unsent bytes per socket, in user space. */
  readonly maxBufferBytes: number
  readonly metrics: Metrics
  readonly log: Logger
}

/** Reports how full the send buffer of a socket is, to its door, the log and the metrics. */
export class Levels {
  readonly lowBytes: number
  readonly highBytes: number
  readonly #warningBytes: number
  readonly #options: LevelOptions

  constructor(options: LevelOptions) {
    this.lowBytes = options.maxBufferBytes * LEVEL.low
    this.highBytes = options.maxBufferBytes * LEVEL.high
    this.#warningBytes = options.maxBufferBytes * LEVEL.warning
    this.#options = options
  }

  /** More than `highBytes` wait, or a door waits for room. */
  raise(connection: Connection): void {
    if (!connection.isSlow) {
      connection.isSlow = true
      connection.door.onBackpressure?.(connection, 'high')
    }
    if (connection.hasWarned || connection.buffered <= this.#warningBytes) return
    connection.hasWarned = true
    this.#options.metrics.backpressure.inc({ stage: 'warning' })
    this.#options.log
      .connection(connection)
      .warn({ event: 'backpressure', bufferedBytes: connection.buffered }, 'client is slow')
  }

  /** At most `lowBytes` wait, or the socket is gone. */
  lower(connection: Connection): void {
    connection.hasWarned = false
    if (!connection.isSlow) return
    connection.isSlow = false
    connection.door.onBackpressure?.(connection, 'low')
  }
}
