import { preflight } from '../http/cors.ts'
import {
  DEDICATED_DECOMPRESSOR,
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
import type { Delivery } from './deliver.ts'
import type { Door } from './door.ts'
import type { Closer } from './end.ts'
import { StreamEntry, UpgradeEntry } from './entry.ts'
import type { Receiver } from './receive.ts'

/** The stages of a connection that uWebSockets.js calls. */
export interface Stages {
  readonly acceptor: Acceptor
  readonly receiver: Receiver
  readonly closer: Closer
  readonly delivery: Delivery
}

/**
 * A client frame of up to this many times the limit is still read, so that its client gets the
 * close 1009. Beyond it uWebSockets.js cuts the connection. An unfinished frame holds memory up to
 * this size.
 */
const READ_FACTOR = 2

/** Serves a door on its routes: passes each event of uWebSockets.js to its stage. */
export function mount(app: TemplatedApp, door: Door, stages: Stages): void {
  if (door.stream === undefined) mountSockets(app, door, stages)
  else mountStreams(app, door, stages)
}

function mountStreams(app: TemplatedApp, door: Door, { acceptor, closer }: Stages): void {
  const events = {
    writable: (connection: Connection) => closer.runGuarded(connection, () => closer.writable(connection)),
    gone: (connection: Connection, code: number) => closer.closed(connection, code),
    lagging: (change: 1 | -1) => closer.lagging(change),
  }
  for (const route of door.path.routes) {
    app.get(route, (res, req) =>
      acceptor.accept(
        door,
        req,
        new StreamEntry(door, res, acceptor.checks.corsOf(door, req.getHeader('origin')) ?? {}, events),
      ),
    )
    app.options(route, (res, req) => preflight(res, acceptor.checks.corsOf(door, req.getHeader('origin'))))
  }
}

function mountSockets(app: TemplatedApp, door: Door, { acceptor, receiver, closer, delivery }: Stages): void {
  const of = (ws: WebSocket<unknown>): Connection => (ws as Socket).connection
  const behavior: WebSocketBehavior<unknown> = {
    // Safari and iOS keep their compression context even when the server forbids it (RFC 7692), so
    // each socket has a decompressor of its own.
    compression: door.compression ? SHARED_COMPRESSOR | DEDICATED_DECOMPRESSOR : DISABLED,
    maxPayloadLength: door.maxForgivenBytes ?? door.maxMessageBytes * READ_FACTOR,
    // keepalive.ts closes silent sockets with a code.
    idleTimeout: 0,
    sendPingsAutomatically: false,
    // deliver.ts bounds the buffer before a frame gets here. This bounds the pongs, which the
    // library sends by itself.
    maxBackpressure: delivery.maxUnsentBytes,
    upgrade: (res, req, context) => acceptor.accept(door, req, new UpgradeEntry(door, res, req, context)),
    open: keepOpened,
    message: (ws, data, binary) =>
      closer.runGuarded(of(ws), (connection) => receiver.message(connection, data, binary)),
    ping: (ws) =>
      closer.runGuarded(of(ws), (connection) => {
        receiver.heard(connection)
        // Its pong may wait.
        closer.drained(connection)
      }),
    pong: (ws) => receiver.heard(of(ws)),
    drain: (ws) => closer.runGuarded(of(ws), (connection) => closer.writable(connection)),
    // A socket without a connection was closed during its own upgrade.
    close: (ws, code) => (of(ws) ? closer.closed(of(ws), code) : forgetOpened()),
  }
  for (const route of door.path.routes) app.ws(route, behavior)
}
