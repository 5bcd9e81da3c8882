import { type Close, closeLabel, closes } from '../contract/codes.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Bindings } from './bind.ts'
import { type Connection, clockMs, Phase } from './connection.ts'
import type { Delivery } from './deliver.ts'
import type { ConnectLimits } from './limits.ts'

export interface EndOptions {
  readonly maxBufferBytes: number
  readonly slowCloseGraceMs: number
  readonly pingIntervalMs: number
  readonly pongTimeoutMs: number
}

export interface EndParts {
  readonly options: EndOptions
  readonly bindings: Bindings
  readonly delivery: Delivery
  readonly limits: ConnectLimits
  readonly metrics: Metrics
  readonly log: Logger
}

/** A socket counts as slow past half of its buffer, and again as quick below a quarter: one that hovers is not told of all the time. */
const RELIEVED = 0.25

/** A client that was told to come back does so between this and twice this, spread. */
const RECONNECT_AFTER_MS = 1000

/**
 * One way out, whatever the reason, in one order: no new messages, what was accepted is written, the door's goodbye, the close frame,
 * then (in `closed`) the place is given back, the counts go down and the line is logged.
 */
export class Closer {
  readonly #parts: EndParts
  readonly #open = new Set<Connection>()

  constructor(parts: EndParts) {
    this.#parts = parts
  }

  /** The open sockets, those on their way out included. */
  get open(): ReadonlySet<Connection> {
    return this.#open
  }

  /** Does some work for a socket; a fault of ours in it ends that socket with 1011, and nothing else. */
  runGuarded(connection: Connection, work: (connection: Connection) => void): void {
    try {
      work(connection)
    } catch (error) {
      this.#parts.metrics.error('internal')
      this.#parts.log.connection(connection).error({ err: error }, 'fault in the work for a socket')
      this.end(connection, closes.internalError)
    }
  }

