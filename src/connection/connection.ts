import type { SpanContext } from '@opentelemetry/api'
import type { Close } from '../contract/codes.ts'
import type { WebSocket } from '../platform/uws.ts'
import type { Topic } from './bind.ts'
import type { Door } from './door.ts'

/** The socket of uWebSockets.js, with the reference that leads from its events back to ours. */
export interface Socket extends WebSocket<unknown> {
  connection: Connection
}

/** The life of a socket. It only ever moves to the right. */
export const Phase = { accepting: 0, open: 1, ending: 2, closed: 3 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** Close the socket once nothing passed in either direction for so long. */
export interface IdleTimeout {
  readonly afterMs: number
  readonly close: Close
}

/** A ping of the door's own, as a frame, for clients that answer in frames: it tells whether the page is alive and not only its browser. */
export interface Heartbeat {
  readonly intervalMs: number
  /** Without a client frame for so long the socket is closed. */
  readonly timeoutMs: number
  readonly frame: Buffer
}

/** What a write came to: taken; taken into the buffer; or the buffer has no room and nothing was taken. */
export const Written = { sent: 0, buffered: 1, full: 2 } as const
export type Written = (typeof Written)[keyof typeof Written]

/** Before any process' clock began. */
const LONG_AGO = -1e6

let serial = 0

/** Whole milliseconds of the process' monotonic clock: as a fraction every time of every socket would be an object of its own to V8. */
export const clockMs = (): number => Math.floor(performance.now())

/**
 * One socket, from the moment its credentials were right: who it is, its phase and times, what waits to be sent, and its counters.
 * There are tens of thousands of these: no closures, no timers, no strings that could be derived.
 */
export class Connection {
  readonly serial = ++serial
  readonly door: Door
  /** Session or run id: what the path names. */
  readonly subject: string
  readonly address: string
  /** What the door keeps for this socket. Only the door reads it. */
  readonly doorState: unknown
  openedAt!: number
  topics: Topic[] = []
  phase: Phase = Phase.accepting
  ws: Socket | undefined

  /** Frames of this tick, in order: the first by itself, since most ticks have only one. */
  first: Buffer | undefined
  rest: Buffer[] | undefined
  pendingBytes = 0
  /** Bytes that the kernel has not taken yet, as of the last write or drain. */
  buffered = 0
  /** Frames in a row that were dropped because the buffer was full. */
  drops = 0
  warned = false
  /** It is past half of its buffer, and its door knows. */
  slow = false
  /** It has been sent bytes that are not UTF-8: from then on each frame is looked at. */
  mixed = false
  /** For doors that send a state and not messages: the last one sent. */
  shown: Buffer | undefined

  /** Times are of `clockMs`. */
  lastSeenAt!: number
  /** The last client frame, and the last heartbeat. */
  lastFrameAt!: number
  beatAt!: number
  /** The last message from Redis, and the last client frame that its door counts as one. */
  lastActivityAt!: number
  /** When the sweep has to look at this socket next. */
  nextCheckAt!: number
  pinged = false
  idleTimeout: IdleTimeout | undefined
  closing: Close | undefined

  rateFullAt = 0
  rateNoticeAt = LONG_AGO

  /** The span of its handshake, when tracing is on. */
  readonly trace: SpanContext | undefined

  framesIn = 0
  framesOut = 0
  bytesIn = 0
  bytesOut = 0

  constructor(door: Door, subject: string, address: string, now: number, doorState?: unknown, trace?: SpanContext) {
    this.door = door
    this.subject = subject
    this.address = address
    this.doorState = doorState
    this.trace = trace
    this.begin(now)
    this.idleTimeout = door.idleTimeout
  }

  /** Its times count from here: from when it is made, and again from when it is open. Nobody can have answered before that. */
  begin(now: number): void {
    this.openedAt = now
    this.lastSeenAt = now
    this.lastFrameAt = now
    this.beatAt = now
    this.lastActivityAt = now
    this.nextCheckAt = now
  }

  /**
   * Writes one frame, within `maxBytes` of unsent bytes. The bound is checked before uWebSockets.js sees the frame, so it is never passed.
   * Only an open socket may be written to; inside a cork as well.
   */
  write(frame: Buffer | string, binary: boolean, maxBytes: number): Written {
    const ws = this.ws!
    const length = typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length
    if (this.buffered > 0) this.buffered = ws.getBufferedAmount()
    if (this.buffered + length > maxBytes) return Written.full
    this.framesOut++
    this.bytesOut += length
    if (ws.send(frame, binary, this.door.compressed === true) === 1) {
      this.buffered = 0
      return Written.sent
    }
    this.buffered = ws.getBufferedAmount()
    return Written.buffered
  }

  /** Looks at this socket no later than `at`. */
  due(at: number): void {
    if (at < this.nextCheckAt) this.nextCheckAt = at
  }
}
