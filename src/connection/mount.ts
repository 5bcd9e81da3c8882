import {
  DISABLED,
  forgetOpened,
  keepOpened,
  SHARED_COMPRESSOR,
  type TemplatedApp,
  type WebSocket,
  type WebSocketBehavior,
} from '../platform/uws.ts'
import type { Acceptor } from './accept.ts'
import type { Connection, Socket } from './connection.ts'
import type { Door } from './door.ts'
import type { Closer } from './end.ts'
import type { Receiver } from './receive.ts'

/** The stages of a connection's life that uWebSockets.js calls. */
export interface Stages {
  readonly acceptor: Acceptor
  readonly receiver: Receiver
  readonly closer: Closer
}

/** A frame of a client may announce so many times the limit and still be read, so that the client gets its 1009; past it the connection is cut. */
const READ_FACTOR = 8

/** Puts a door on its path: what uWebSockets.js tells goes to the stage that it concerns. */
export function mount(app: TemplatedApp, door: Door, { acceptor, receiver, closer }: Stages): void {
  const of = (ws: WebSocket<unknown>): Connection => (ws as Socket).connection
  const behavior: WebSocketBehavior<unknown> = {
    compression: door.compressed ? SHARED_COMPRESSOR : DISABLED,
    maxPayloadLength: door.maxMessageBytes * READ_FACTOR,
    // Both are ours to watch: end.ts closes silent sockets with a code, deliver.ts bounds the buffer before uWebSockets.js sees a frame.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    maxBackpressure: 0,
    upgrade: (res, req, context) => acceptor.upgrade(door, res, req, context),
    open: keepOpened,
    message: (ws, data, binary) =>
      closer.runGuarded(of(ws), (connection) => receiver.message(connection, data, binary)),
    ping: (ws) => receiver.heard(of(ws)),
    pong: (ws) => receiver.heard(of(ws)),
    drain: (ws) => closer.runGuarded(of(ws), (connection) => closer.drained(connection)),
    // One without a connection was closed in its own upgrade.
    close: (ws, code) => (of(ws) ? closer.closed(of(ws), code) : forgetOpened()),
  }
  for (const route of door.path.routes) app.ws(route, behavior)
}