  /** The upgrade is complete, and `connection.ws` is there. */
  opened(connection: Connection): void {
    this.#open.add(connection)
    connection.door.stats.active++
    connection.phase = Phase.open
    connection.begin(clockMs())
    const { heartbeat } = connection.door
    // Sockets that came together are asked for the first time at moments of their own, and so ever after.
    connection.nextCheckAt = connection.lastSeenAt + spread(this.#parts.options.pingIntervalMs)
    if (heartbeat) connection.beatAt -= heartbeat.intervalMs - spread(heartbeat.intervalMs)
    if (connection.idleTimeout) connection.due(connection.lastActivityAt + connection.idleTimeout.afterMs)
    if (heartbeat) connection.due(connection.beatAt + heartbeat.intervalMs)
    const { log } = this.#parts
    if (log.isLevelEnabled('info')) log.connection(connection).info({ event: 'accepted' }, 'connection accepted')
    this.#parts.delivery.flush(connection)
    connection.door.opened?.(connection)
  }

  /**
   * Ends a socket. What was already accepted for it is written first. If the kernel has not taken all of it, the close frame follows when it has,
   * and the connection is cut when that takes longer than the grace: a client that never reads again cannot hold memory.
   */
  end(connection: Connection, close: Close): void {
    if (connection.phase === Phase.accepting) {
      connection.phase = Phase.closed
      this.#parts.bindings.leaveAll(connection)
      return
    }
    if (connection.phase !== Phase.open) return
    this.#parts.bindings.leaveAll(connection)
    connection.closing = close
    const goodbye = connection.door.goodbye(close, reconnectAfterMs())
    if (close === closes.tooSlow) {
      // The last frame has room beyond the bound. What waited for this tick is behind one that was dropped.
      if (goodbye) this.#parts.delivery.last(connection, goodbye)
    } else {
      this.#parts.delivery.flush(connection)
      // That may have found the buffer full, and ended the socket for it.
      if (connection.phase !== Phase.open) return
      if (goodbye) this.#parts.delivery.last(connection, goodbye)
    }
    connection.phase = Phase.ending
    if (connection.buffered === 0) this.#endNow(connection)
    // A drain has a deadline of its own for those who read late.
    else if (close === closes.draining) connection.nextCheckAt = Number.POSITIVE_INFINITY
    else connection.nextCheckAt = clockMs() + this.#parts.options.slowCloseGraceMs
  }

  /** The kernel has taken some of what was buffered. */
  drained(connection: Connection): void {
    const before = connection.buffered
    connection.buffered = connection.ws!.getBufferedAmount()
    if (connection.buffered < before) connection.lastSeenAt = clockMs()
    if (connection.buffered <= this.#parts.options.maxBufferBytes * RELIEVED) this.#relieved(connection)
    if (connection.phase === Phase.ending && connection.buffered === 0) this.#endNow(connection)
  }

  /** The socket is gone, whoever began it. Nothing may touch it after this. */
  closed(connection: Connection, code: number): void {
    const { bindings, limits, metrics, log } = this.#parts
    connection.phase = Phase.closed
    connection.ws = undefined
    connection.first = undefined
    connection.rest = undefined
    bindings.leaveAll(connection)
    limits.give(connection.address)
    if (!this.#open.delete(connection)) return
    this.#relieved(connection)
    connection.door.stats.active--
    connection.door.closed?.(connection)
    const shown = connection.closing?.code ?? code
    metrics.disconnections.inc({ door: connection.door.name, code: closeLabel(shown) })
    if (!log.isLevelEnabled('info')) return
    const { framesIn, framesOut, bytesIn, bytesOut, openedAt, closing } = connection
    const seconds = (clockMs() - openedAt) / 1000
    const by = closing ? { by: 'server', reason: closing.reason } : { by: 'client' }
    log
      .connection(connection)
      .info(
        { event: 'closed', code: shown, ...by, seconds, framesIn, framesOut, bytesIn, bytesOut },
        'connection closed',
      )
  }

  /**
   * Closes all sockets with 1001, each after its door's goodbye, spread evenly over the window in random order.
   * Resolves when every socket is gone, or, having cut the rest, after `graceMs` or when `cut` fires; with how many it had to cut.
   */
  async drain(windowMs: number, graceMs: number, cut: AbortSignal): Promise<number> {
    const order = shuffle([...this.#open])
    const startedAt = performance.now()
    const window = Math.min(windowMs, order.length)
    let next = 0
    await new Promise<void>((resolve) => {
      const step = () => {
        const elapsed = performance.now() - startedAt
        const until = elapsed >= window ? order.length : Math.floor((elapsed / window) * order.length)
        while (next < until) this.end(order[next++]!, closes.draining)
        if (this.#open.size > 0 && elapsed < graceMs && !cut.aborted) return
        clearInterval(timer)
        cut.removeEventListener('abort', step)
        resolve()
      }
      const timer = setInterval(step, 5)
      cut.addEventListener('abort', step)
      step()
    })
    const stragglers = [...this.#open]
    for (const connection of stragglers) this.#cut(connection)
    return stragglers.length
  }

  /** Looks at every socket whose time has come; to be called regularly. */
  sweep(now: number): void {
    for (const connection of this.#open) if (now >= connection.nextCheckAt) this.#look(connection, now)
  }

  #look(connection: Connection, now: number): void {
    if (connection.phase === Phase.ending) return this.#cut(connection)
    const { pingIntervalMs, pongTimeoutMs } = this.#parts.options
    const { idleTimeout } = connection
    if (idleTimeout && now - connection.lastActivityAt >= idleTimeout.afterMs)
      return this.end(connection, idleTimeout.close)
    // A client that reads a long backlog answers pings late: what it reads counts.
    if (connection.buffered > 0) this.drained(connection)
    const silentMs = now - connection.lastSeenAt
    // Who was not asked could not answer: the sweep may have come late, by its own interval or because the process stood still.
    if (silentMs >= pongTimeoutMs && connection.pinged) return this.end(connection, closes.notHeard)
    const neverHeard = connection.lastSeenAt === connection.openedAt
    if ((silentMs >= pingIntervalMs || neverHeard) && !connection.pinged) {
      connection.pinged = true
      connection.ws!.ping()
    }
    const { lastSeenAt, pinged } = connection
    connection.nextCheckAt = pinged
      ? Math.min(lastSeenAt + pongTimeoutMs, now + pingIntervalMs)
      : lastSeenAt + pingIntervalMs
    if (idleTimeout) connection.due(connection.lastActivityAt + idleTimeout.afterMs)
    this.#beat(connection, now)
  }

  #beat(connection: Connection, now: number): void {
    const { heartbeat } = connection.door
    if (heartbeat === undefined) return
    const asked = connection.beatAt > connection.lastFrameAt
    if (asked && now - connection.lastFrameAt >= heartbeat.timeoutMs) return this.end(connection, closes.notHeard)
    if (now - connection.beatAt >= heartbeat.intervalMs) {
      connection.beatAt = now
      this.#parts.delivery.enqueue(connection, heartbeat.frame)
    }
    connection.due(Math.min(connection.beatAt + heartbeat.intervalMs, connection.lastFrameAt + heartbeat.timeoutMs))
  }

  #relieved(connection: Connection): void {
    connection.warned = false
    if (!connection.slow) return
    connection.slow = false
    connection.door.pressure?.(connection, false)
  }

  #endNow(connection: Connection): void {
    connection.ws!.end(connection.closing!.code, connection.closing!.reason)
  }

  /** What it had accepted and not taken is lost with it; how many messages that is nobody counts. */
  #cut(connection: Connection): void {
    if (!connection.ws) return
    if (connection.buffered > 0)
      this.#parts.metrics.gap(connection.closing === closes.draining ? 'drain' : 'slow_client')
    connection.ws.close()
  }
}

/** A random part of an interval, and no very small one. */
const spread = (intervalMs: number): number => Math.round(intervalMs * (0.25 + Math.random() * 0.75))

const reconnectAfterMs = () => Math.round(RECONNECT_AFTER_MS * (1 + Math.random()))

function shuffle<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[items[i], items[j]] = [items[j]!, items[i]!]
  }
  return items
}
