import { closes, lifetimeClose } from '../contract/codes.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Connection, Phase } from './connection.ts'
import type { Delivery } from './deliver.ts'
import type { Closer } from './end.ts'
import type { OpenSockets } from './sockets.ts'
import { clockMs } from './times.ts'

interface KeepaliveOptions {
  /** A socket without a sign of life for this long is pinged. */
  readonly pingIntervalMs: number
  /** A socket that was pinged and gave no sign of life for this long is closed. */
  readonly pongTimeoutMs: number
  /** A socket is closed so long after its JWT has expired. */
  readonly authJwtSkewMs: number
  /** So long before that its client gets a notice. 0: none. */
  readonly authExpiryNoticeMs: number
  /** A socket is closed so long after the key of its JWT was removed. */
  readonly authRemovedKeyGraceMs: number
}

export interface KeepaliveParts {
  readonly options: KeepaliveOptions
  readonly sockets: OpenSockets
  readonly delivery: Delivery
  readonly closer: Closer
  readonly metrics: Pick<Metrics, 'auth'>
}

/**
 * Notices and closes in one sweep, and the pause behind it. 10,000 closes at once take a second in
 * which no message is delivered; 300 take some 10 ms.
 */
const MAX_EXPIRIES = 300
const EXPIRIES_PAUSE_MS = 5

/**
 * Pings silent sockets and closes those that do not answer, that are idle, whose token has expired,
 * or that take too long to close. One sweep looks at all sockets; there is no timer per socket.
 */
export class Keepalive {
  readonly #parts: KeepaliveParts
  /** How many more notices and closes this sweep may make. */
  #expiries = 0
  #soon: NodeJS.Timeout | undefined

  constructor(parts: KeepaliveParts) {
    this.#parts = parts
  }

