import type { SpanContext } from '@opentelemetry/api'
import type { Config } from '../../config/table.ts'
import type { Batch, Source, Topic } from '../../connection/bind.ts'
import type { BackpressureLevel, Connection } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import { clockMs, type IdleTimeout } from '../../connection/times.ts'
import {
  type Close,
  closeFor,
  closes,
  type FrameErrorCode,
  frameErrors,
  type Refusal,
  refusals,
} from '../../contract/codes.ts'
import { isId, isOwnSegment, sessionAuth, sessionDown, sessionUp } from '../../contract/names.ts'
import type { LossReason } from '../../contract/reasons.ts'

import { PathPattern } from '../../http/path.ts'
import { lastOf, membersOf, namesOf, stringOf } from '../../platform/json-members.ts'
import { jsonFault } from '../../platform/json-scan.ts'
import { byteRateOf, type Rate, rateOf } from '../../platform/rate.ts'
import type { DoorStats, Metrics } from '../../telemetry/metrics.ts'
import type { FlowSignal } from './flow.ts'

/** Publishes the frames of one client, in order. */
export interface UpstreamPublisher {
  /** Takes ownership of `frame`: the caller must not write to it any more. */
  publish(frame: Buffer, handshake: SpanContext | undefined): void
}

/** Publishes client frames to Redis, as far as this door needs it. */
interface Upstream {
  /**
   * Returns a publisher for one client. It calls `refused` for each frame that was not published,
   * or perhaps not. `refused` must not throw.
   */
  publisher(channel: string, refused: (code: 'upstream-unavailable' | 'upstream-uncertain') => void): UpstreamPublisher
}

type SessionOptions = Pick<
  Config,
  | 'maxMessageBytes'
  | 'jsonMaxDepth'
  | 'sessionUpstream'
  | 'sessionBinary'
  | 'sessionRefuse'
  | 'sessionRate'
  | 'sessionRateBurst'
  | 'sessionByteRateBytes'
  | 'sessionIdleTimeoutMs'
  | 'streamEndTimeoutMs'
>

const DEFAULT_MAX_MESSAGE_BYTES = 1024 * 1024

export interface SessionParts {
  readonly options: SessionOptions
  readonly upstream: Upstream
  readonly metrics: Metrics
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  /** Signals slow clients to agents; undefined when the signal is off. */
  readonly flow: FlowSignal | undefined
}

const PING = Buffer.from('ping')
/** A longer frame is more than a ping. */
const MAX_PING_BYTES = 256
const BACKSLASH = 0x5c
const ESCAPE = Buffer.from('\\u')
const KIND = namesOf('type', 'command')
/** Longer than the words that this door looks for. */
const MAX_WORD = 16
const STREAM_END = Buffer.from('"stream_end"')
/**
 * Its end. A search jumps from one first byte to the next, and underscores are rarer than quotes.
 */
const END = STREAM_END.subarray(STREAM_END.indexOf('_'))
/**
 * `render` looks for a control frame only in messages up to this size: a control frame is a few
 * words and arguments.
 */
const MAX_CONTROL_BYTES = 64 * 1024

/** What this door keeps for each socket. */
class SessionState {
  readonly agentId: string
  /** Made with the first client frame, since most clients only listen. */
  publisher: UpstreamPublisher | undefined

  constructor(agentId: string) {
    this.agentId = agentId
  }
}

const stateOf = (connection: Connection): SessionState => connection.doorState as SessionState

/**
 * `GET /{agentId}/ws/{sessionId}`: a two-way pipe over `session:<id>:down` and `session:<id>:up`.
 * docs/reference/protocol.md has its frames.
 */
export class SessionDoor implements Door, Source {
  readonly name = 'session'
  readonly subjectName = 'session'
  readonly path = new PathPattern('/:agentId/ws/:sessionId')
  readonly maxMessageBytes: number
  readonly rate: Rate
  readonly byteRate: Rate
  readonly idleTimeout: IdleTimeout | undefined
  readonly receiveBinary?: (connection: Connection, frame: Buffer) => void
  readonly stats: DoorStats
  readonly #parts: SessionParts
  readonly #afterStreamEnd: IdleTimeout | undefined

  constructor(parts: SessionParts) {
    const { options, metrics } = parts
    this.#parts = parts
    if (options.sessionBinary === 'pass') this.receiveBinary = (connection, frame) => this.#publish(connection, frame)
    this.stats = metrics.door(this.name)
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES
    this.rate = rateOf(options.sessionRate, options.sessionRateBurst)
    this.byteRate = byteRateOf(options.sessionByteRateBytes, this.maxMessageBytes)
    this.idleTimeout = idleAfter(options.sessionIdleTimeoutMs, closes.notHeard)
    this.#afterStreamEnd = idleAfter(options.streamEndTimeoutMs, closes.streamEnd)
  }

  admit([agentId = '', sessionId = '']: readonly string[]): Admission | Refusal {
    if (!isId(agentId) || !isId(sessionId)) return refusals['malformed-id']
    if (isOwnSegment(agentId)) return refusals['not-found']
    const down = sessionDown(sessionId)
    return {
      kind: 'admission',
      subject: sessionId,
      tokenKey: sessionAuth(sessionId),
      source: this,
      redisChannel: down,
      topics: [[down]],
      topicsRequired: true,
      doorState: new SessionState(agentId),
    }
  }

  refusalAsClose(refusal: Refusal): Close | undefined {
    return this.#parts.options.sessionRefuse === 'close' ? closeFor(refusal) : undefined
  }

