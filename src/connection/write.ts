import { Backlog, MAX_NATIVE_BYTES } from './backlog.ts'
import type { Connection } from './connection.ts'
import { clockMs } from './times.ts'
import type { Wire } from './wire.ts'

/**
 * Outcome of a write: `sent`, `buffered`, or `full` when the buffer has no room and the frame was
 * not taken.
 */
export const Written = { sent: 0, buffered: 1, full: 2 } as const
export type Written = (typeof Written)[keyof typeof Written]

/**
 * Writes one frame if nothing waits, or if the unsent bytes stay within `maxBytes` with it. The
 * bound is checked before uWebSockets.js gets the frame, so it is never passed. Only an open socket
 * may be written to, with or without a cork. The caller must not change the frame in this tick.
 */
export function write(connection: Connection, frame: Buffer, binary: boolean, maxBytes: number): Written {
  const { length } = frame
  if (connection.buffered > 0) look(connection)
  if (connection.buffered > 0 && connection.buffered + length > maxBytes) {
    connection.consecutiveDrops++
    return Written.full
  }
  connection.consecutiveDrops = 0
  connection.framesOut++
  connection.bytesOut += length
  if (connection.backlog !== undefined || isFull(connection)) {
    connection.backlog ??= new Backlog()
    connection.backlog.push(frame, binary)
    connection.buffered += length
    return Written.buffered
  }
  const wire = connection.wire!
  if (wire.send(frame, binary, isCompressed(connection, frame)) === 1) {
    connection.buffered = 0
    return Written.sent
  }
  connection.buffered = wire.getBufferedAmount()
  return Written.buffered
}

/**
 * Writes what waits as far as uWebSockets.js has room, and updates `buffered`. Fewer unsent bytes
 * mean that the client has read, which is a sign of life. Call it when uWebSockets.js reports a
 * drain.
 */
export function drained(connection: Connection): void {
  const before = connection.buffered
  look(connection)
  if (connection.buffered < before) connection.heard(clockMs())
}

/** The socket is gone, and what was unsent with it. */
export function dropUnsent(connection: Connection): void {
  connection.buffered = 0
  connection.backlog?.clear()
  connection.backlog = undefined
}

/** Writes what waits as far as there is room, and updates `buffered`. */
export function look(connection: Connection): void {
  const wire = connection.wire!
  if (connection.backlog !== undefined) refill(wire, connection, connection.backlog)
  if (connection.backlog?.isEmpty) connection.backlog = undefined
  connection.buffered = wire.getBufferedAmount() + (connection.backlog?.bytes ?? 0)
}

/**
 * Goes on until uWebSockets.js holds enough: it reports a drain only while it holds anything. The
 * end of a cork may write all that it held.
 */
function refill(wire: Wire<Connection>, connection: Connection, backlog: Backlog): void {
  const hasRoom = () => wire.getBufferedAmount() <= (wire.maxNativeBytes ?? MAX_NATIVE_BYTES)
  const send = (frame: Buffer, binary: boolean) => {
    wire.send(frame, binary, isCompressed(connection, frame))
    return hasRoom()
  }
  while (!backlog.isEmpty && hasRoom()) wire.cork(() => backlog.drain(send))
}

/** Whether the library holds as much as it may. Nothing waits on most writes. */
const isFull = ({ buffered, wire }: Connection): boolean =>
  buffered > 0 && buffered > (wire!.maxNativeBytes ?? MAX_NATIVE_BYTES)

const isCompressed = ({ compresses, door }: Connection, { length }: Buffer): boolean =>
  compresses && door.compression!.takes(length)
