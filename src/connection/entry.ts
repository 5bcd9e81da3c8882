import type { Refusal } from '../contract/codes.ts'
import { respond } from '../http/refuse.ts'
import { listHeader } from '../http/request.ts'
import { type HttpRequest, type HttpResponse, upgradeCorked, type us_socket_context_t } from '../platform/uws.ts'
import type { Connection, Socket } from './connection.ts'
import type { Door } from './door.ts'
import { EVENT_HEADERS } from './events.ts'
import { HttpWire, type WireEvents } from './http-wire.ts'
import type { Wire } from './wire.ts'

/** How an admitted request becomes a connection, or is refused. */
export interface Entry {
  readonly res: HttpResponse
  /** Whether the client offers permessage-deflate, and the door takes it. */
  readonly compresses: boolean
  /**
   * Makes the wire. Undefined: the connection was closed at once.
   * @param protocol the subprotocol of the answer; '' for none.
   */
  open(connection: Connection, protocol: string): Wire<Connection> | undefined
  /** Makes a wire only to close it. Undefined: this kind of client reads the refusal itself. */
  openRefused?(protocol: string): Socket | undefined
  refuse(refusal: Refusal): void
  /** Answers a client that has all there is. Undefined: this kind of client gets a close for it. */
  endAtOnce?(connection: Connection): boolean
}

/** The upgrade of a WebSocket. */
export class UpgradeEntry implements Entry {
  readonly res: HttpResponse
  readonly #context: us_socket_context_t
  readonly #key: string
  /** The extensions that the client offers, if the door takes any. uWebSockets.js chooses. */
  readonly #extensions: string

  constructor(door: Door, res: HttpResponse, req: HttpRequest, context: us_socket_context_t) {
    this.res = res
    this.#context = context
    this.#key = req.getHeader('sec-websocket-key')
    this.#extensions = door.compression ? listHeader(req, 'sec-websocket-extensions') : ''
  }

  get compresses(): boolean {
    return this.#extensions.includes('permessage-deflate')
  }

  open(_: Connection, protocol: string): Socket | undefined {
    return upgradeCorked(this.res, this.#key, protocol, this.#extensions, this.#context) as Socket | undefined
  }

  openRefused(protocol: string): Socket | undefined {
    return upgradeCorked(this.res, this.#key, protocol, '', this.#context) as Socket | undefined
  }

  refuse(refusal: Refusal): void {
    respond(this.res, refusal)
  }
}

/** A GET whose answer goes on: server-sent events. */
export class StreamEntry implements Entry {
  readonly res: HttpResponse
  readonly compresses = false
  readonly #door: Door
  readonly #events: WireEvents
  readonly #cors: Readonly<Record<string, string>>

  /** @param cors the headers that let the page of this request read the answer. */
  constructor(door: Door, res: HttpResponse, cors: Readonly<Record<string, string>>, events: WireEvents) {
    this.#door = door
    this.res = res
    this.#cors = cors
    this.#events = events
  }

  open(connection: Connection): HttpWire {
    const format = this.#door.stream!
    const { ping } = format
    const wire = new HttpWire(this.res, format.encoder(), ping, this.#events)
    const all = { ...STREAM_HEADERS, ...this.#cors, ...format.headers(connection) }
    this.res.cork(() => {
      this.res.writeStatus('200 OK')
      for (const [name, value] of Object.entries(all)) this.res.writeHeader(name, value)
      // Sends the headers: the first frame may be a while away.
      this.res.write(format.hello?.(connection) ?? ping)
    })
    return wire
  }

  refuse(refusal: Refusal): void {
    respond(this.res, { ...refusal, headers: { ...refusal.headers, ...this.#cors } })
  }

  endAtOnce(connection: Connection): boolean {
    if (!this.#door.stream!.isOver(connection)) return false
    this.res.cork(() => {
      this.res.writeStatus('204 No Content')
      for (const [name, value] of Object.entries(this.#cors)) this.res.writeHeader(name, value)
      this.res.endWithoutBody(undefined, true)
    })
    return true
  }
}

const STREAM_HEADERS = { ...EVENT_HEADERS, 'X-Content-Type-Options': 'nosniff', Connection: 'close' } as const
