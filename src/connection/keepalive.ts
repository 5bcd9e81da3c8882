import { closes, lifetimeClose } from '../contract/codes.ts'
import { Paced, PacedWalk } from '../platform/paced.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Connection, Phase } from './connection.ts'
import type { Delivery } from './deliver.ts'
import type { Closer } from './end.ts'
import type { OpenSockets } from './sockets.ts'

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
 * Within this time all sockets get their notice, or are closed, whose tokens expire at one moment.
 * With the interval of the sweep it stays below the second that a close may come late.
 */
const EXPIRIES_MS = 650

/** The pauses of a sweep take less time than there is until the next one. */
const STEPS = 20
/** Sockets that are looked at without a pause. */
const FEW = 64

/**
 * Pings silent sockets and closes those that do not answer, that are idle, whose token has expired,
 * or that take too long to close. One sweep looks at all sockets; there is no timer per socket.
 */
export class Keepalive {
  readonly #parts: KeepaliveParts
  readonly #expiries = new Paced<Connection, undefined>(
    (connection) => this.#parts.closer.runGuarded(connection, this.#expire),
    EXPIRIES_MS,
  )

  readonly #walk: PacedWalk<Connection>

  constructor(parts: KeepaliveParts) {
    this.#parts = parts
    this.#walk = new PacedWalk(parts.sockets, (connection: Connection, now) => {
      if (now < connection.nextCheckAt) return
      parts.closer.runGuarded(connection, () => this.#check(connection, Math.floor(now)))
    })
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

  /**
   * Looks at every socket whose time has come, at most 0.3 ms in one turn of the event loop. The
   * core calls it every 250 ms. Pings of many sockets are spread over that time: all at once they
   * keep messages waiting, here and in what the clients share, such as a proxy.
   */
  sweep(): void {
    this.#walk.again(Math.max(FEW, Math.ceil(this.#parts.sockets.size / STEPS)))
  }

  #check(connection: Connection, now: number): void {
    const { options, closer } = this.#parts
    if (connection.phase === Phase.ending) return closer.cut(connection)
    const { idleTimeout } = connection
    const { maxLifetimeMs } = connection.door
    if (connection.expiresAt > 0 && this.#expires(connection)) {
      this.#expiries.add(connection, undefined)
      // Until then, sweeps need not look at it.
      return connection.checkAt(now + EXPIRIES_MS)
    }
    if (maxLifetimeMs !== undefined && now >= endOf(connection, maxLifetimeMs))
      return closer.end(connection, lifetimeClose)
    if (idleTimeout && now - connection.lastActivityAt >= idleTimeout.afterMs)
      return closer.end(connection, idleTimeout.close)
    // A client that reads a long backlog answers pings late, so what it reads counts as a sign of
    // life.
    if (connection.buffered > 0) closer.drained(connection)
    // That may have ended it, for the budget of all, and set when it is cut.
    if (connection.phase !== Phase.open) return
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

  /** Whether it is time for the notice or the close. */
  #expires(connection: Connection): boolean {
    return this.#isExpired(connection) || this.#needsNotice(connection)
  }

  #isExpired({ expiresAt, isKeyRemoved }: Connection): boolean {
    return Date.now() >= expiresAt * 1000 + (isKeyRemoved ? 0 : this.#parts.options.authJwtSkewMs)
  }

  #needsNotice({ expiresAt, isKeyRemoved, hasExpiryNotice }: Connection): boolean {
    if (hasExpiryNotice) return false
    return isKeyRemoved || Date.now() >= expiresAt * 1000 - this.#parts.options.authExpiryNoticeMs
  }

  /** Sends the notice, and ends the socket when it is time for that too. */
  readonly #expire = (connection: Connection): void => {
    const { options, delivery, closer, metrics } = this.#parts
    const { door, isKeyRemoved } = connection
    // A new token may have come meanwhile.
    if (connection.phase !== Phase.open || connection.expiresAt === 0) return
    if (this.#needsNotice(connection)) {
      connection.expiryNoticed()
      const expiresAt = connection.expiresAt * 1000
      const leftMs = Math.max(0, expiresAt - Date.now())
      const frame = options.authExpiryNoticeMs > 0 ? door.expiring?.(expiresAt, leftMs) : undefined
      if (frame) delivery.enqueue(connection, frame)
      // Written now, and not with those of others at the end of the turn: so the step counts it.
      if (frame) delivery.flush(connection)
    }
    if (connection.phase !== Phase.open) return
    if (!this.#isExpired(connection)) return connection.checkBy(connection.lastSeenAt)
    metrics.auth.expired(door.name, isKeyRemoved ? 'key-removed' : 'expired')
    closer.end(connection, isKeyRemoved ? closes.keyRemoved : closes.expired)
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