  /**
   * Returns the bytes of the message unchanged. A `stream_end` also starts the timeout that follows
   * it.
   */
  render(topic: Topic, message: Buffer, _: string, batch: Batch): Buffer {
    if (this.#afterStreamEnd !== undefined && message.length <= MAX_CONTROL_BYTES && batch.has(END)) {
      if (message.includes(STREAM_END) && this.#isStreamEnd(message))
        for (const member of topic.members) this.#streamEnded(member)
    }
    return message
  }

  receive(connection: Connection, frame: Buffer): void {
    const { jsonMaxDepth } = this.#parts.options
    const fault = jsonFault(frame, jsonMaxDepth)
    if (fault !== undefined) {
      connection.active(connection.lastFrameAt)
      const depth = `The frame is nested deeper than ${jsonMaxDepth} levels (JSON_MAX_DEPTH); it was not published.`
      return this.#refuse(connection, 'invalid-json', fault === 'too-deep' ? depth : undefined)
    }
    const pong = pongFor(frame)
    if (pong) return this.#say(connection, { ...pong, timestamp: new Date() })
    this.#publish(connection, frame)
  }

  #publish(connection: Connection, frame: Buffer): void {
    connection.active(connection.lastFrameAt)
    if (!this.#parts.options.sessionUpstream) return this.#refuse(connection, 'upstream-disabled')
    // The bytes belong to uWebSockets.js and are reused after this call. A copy from the pool is
    // the cheapest.
    const copy = Buffer.allocUnsafe(frame.length)
    frame.copy(copy)
    const state = stateOf(connection)
    state.publisher ??= this.#newPublisher(connection)
    state.publisher.publish(copy, connection.trace)
  }

  rateLimited(connection: Connection): void {
    this.#refuse(connection, 'rate-limited')
  }

  onBackpressure(connection: Connection, level: BackpressureLevel): void {
    this.#parts.flow?.onBackpressure(connection, level)
  }

  goodbye(close: Close, reconnectAfterMs: number): Buffer | undefined {
    if (close !== closes.draining) return undefined
    return frameOf({ type: 'control', command: 'goodbye', reason: close.reason, reconnect_after_ms: reconnectAfterMs })
  }

  /**
   * Sends a frame that says that messages between two moments (ms since the epoch) may be missing.
   * It names the reason where one message is known to be missing.
   */
  gap(connection: Connection, from: number, to: number, reason?: LossReason): void {
    this.#say(connection, { type: 'control', command: 'gap', from: new Date(from), to: new Date(to), reason })
  }

  tooLarge(topic: Topic): void {
    const now = Date.now()
    for (const member of topic.members.slice()) this.gap(member, now, now, 'oversize_down')
  }

  #isStreamEnd(message: Buffer): boolean {
    if (jsonFault(message, this.#parts.options.jsonMaxDepth) !== undefined) return false
    const { type, command } = kindOf(message)
    return type === 'control' && command === 'stream_end'
  }

  #streamEnded(connection: Connection): void {
    connection.setIdleTimeout(this.#afterStreamEnd!, clockMs())
  }

  /** Counts the sockets of this door among `open` by the agent that their path names. */
  countByAgent(open: Iterable<Connection>): Map<string, number> {
    const counts = new Map<string, number>()
    for (const connection of open) {
      if (connection.door !== this) continue
      const { agentId } = stateOf(connection)
      counts.set(agentId, (counts.get(agentId) ?? 0) + 1)
    }
    return counts
  }

  #newPublisher(connection: Connection): UpstreamPublisher {
    return this.#parts.upstream.publisher(sessionUp(connection.subject), (code) => this.#refuse(connection, code))
  }

  #refuse(connection: Connection, code: FrameErrorCode, message: string = frameErrors[code]): void {
    if (code === 'invalid-json') this.#parts.metrics.lose('invalid')
    this.#say(connection, { type: 'error', code, message })
  }

  #say(connection: Connection, value: object): void {
    this.#parts.enqueue(connection, frameOf(value))
  }
}

const idleAfter = (afterMs: number, close: Close): IdleTimeout | undefined =>
  afterMs === 0 ? undefined : { afterMs, close }

/** JSON writes dates as RFC 3339 in UTC. */
const frameOf = (value: object): Buffer => Buffer.from(JSON.stringify(value))

/**
 * Whether JSON may contain this word: as it stands, or with letters written as escapes. The two
 * searches cost 0.1 us, a parse five times as much. Most frames have no backslash.
 */
const mayContain = (frame: Buffer, wanted: Buffer): boolean =>
  frame.includes(wanted) || (frame.includes(BACKSLASH) && frame.includes(ESCAPE))

/**
 * The answer to a ping that has no other member, without its time; undefined for other frames. A
 * ping with more members is the agent's: programs send one to time the whole way.
 */
function pongFor(frame: Buffer): object | undefined {
  if (frame.length > MAX_PING_BYTES || !mayContain(frame, PING)) return undefined
  const value: unknown = JSON.parse(frame.toString('utf8'))
  if (typeof value !== 'object' || value === null) return undefined
  const { type, command } = value as Record<string, unknown>
  const count = Object.keys(value).length
  if (type === 'ping' && count === 1) return { type: 'pong' }
  if (type === 'control' && command === 'ping' && count === 2) return { type, command: 'pong' }
  return undefined
}

/** The type and the command of a frame that is JSON. */
function kindOf(frame: Buffer): { type?: string | undefined; command?: string | undefined } {
  const members = membersOf(frame, KIND)
  if (members === undefined) return {}
  const word = (name: string) => stringOf(frame, lastOf(members, name), MAX_WORD)
  return { type: word('type'), command: word('command') }
}
