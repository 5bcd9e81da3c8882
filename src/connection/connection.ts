import type { Close } from '../contract/codes.ts'
import type { WebSocket } from '../platform/uws.ts'
import type { DoorStats } from '../telemetry/metrics.ts'
import type { TraceContext } from '../telemetry/trace-context.ts'
import type { TokenClaims } from './auth.ts'
import type { Backlog } from './backlog.ts'
import type { Topic } from './bind.ts'
import type { Compression } from './compression.ts'
import type { Heartbeat, IdleTimeout } from './times.ts'
import type { BackpressureLevel, StreamFormat, Wire } from './wire.ts'

/** A socket of uWebSockets.js: the wire of a WebSocket. */
export interface Socket extends WebSocket<unknown> {
  connection: Connection
}

/** The life of a socket. The phase only ever grows. */
export const Phase = { accepting: 0, open: 1, ending: 2, closed: 3 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** What a door decides about an open socket: its limits, its timers and its frames. */
export interface SocketDoor {
  /** Metric label and log field. */
  readonly name: string
  /** What the log calls the subject: `session`, `run`. */
  readonly subjectName: string
  readonly maxMessageBytes: number
  /**
   * A text frame over `maxMessageBytes` and up to this size is dropped and reported to `oversized`;
   * a larger one closes the socket. Default: `maxMessageBytes`.
   */
  readonly maxForgivenBytes?: number
  /** Frames in a row that a full send buffer may drop before the socket is closed. Default: 1. */
  readonly maxDrops?: number
  /** Set where the answer to a GET is the wire, and not a WebSocket. */
  readonly stream?: StreamFormat<Connection>
  /** A silent connection is pinged after this time. Default: `PING_INTERVAL`. */
  readonly pingIntervalMs?: number
  /** A connection is ended at this age at the latest. Default: no limit. */
  readonly maxLifetimeMs?: number
  /** Sockets are offered permessage-deflate (RFC 7692), within this bound. */
  readonly compression?: Compression | undefined
  /** Client frames: one in `intervalMs` on average (0: no limit), `burst` at once. */
  readonly rate: { readonly intervalMs: number; readonly burst: number }
  /** Bytes of client frames, in the same way, with a byte for a frame. Default: no limit. */
  readonly byteRate?: { readonly intervalMs: number; readonly burst: number }
  readonly idleTimeout: IdleTimeout | undefined
  readonly heartbeat?: Heartbeat
  readonly stats: DoorStats
  /** Called once the socket is open; may enqueue its first frames. */
  opened?(connection: Connection): void
  /** A client sent a text frame within size and rate. `frame` is only valid during the call. */
  receive(connection: Connection, frame: Buffer): void
  /** The same for a binary frame. A door without it closes the socket for one. */
  receiveBinary?(connection: Connection, frame: Buffer): void
  /** A text frame was dropped for one of the rates. Called at most once in 5 s per socket. */
  rateLimited(connection: Connection): void
  /** Called on each change of the level, never twice in a row with the same one. */
  onBackpressure?(connection: Connection, level: BackpressureLevel): void
  /** A text frame of up to `maxForgivenBytes` was dropped. */
  oversized?(connection: Connection): void
  /**
   * Returns the frame that goes before a close of the server, or undefined when this door sends
   * none for it.
   */
  goodbye(close: Close, reconnectAfterMs: number): Buffer | undefined
  /**
   * Returns the frame that says when the token of a socket expires, or undefined when this door
   * sends none.
   * @param expiresAt in ms since the epoch.
   */
  expiring?(expiresAt: number, leftMs: number): Buffer | undefined
  /** The socket is gone; nothing may be sent to it. */
  closed?(connection: Connection): void
}

/** Earlier than the start of any process clock. */
const LONG_AGO = -1e6

let serial = 0

/**
 * One socket, from the moment its credentials were accepted: its identity, phase, times and
 * counters, and the frames that wait to be sent. There are tens of thousands of these: no closures,
 * no timers, no strings that could be derived. Each field has one writer: a method of this class,
 * or the stage that is named beside the field.
 */
export class Connection {
  readonly serial = ++serial
  readonly door: SocketDoor
  /** The session id, run id or view that the path names. */
  readonly subject: string
  readonly address: string
  /** What the door keeps for this socket. Only the door reads it. */
  readonly doorState: unknown
  /** The span of its handshake, when tracing is on. */
  readonly trace: TraceContext | undefined
  phase: Phase = Phase.accepting
  wire: Wire<Connection> | undefined
  /** The close that the server began. */
  closing: Close | undefined

  /** Written by `Bindings`. */
  topics: Topic[] = []

  /**
   * Frames of this tick, in order: the first by itself, since most ticks have only one. Written by
   * `Delivery`.
   */
  pending: Buffer | undefined
  morePending: Buffer[] | undefined
  pendingBytes = 0
  /** Whether backpressure is `high`, and whether the log has a warning. Written by `Levels`. */
  isSlow = false
  hasWarned = false
  /**
   * Whether bytes that are not UTF-8 were sent: from then on each frame is checked. Written by
   * `Delivery`.
   */
  hasSentBinary = false
  /** Whether the client offers permessage-deflate, and the door takes it. Written by `Acceptor`. */
  compresses = false

  /**
   * Bytes that the kernel has not taken yet, as of the last write or drain. The next three are
   * written by `write.ts`.
   */
  buffered = 0
  /** Those of them that uWebSockets.js did not get yet. Undefined: none. */
  backlog: Backlog | undefined
  /** Frames in a row that the full buffer did not take. */
  consecutiveDrops = 0

  /** All times are of `clockMs`. */
  openedAt!: number
  /** Of the last sign of life: a frame, a ping, a pong, or bytes that the client has read. */
  lastSeenAt!: number
  /** Of the last client frame. */
  lastFrameAt!: number
  /** Of the last message from Redis, and of the last frame that the door counts as activity. */
  lastActivityAt!: number
  lastHeartbeatAt!: number
  /** When the keep-alive sweep has to look at this socket next. */
  nextCheckAt!: number
  /** Whether a ping was sent since the last sign of life. */
  pinged = false
  idleTimeout: IdleTimeout | undefined
  /** Those of the JWT that it goes back to, maybe by a ticket. Undefined: another credential. */
  rights: TokenClaims | undefined
  /** When that JWT ends, in seconds since the epoch. 0: never. */
  expiresAt = 0
  /** Whether its key was removed, and so its end came closer. */
  isKeyRemoved = false
  /** Whether the client has the notice of that. */
  hasExpiryNotice = false

  /** State of the rate limits. Written by `Receiver`. */
  rateFullAt = 0
  byteRateFullAt = 0
  rateNoticeAt = LONG_AGO
  /** Pings and pongs of the client have the same rate, counted apart. */
  controlFullAt = 0
  /** When the client first and last was over its rate without a pause, and how many frames were. */
  overSince = LONG_AGO
  overAt = LONG_AGO
  overFrames = 0

  framesIn = 0
  framesOut = 0
  bytesIn = 0
  bytesOut = 0

  constructor(
    door: SocketDoor,
    subject: string,
    address: string,
    now: number,
    doorState?: unknown,
    trace?: TraceContext,
  ) {
    this.door = door
    this.subject = subject
    this.address = address
    this.doorState = doorState
    this.trace = trace
    this.#startTimes(now)
    this.idleTimeout = door.idleTimeout
  }

  /**
   * The upgrade is complete. All times start again, since the client could not send anything
   * before.
   */
  open(wire: Wire<Connection>, now: number, rights?: TokenClaims, expiresAt = 0): void {
    this.#attach(wire)
    this.rights = rights
    this.expiresAt = expiresAt
    this.phase = Phase.open
    this.#startTimes(now)
  }

  /** The upgrade is complete, and the socket is closed without having been open. */
  refuse(wire: Wire<Connection>, close: Close): void {
    this.#attach(wire)
    this.beginClose(close)
    this.sendClose()
  }

  /** From now on nothing but the close frame may follow what is buffered. */
  beginClose(close: Close): void {
    this.closing = close
    this.phase = Phase.ending
  }

  sendClose(): void {
    this.wire!.end(this.closing!.code, this.closing!.reason)
  }

  /**
   * The socket is gone, or its upgrade was given up. uWebSockets.js allows no call on the socket
   * after this.
   */
  gone(): void {
    this.phase = Phase.closed
    this.wire = undefined
  }

  #attach(wire: Wire<Connection>): void {
    this.wire = wire
    wire.connection = this
  }

  #startTimes(now: number): void {
    this.openedAt = now
    this.lastSeenAt = now
    this.lastFrameAt = now
    this.lastActivityAt = now
    this.lastHeartbeatAt = now
    this.nextCheckAt = now
  }

  /** The client gave a sign of life. */
  heard(now: number): void {
    this.lastSeenAt = now
    this.pinged = false
  }

  /** The client sent a frame. */
  received(bytes: number, now: number): void {
    this.heard(now)
    this.lastFrameAt = now
    this.framesIn++
    this.bytesIn += bytes
  }

  /** A message passed at `now`: the idle timeout starts again. */
  active(now: number): void {
    this.lastActivityAt = now
  }

  ping(): void {
    this.pinged = true
    this.wire!.ping()
  }

  /** A new JWT replaces the former one, or its end has changed: the next sweep looks at it. */
  renewed(rights: TokenClaims, expiresAt: number, isKeyRemoved = false): void {
    this.rights = rights
    this.expiresAt = expiresAt
    this.hasExpiryNotice = false
    this.isKeyRemoved = isKeyRemoved
    this.checkBy(this.lastSeenAt)
  }

  expiryNoticed(): void {
    this.hasExpiryNotice = true
  }

  heartbeatSent(at: number): void {
    this.lastHeartbeatAt = at
  }

  /** Replaces the idle timeout of the door; the sweep checks it in time. */
  setIdleTimeout(idleTimeout: IdleTimeout, now: number): void {
    this.idleTimeout = idleTimeout
    this.checkBy(now + idleTimeout.afterMs)
  }

  /** The sweep looks at this socket at `at`, and not before. */
  checkAt(at: number): void {
    this.nextCheckAt = at
  }

  /** The sweep looks at this socket at `at` at the latest. */
  checkBy(at: number): void {
    if (at < this.nextCheckAt) this.nextCheckAt = at
  }
}
