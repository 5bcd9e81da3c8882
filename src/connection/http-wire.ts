import type { HttpResponse } from '../platform/uws.ts'
import type { Connection } from './connection.ts'
import { clockMs } from './times.ts'
import type { Wire } from './wire.ts'

/** Turns the frames of one connection into the text of its answer. */
export type Encode = (frame: Buffer, isBinary: boolean) => Buffer

/** What follows from the events of an answer. */
export interface WireEvents {
  /** The client has read what waited. */
  writable(connection: Connection): void
  /** The answer has ended, or its connection is gone. Nothing may be written any more. */
  gone(connection: Connection, code: number): void
}

/**
 * Frames of one cork leave in one write, and from this size on at once. It is the size of the cork
 * buffer of uWebSockets.js: below it, a refusal is only reported by the write that follows.
 */
const WRITE_BYTES = 16 * 1024
/** The code of a connection that ended without a close of the server. */
const ABNORMAL = 1006

/**
 * An HTTP answer without an end, as the wire of a connection. uWebSockets.js has no bound for what
 * it keeps of an answer: from the first write that it does not pass on, nothing more is written
 * until it reports that all has left, and what comes meanwhile waits in the backlog, which counts.
 * That report also fails to come for a client that reads nothing for 10 s: the library cuts it.
 */
export class HttpWire implements Wire<Connection> {
  connection!: Connection
  readonly maxNativeBytes = 0
  readonly #res: HttpResponse
  readonly #encode: Encode
  readonly #ping: Buffer
  readonly #events: WireEvents
  #parts: Buffer[] = []
  #partBytes = 0
  #isCorked = false
  /** Bytes that the library keeps, as far as it reported that, and those that came since. */
  #unsent = 0
  #isGone = false

  constructor(res: HttpResponse, encode: Encode, ping: Buffer, events: WireEvents) {
    this.#res = res
    this.#encode = encode
    this.#ping = ping
    this.#events = events
    res.onAborted(() => this.#gone(ABNORMAL))
    // The library stops to watch the socket when this returns, so nothing is written within it.
    res.onWritable(() => {
      setImmediate(() => this.#writable())
      return true
    })
  }

  send(frame: Buffer, isBinary: boolean): number {
    return this.#take(this.#encode(frame, isBinary))
  }

  cork(write: () => void): void {
    this.#isCorked = true
    write()
    this.#isCorked = false
    if (this.#unsent === 0) this.#flush()
  }

  getBufferedAmount(): number {
    return this.#unsent
  }

  end(code: number): void {
    if (this.#isGone) return
    this.#flush()
    this.#res.cork(() => void this.#res.end('', true))
    this.#gone(code)
  }

  close(): void {
    if (!this.#isGone) this.#res.close()
  }

  /** Shows proxies that the answer goes on. A client that reads is alive: it cannot answer. */
  ping(): void {
    if (this.#unsent > 0) return
    this.#take(this.#ping)
    this.connection.heard(clockMs())
  }

  /** Returns 1 when the bytes have left, or leave with this cork. */
  #take(bytes: Buffer): number {
    this.#parts.push(bytes)
    this.#partBytes += bytes.length
    if (this.#unsent > 0) {
      this.#unsent += bytes.length
      return 0
    }
    return (this.#isCorked && this.#partBytes < WRITE_BYTES) || this.#flush() ? 1 : 0
  }

  /** Returns whether the library has passed all on. */
  #flush(): boolean {
    if (this.#partBytes === 0) return true
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
    this.#parts = []
    this.#partBytes = 0
    let isTaken = false
    this.#res.cork(() => {
      isTaken = this.#res.write(bytes)
    })
    this.#unsent = isTaken ? 0 : bytes.length
    return isTaken
  }

  #writable(): void {
    if (this.#isGone) return
    this.#unsent = 0
    this.#flush()
    this.#events.writable(this.connection)
  }

  #gone(code: number): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#events.gone(this.connection, code)
  }
}