  /** Sets the first check of a socket that has just opened. */
  start(connection: Connection): void {
    const { idleTimeout, lastSeenAt, lastActivityAt } = connection
    const { heartbeat, maxLifetimeMs } = connection.door
    // Sockets that opened together get their first ping at random moments, and so stay spread for
    // all later ones.
    connection.checkAt(lastSeenAt + spread(this.#pingIntervalMs(connection)))
    if (maxLifetimeMs !== undefined) connection.checkBy(endOf(connection, maxLifetimeMs))
    if (idleTimeout) connection.checkBy(lastActivityAt + idleTimeout.afterMs)
    if (connection.expiresAt > 0) this.#checkExpiryBy(connection, lastSeenAt)
    if (heartbeat === undefined) return
    const firstBeatAt = lastSeenAt + spread(heartbeat.intervalMs)
    connection.heartbeatSent(firstBeatAt - heartbeat.intervalMs)
    connection.checkBy(firstBeatAt)
  }

  /** Looks at every socket whose time has come. The core calls it regularly. */
  sweep(now: number): void {
    this.#expiries = MAX_EXPIRIES
    for (const connection of this.#parts.sockets) if (now >= connection.nextCheckAt) this.#check(connection, now)
    // The rest of a crowd that expires at the same moment follows in small parts.
    if (this.#expiries <= 0) this.#soon ??= setTimeout(this.#goOn, EXPIRIES_PAUSE_MS).unref()
  }

  readonly #goOn = (): void => {
    this.#soon = undefined
    this.sweep(clockMs())
  }

  #check(connection: Connection, now: number): void {
    const { options, closer } = this.#parts
    if (connection.phase === Phase.ending) return closer.cut(connection)
    const { idleTimeout } = connection
    const { maxLifetimeMs } = connection.door
    if (connection.expiresAt > 0 && this.#expires(connection)) return
    if (maxLifetimeMs !== undefined && now >= endOf(connection, maxLifetimeMs))
      return closer.end(connection, lifetimeClose)
    if (idleTimeout && now - connection.lastActivityAt >= idleTimeout.afterMs)
      return closer.end(connection, idleTimeout.close)
    // A client that reads a long backlog answers pings late, so what it reads counts as a sign of
    // life.
    if (connection.buffered > 0) closer.drained(connection)
    const silentMs = now - connection.lastSeenAt
    // Only a client that was pinged may time out: the sweep may run late, or the process may have
    // been paused.
    if (silentMs >= options.pongTimeoutMs && connection.pinged) return closer.end(connection, closes.notHeard)
    const neverHeard = connection.lastSeenAt === connection.openedAt
    if ((silentMs >= this.#pingIntervalMs(connection) || neverHeard) && !connection.pinged) connection.ping()
    this.#schedule(connection, now)
    this.#heartbeat(connection, now)
  }

  #schedule(connection: Connection, now: number): void {
    const { pongTimeoutMs } = this.#parts.options
    const pingIntervalMs = this.#pingIntervalMs(connection)
    const { maxLifetimeMs } = connection.door
    const { lastSeenAt, lastActivityAt, pinged, idleTimeout } = connection
    connection.checkAt(
      pinged ? Math.min(lastSeenAt + pongTimeoutMs, now + pingIntervalMs) : lastSeenAt + pingIntervalMs,
    )
    if (idleTimeout) connection.checkBy(lastActivityAt + idleTimeout.afterMs)
    if (connection.expiresAt > 0) this.#checkExpiryBy(connection, now)
    if (maxLifetimeMs !== undefined) connection.checkBy(endOf(connection, maxLifetimeMs))
  }

  #pingIntervalMs({ door }: Connection): number {
    return door.pingIntervalMs ?? this.#parts.options.pingIntervalMs
  }

  /** The key of its JWT counts no more: the client gets the notice now, and the close soon. */
  keyRemoved(connection: Connection): void {
    const { authJwtSkewMs, authRemovedKeyGraceMs } = this.#parts.options
    const { rights, expiresAt, isKeyRemoved } = connection
    const endMs = Date.now() + authRemovedKeyGraceMs
    const isSoonerAnyway = expiresAt > 0 && expiresAt * 1000 + authJwtSkewMs <= endMs
    if (connection.phase !== Phase.open || rights === undefined || isKeyRemoved || isSoonerAnyway) return
    connection.renewed(rights, endMs / 1000, true)
  }

  /**
   * Sends the notice, or ends the socket, in time. Returns whether nothing else is to be done: it
   * has ended, or its turn comes with the next sweep.
   */
  #expires(connection: Connection): boolean {
    const { options, delivery, closer } = this.#parts
    const expiresAt = connection.expiresAt * 1000
    const leftMs = expiresAt - Date.now()
    const { isKeyRemoved, hasExpiryNotice } = connection
    const isDue = leftMs <= -(isKeyRemoved ? 0 : options.authJwtSkewMs)
    const needsNotice = !hasExpiryNotice && (isKeyRemoved || leftMs <= options.authExpiryNoticeMs)
    if (!isDue && !needsNotice) return false
    // Its time stays in the past, so that the next sweep looks at it again.
    if (this.#expiries-- <= 0) return true
    if (needsNotice) {
      connection.expiryNoticed()
      const frame =
        options.authExpiryNoticeMs > 0 ? connection.door.expiring?.(expiresAt, Math.max(0, leftMs)) : undefined
      if (frame) delivery.enqueue(connection, frame)
    }
    if (!isDue) return false
    this.#parts.metrics.auth.expired(connection.door.name, isKeyRemoved ? 'key-removed' : 'expired')
    closer.end(connection, isKeyRemoved ? closes.keyRemoved : closes.expired)
    return true
  }

  /** The clock of `exp` is the wall clock: a step of it counts at the next check. */
  #checkExpiryBy(connection: Connection, now: number): void {
    const { authJwtSkewMs, authExpiryNoticeMs } = this.#parts.options
    const leftMs = connection.expiresAt * 1000 - Date.now()
    const skewMs = connection.isKeyRemoved ? 0 : authJwtSkewMs
    connection.checkBy(now + leftMs + (connection.hasExpiryNotice ? skewMs : -authExpiryNoticeMs))
  }

  #heartbeat(connection: Connection, now: number): void {
    const { heartbeat } = connection.door
    if (heartbeat === undefined) return
    const { intervalMs, timeoutMs, frame } = heartbeat
    const unanswered = connection.lastHeartbeatAt > connection.lastFrameAt
    if (unanswered && now - connection.lastFrameAt >= timeoutMs)
      return this.#parts.closer.end(connection, closes.notHeard)
    if (now - connection.lastHeartbeatAt >= intervalMs) {
      connection.heartbeatSent(now)
      this.#parts.delivery.enqueue(connection, frame)
    }
    connection.checkBy(Math.min(connection.lastHeartbeatAt + intervalMs, connection.lastFrameAt + timeoutMs))
  }
}

/** The last share of a lifetime, within which connections that opened together end. */
const SPREAD = 0.1

/** When a connection has reached its age. It is spread by the serial number. */
const endOf = ({ openedAt, serial }: Connection, maxLifetimeMs: number): number =>
  openedAt + maxLifetimeMs * (1 - (SPREAD * (serial % 97)) / 97)

/** A random part of an interval, at least a quarter of it. */
const spread = (intervalMs: number): number => Math.round(intervalMs * (0.25 + Math.random() * 0.75))
