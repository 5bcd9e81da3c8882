import type { Connection } from '../../connection/connection.ts'
import type { FrameErrorCode } from '../../contract/codes.ts'
import { type Reader, withBit } from '../../sessions/logged.ts'
import type { Granted, StreamTicket } from '../../sessions/resume-tickets.ts'
import type { TraceContext } from '../../telemetry/trace-context.ts'

/** Reports the outcome of a numbered client frame. */
export type Done = (outcome: number | FrameErrorCode) => void

const MAX_BEHIND = 1000
const MAX_BEHIND_BYTES = 1024 * 1024

/** Publishes the frames of one client, in order. */
export interface UpstreamPublisher {
  /**
   * Takes ownership of `frame`: the caller must not write to it any more. Calls `done` with the
   * number of subscribers, or with the reason why the frame was not published.
   */
  publish(frame: Buffer, handshake: TraceContext | undefined, done?: Done): void
}

/** Frames that wait, so that they do not overtake an earlier one of their socket. */
export class FramesBehind {
  readonly #work: (() => void)[] = []
  #bytes = 0

  /** Keeps a copy of a frame for `work`. Returns false when there is no room for it. */
  add(frame: Buffer, work: (frame: Buffer) => void): boolean {
    if (this.#work.length >= MAX_BEHIND || this.#bytes + frame.length > MAX_BEHIND_BYTES) return false
    this.#bytes += frame.length
    const copy = Buffer.from(frame)
    this.#work.push(() => work(copy))
    return true
  }

  release(): void {
    for (const work of this.#work) work()
  }
}

/** What the session door keeps for each socket. */
export class SessionState {
  readonly agentId: string
  /** Undefined for a client of `wsproxy.v1`. */
  reader: Reader | undefined
  /** What the tickets of this socket go back to. Undefined: it gets none. */
  grant: Granted | undefined
  /** Made with the first client frame, since most clients only listen. */
  publisher: UpstreamPublisher | undefined
  /** Whether the token of the client is read only. */
  isReadOnly = false
  /** Frames that came while the key of a cancelled run is written, in order. */
  behindCancel: FramesBehind | undefined

  constructor(agentId: string) {
    this.agentId = agentId
  }
}

/** Bits of what is said of a reader. */
const POSITIONED = 1
const LEVEL = 2
const READING = 4
const DROPPED = 8

/** The same for a socket of `wsproxy.v2`. Most are idle: one object, and flags share a number. */
export class NumberedState extends SessionState implements Reader {
  offset = 0
  #bits = 0

  constructor(agentId: string) {
    super(agentId)
    this.reader = this
  }

  get isPositioned(): boolean {
    return (this.#bits & POSITIONED) !== 0
  }

  set isPositioned(value: boolean) {
    this.#bits = withBit(this.#bits, POSITIONED, value)
  }

  get isLevel(): boolean {
    return (this.#bits & LEVEL) !== 0
  }

  set isLevel(value: boolean) {
    this.#bits = withBit(this.#bits, LEVEL, value)
  }

  get isReading(): boolean {
    return (this.#bits & READING) !== 0
  }

  set isReading(value: boolean) {
    this.#bits = withBit(this.#bits, READING, value)
  }

  get hasDropped(): boolean {
    return (this.#bits & DROPPED) !== 0
  }

  set hasDropped(value: boolean) {
    this.#bits = withBit(this.#bits, DROPPED, value)
  }
}

/** The same for a stream of server-sent events. */
export class StreamState extends NumberedState {
  /** What its answer keeps in the browser as a cookie. Undefined: nothing. */
  streamTicket: StreamTicket | undefined
  /** What it sends for the next query. Undefined: nothing. */
  queryTicket: StreamTicket | undefined
  /** Whether it has all messages of a stream that is complete. */
  hasEnded = false
}

/** A reader of the log that only hears when something has come. */
export class WatchState extends SessionState {}

export const stateOf = (connection: Connection): SessionState => connection.doorState as SessionState

/** What a socket of `wsproxy.v2` has of the log of its session. */
export const readerOf = (connection: Connection): Reader | undefined => stateOf(connection).reader

/** Whether a connection is one of a session: a socket or a stream. */
export const isSession = ({ doorState }: Connection): boolean => doorState instanceof SessionState
