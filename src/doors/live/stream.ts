import { createHmac, randomBytes } from 'node:crypto'
import type { Config } from '../../config/table.ts'
import type { Rights } from '../../connection/auth.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import type { EventBuffer } from '../../connection/event-buffer.ts'
import { EVENT_PINGS, eventOf } from '../../connection/events.ts'
import type { StreamFormat } from '../../connection/wire.ts'
import { type Close, closes, lifetimeClose, type Refusal, refusals } from '../../contract/codes.ts'
import type { Cors } from '../../http/cors.ts'
import { PathPattern } from '../../http/path.ts'
import { refused } from '../../http/refuse.ts'
import { type ApiResponse, json } from '../../http/response.ts'
import type { ApiRequest, Route } from '../../http/routes.ts'
import type { Rate } from '../../platform/rate.ts'
import { bearerToken, sameSecret } from '../../platform/secrets.ts'
import { connectionId, serialOf } from '../../telemetry/log.ts'
import type { DoorStats, Metrics } from '../../telemetry/metrics.ts'
import type { LiveDoor } from './door.ts'

export interface LiveStreamParts {
  readonly options: Pick<Config, 'livePath' | 'ssePing' | 'ssePingIntervalMs' | 'sseMaxLifetimeMs'>
  readonly live: LiveDoor
  readonly cors: (origin: string) => Cors | undefined
  /** Takes a frame of the client, as one of a socket. */
  readonly received: (connection: Connection, frame: ArrayBuffer) => void
  readonly metrics: Metrics
}

const TYPE = '{"type":"'
const QUOTE = 0x22
const RECONNECT = /"reconnect_after_ms":(\d+)/
const NO_STREAM: Refusal = {
  ...refusals['not-found'],
  message:
    'This instance has no stream with this id. The id begins with the name of its instance: send the call there.',
}

/**
 * `GET <LIVE_PATH>/sse`: the frames of the live door as server-sent events, each with its type as
 * its name. `POST <LIVE_PATH>/sse/<connection id>` takes a frame of its client; what the door
 * answers comes on the stream. No stream is idle: its client cannot send a ping on it, and the
 * comments show whether it is there.
 */
export class LiveStreamDoor implements Door {
  static readonly NAME = 'live-sse'
  readonly name = LiveStreamDoor.NAME
  readonly subjectName = 'view'
  readonly path: PathPattern
  readonly stream: StreamFormat<Connection>
  readonly pingIntervalMs: number
  readonly maxLifetimeMs: number
  readonly maxMessageBytes: number
  readonly maxDrops: number
  readonly rate: Rate
  readonly byteRate: Rate
  readonly idleTimeout = undefined
  readonly allowedOrigins?: readonly string[]
  readonly stats: DoorStats
  readonly routes: readonly Route[]
  readonly #parts: LiveStreamParts
  readonly #open = new Map<number, Connection>()
  readonly #secret = randomBytes(32)
  /** Streams of a topic get the same frame one after the other. */
  #last: { readonly frame: Buffer; readonly event: Buffer } | undefined

  constructor(parts: LiveStreamParts) {
    const { options, live, metrics, cors } = parts
    this.#parts = parts
    const base = `${options.livePath === '/' ? '' : options.livePath}/sse`
    this.path = new PathPattern(base)
    this.stats = metrics.door(this.name)
    this.pingIntervalMs = options.ssePingIntervalMs
    this.maxLifetimeMs = options.sseMaxLifetimeMs
    this.maxMessageBytes = live.maxMessageBytes
    this.maxDrops = live.maxDrops
    this.rate = live.rate
    this.byteRate = live.byteRate
    if (live.allowedOrigins) this.allowedOrigins = live.allowedOrigins
    this.stream = {
      encoder: () => this.#encode,
      ping: EVENT_PINGS[options.ssePing],
      hello: (connection) => this.#hello(connection),
      headers: () => ({}),
      isOver: () => false,
    }
    this.routes = [
      {
        method: 'POST',
        path: `${base}/:connectionId`,
        cors,
        maxBodyBytes: live.maxMessageBytes,
        answer: (request) => this.#post(request),
      },
    ]
  }

  admit(_: readonly string[], query = ''): Admission | Refusal {
    return this.#parts.live.admit([new URLSearchParams(query).get('view') ?? 'dashboard'], query)
  }

  grants(admission: Admission, rights: Rights, query: string): Admission | undefined {
    return this.#parts.live.grants(admission, rights, query)
  }

  opened(connection: Connection): void {
    this.#open.set(connection.serial, connection)
    this.#parts.live.opened(connection)
  }

  closed(connection: Connection): void {
    this.#open.delete(connection.serial)
    this.#parts.live.closed(connection)
  }

  receive(connection: Connection, frame: Buffer): void {
    this.#parts.live.receive(connection, frame)
  }

  rateLimited(connection: Connection): void {
    this.#parts.live.rateLimited(connection)
  }

  /** The contract has no reason for a greatest age: its client comes back as after a drain. */
  goodbye(close: Close, reconnectAfterMs: number): Buffer {
    return close === lifetimeClose
      ? this.#parts.live.goodbye(closes.draining, 0)
      : this.#parts.live.goodbye(close, reconnectAfterMs)
  }

  expiring(expiresAt: number, leftMs: number): Buffer {
    return this.#parts.live.expiring(expiresAt, leftMs)
  }

  /** Not a frame of the contract: what the client needs for its calls. */
  #hello({ serial }: Connection): Buffer {
    const hello = { connection_id: connectionId(serial), secret: this.#secretOf(serial) }
    return eventOf('event: stream\n', Buffer.from(JSON.stringify(hello)))
  }

  readonly #encode = (frame: Buffer, _: boolean, out: EventBuffer): void => {
    if (this.#last?.frame !== frame) this.#last = { frame, event: eventOf(fieldsOf(frame), frame) }
    out.add(this.#last.event)
  }

  #post({ params, headers, body }: ApiRequest): ApiResponse {
    const serial = serialOf(params[0] ?? '')
    const connection = serial === undefined ? undefined : this.#open.get(serial)
    const given = bearerToken(headers.authorization)
    if (given === undefined) return refused(refusals['credentials-missing'])
    if (connection === undefined) return refused(NO_STREAM)
    if (!sameSecret(given, this.#secretOf(connection.serial))) return refused(refusals['token-rejected'])
    const bytes = Uint8Array.from(body)
    this.#parts.received(connection, bytes.buffer)
    return json('202 Accepted', {})
  }

  #secretOf(serial: number): string {
    return createHmac('sha256', this.#secret).update(String(serial)).digest('base64url')
  }
}

/** The fields before the data: the type as the name, and when to come back after the last frame. */
function fieldsOf(frame: Buffer): string {
  if (frame.toString('latin1', 0, TYPE.length) !== TYPE) return ''
  const type = frame.toString('latin1', TYPE.length, frame.indexOf(QUOTE, TYPE.length))
  const after = type === 'disconnect_notice' ? RECONNECT.exec(frame.toString('utf8'))?.[1] : undefined
  return `${after === undefined ? '' : `retry: ${after}\n`}event: ${type}\n`
}
