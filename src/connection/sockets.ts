import { closeLabel } from '../contract/codes.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Connection } from './connection.ts'
import { clockMs } from './times.ts'

/**
 * The sockets whose upgrade is complete and which are not gone. Counts and logs each of them once
 * when it comes and once when it goes.
 */
export class OpenSockets implements Iterable<Connection> {
  readonly #metrics: Metrics
  readonly #log: Logger
  readonly #all = new Set<Connection>()

  constructor(metrics: Metrics, log: Logger) {
    this.#metrics = metrics
    this.#log = log
  }

  get size(): number {
    return this.#all.size
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#all[Symbol.iterator]()
  }

  add(connection: Connection): void {
    this.#all.add(connection)
    connection.door.stats.active++
    this.#metrics.buffered.observe(0, 1)
    if (this.#log.isLevelEnabled('info'))
      this.#log.connection(connection).info({ event: 'accepted' }, 'connection accepted')
  }

  /**
   * @param code of the close, as uWebSockets.js reports it. Returns false when the socket was not
   * among them.
   */
  remove(connection: Connection, code: number): boolean {
    if (!this.#all.delete(connection)) return false
    const { door, closing } = connection
    door.stats.active--
    this.#metrics.buffered.observe(0, -1)
    const shown = closing?.code ?? code
    this.#metrics.disconnections.inc({ door: door.name, code: closeLabel(shown) })
    if (this.#log.isLevelEnabled('info')) this.#logClose(connection, shown)
    return true
  }

  #logClose(connection: Connection, code: number): void {
    const { framesIn, framesOut, bytesIn, bytesOut, openedAt, closing } = connection
    const seconds = (clockMs() - openedAt) / 1000
    const by = closing ? { by: 'server', reason: closing.reason } : { by: 'client' }
    this.#log
      .connection(connection)
      .info({ event: 'closed', code, ...by, seconds, framesIn, framesOut, bytesIn, bytesOut }, 'connection closed')
  }
}
