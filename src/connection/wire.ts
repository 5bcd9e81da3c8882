import type { EventBuffer } from './event-buffer.ts'

/**
 * What a connection writes to. The names and results are those of a socket of uWebSockets.js, so a
 * WebSocket is a wire as it stands, without an object or a call more on the path of a message.
 */
export interface Wire<Connection> {
  /** Leads from the events of the wire to its connection. */
  connection: Connection
  /**
   * Bytes that the library may hold before frames wait in a `Backlog`. Default:
   * `MAX_NATIVE_BYTES`.
   */
  readonly maxNativeBytes?: number
  /** Returns 1 when the frame has left, else it waits: `getBufferedAmount` counts it. */
  send(frame: Buffer, isBinary: boolean, compress: boolean): number
  /** What `write` sends leaves together. */
  cork(write: () => void): unknown
  getBufferedAmount(): number
  /** Ends it in an orderly way, behind what was sent. */
  end(code: number, reason: string): void
  /** Cuts the TCP connection. */
  close(): unknown
  /** Asks for a sign of life. */
  ping(): unknown
}

/** Adds a frame of one connection to the text of its answer. */
export type Encode = (frame: Buffer, isBinary: boolean, out: EventBuffer) => void

/** How the frames of a door become the text of an answer. */
export interface StreamFormat<Connection> {
  /** Makes the function for one answer. */
  encoder(): Encode
  /** What is sent while nothing else is. */
  readonly ping: Buffer
  /** What is sent with the headers. Default: `ping`. */
  hello?(connection: Connection): Buffer
  /** Headers beside those of every stream. */
  headers(connection: Connection): Readonly<Record<string, string>>
  /** Whether the client has all there is, and nothing will follow: it gets 204. */
  isOver(connection: Connection): boolean
}

/**
 * `high`: the unsent bytes of a socket passed half of its buffer. `low`: they fell below a quarter,
 * or the socket is gone.
 */
export type BackpressureLevel = 'high' | 'low'
