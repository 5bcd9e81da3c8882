import type { Batch, Source, Topic } from '../../connection/bind.ts'
import { type Connection, clockMs, type IdleTimeout, type Outlet } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import { type Close, closes, type FrameErrorCode, frameErrors, type Refusal, refusals } from '../../contract/codes.ts'
import { isId, sessionAuth, sessionDown, sessionUp } from '../../contract/names.ts'
import type { DoorStats, Metrics } from '../../telemetry/metrics.ts'
import type { FlowSignal } from './flow.ts'

/** Where client frames go, as this door needs it. */
export interface Upstream {
  /** A way up for one client. `refused` is told of each frame that could not be published, or may not have been; it must not throw. */
  outlet(channel: string, refused: (code: 'upstream-unavailable' | 'upstream-uncertain') => void): Outlet
}

export interface SessionOptions {
  readonly upstream: boolean
  readonly maxMessageBytes: number
  /** Frames a second; 0: no limit. */
  readonly rate: number
  readonly rateBurst: number
  readonly streamEndTimeoutMs: number
  readonly idleTimeoutMs: number
}

export interface SessionParts {
  readonly options: SessionOptions
  readonly upstream: Upstream
  readonly metrics: Metrics
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  /** Told of slow clients; undefined: nobody is. */
  readonly flow: FlowSignal | undefined
}

const STREAM_END = Buffer.from('"stream_end"')
/** Its end: a search leaps from one first byte to the next, and these are rarer than quotes. */
const END = STREAM_END.subarray(STREAM_END.indexOf('_'))
/** `render` looks for a control frame only in messages this short: it is a few words, and its arguments. */
const MAX_CONTROL_BYTES = 64 * 1024

/** `GET /{agentId}/ws/{sessionId}`: a two-way pipe over `session:<id>:down` and `session:<id>:up`. PROTOCOL.md tells its wire. */
export class SessionDoor implements Door, Source {
  readonly name = 'session'
  readonly subjectName = 'session'
  readonly pattern = '/:agentId/ws/:sessionId'
  readonly shape = /^\/([^/]*)\/ws\/([^/]*)$/
  readonly maxMessageBytes: number
  readonly rate: { intervalMs: number; burst: number }
  readonly quiet: IdleTimeout | undefined
  readonly stats: DoorStats
  readonly #parts: SessionParts
  readonly #afterStreamEnd: IdleTimeout | undefined

  constructor(parts: SessionParts) {
    const { options, metrics } = parts
    this.#parts = parts
    this.stats = metrics.door(this.name)
    this.maxMessageBytes = options.maxMessageBytes
    this.rate = { intervalMs: options.rate === 0 ? 0 : 1000 / options.rate, burst: options.rateBurst }
    this.quiet = quietAfter(options.idleTimeoutMs, closes.notHeard)
    this.#afterStreamEnd = quietAfter(options.streamEndTimeoutMs, closes.streamEnd)
  }

  admit([agentId = '', sessionId = '']: readonly string[]): Admission | Refusal {
    if (!isId(agentId) || !isId(sessionId)) return refusals['malformed-id']
    return {
      subject: sessionId,
      tokenKey: sessionAuth(sessionId),
      source: this,
      channels: [sessionDown(sessionId)],
      agent: agentId,
    }
  }

  /** The same bytes. */
  render(topic: Topic, message: Buffer, _: string, batch: Batch): Buffer {
    if (this.#afterStreamEnd !== undefined && message.length <= MAX_CONTROL_BYTES && batch.has(END)) {
      if (message.includes(STREAM_END) && isControl(parse(message), 'stream_end'))
        for (const member of topic.members) this.#streamEnded(member)
    }
    return message
  }

  receive(connection: Connection, frame: Buffer): void {
    const value = parse(frame)
    if (value === undefined) {
      connection.lastActivityAt = connection.lastFrameAt
      return this.#refuse(connection, 'invalid-json')
    }
    if (isObject(value) && value.type === 'ping') return this.#say(connection, { type: 'pong', timestamp: new Date() })
    if (isControl(value, 'ping'))
      return this.#say(connection, { type: 'control', command: 'pong', timestamp: new Date() })
    connection.lastActivityAt = connection.lastFrameAt
    if (!this.#parts.options.upstream) return this.#refuse(connection, 'upstream-disabled')
    // The bytes are uWebSockets.js' own until this returns; a copy from the pool costs less than one of its own.
    const copy = Buffer.allocUnsafe(frame.length)
    frame.copy(copy)
    connection.outlet ??= this.#outlet(connection)
    connection.outlet.publish(copy, connection.trace)
  }

  rateLimited(connection: Connection): void {
    this.#refuse(connection, 'rate-limited')
  }

  pressure(connection: Connection, slow: boolean): void {
    this.#parts.flow?.changed(connection, slow)
  }

  goodbye(close: Close, reconnectAfterMs: number): Buffer | undefined {
    if (close !== closes.draining) return undefined
    return frameOf({ type: 'control', command: 'goodbye', reason: close.reason, reconnect_after_ms: reconnectAfterMs })
  }

  /** Tells a socket that messages between two moments (ms since the epoch) may be missing. */
  gap(connection: Connection, from: number, to: number): void {
    this.#say(connection, { type: 'control', command: 'gap', from: new Date(from), to: new Date(to) })
  }

  #streamEnded(connection: Connection): void {
    connection.quiet = this.#afterStreamEnd
    connection.due(clockMs() + this.#afterStreamEnd!.afterMs)
  }

  #outlet(connection: Connection): Outlet {
    return this.#parts.upstream.outlet(sessionUp(connection.subject), (code) => this.#refuse(connection, code))
  }

  #refuse(connection: Connection, code: FrameErrorCode): void {
    if (code === 'invalid-json') this.#parts.metrics.lose('invalid')
    this.#say(connection, { type: 'error', code, message: frameErrors[code] })
  }

  #say(connection: Connection, value: object): void {
    this.#parts.enqueue(connection, frameOf(value))
  }
}

const quietAfter = (afterMs: number, close: Close): IdleTimeout | undefined =>
  afterMs === 0 ? undefined : { afterMs, close }

/** Dates become RFC 3339, in UTC. */
const frameOf = (value: object): Buffer => Buffer.from(JSON.stringify(value))

/** Undefined when it is not JSON (no JSON text means undefined). */
function parse(frame: Buffer): unknown {
  try {
    return JSON.parse(frame.toString('utf8'))
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

const isControl = (value: unknown, command: string): boolean =>
  isObject(value) && value.type === 'control' && value.command === command
