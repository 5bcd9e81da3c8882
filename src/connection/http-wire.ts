import type { HttpResponse } from '../platform/uws.ts'
import type { Connection } from './connection.ts'
import { EventBuffer } from './event-buffer.ts'
import { clockMs } from './times.ts'
import type { Encode, Wire } from './wire.ts'

/** What follows from the events of an answer. */
export interface WireEvents {
  /** The client has read what waited. */
  writable(connection: Connection): void
  /** The client begins (1) or ceases (-1) to lag: something waits until it has read. */
  lagging(change: 1 | -1): void
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
 * What one cork, or one write without a cork, has to say. A wire that writes within the cork of
 * another one adds behind its bytes and takes its own away again.
 */
const OUT = new EventBuffer()

let writing: HttpResponse | undefined
let written: Uint8Array = OUT.take(0)
let isTaken = false
/** One function for all writes. */
const writeBytes = (): void => {
  isTaken = writing!.write(written)
}

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
  /** What came since the library took no more. */
  #parts: Buffer[] = []
  /** Where the bytes of this cork begin in `OUT`. */
  #start = 0
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
    if (!this.#isCorked) this.#start = OUT.length
    this.#encode(frame, isBinary, OUT)
    return this.#added()
  }

  cork(write: () => void): void {
    this.#isCorked = true
    this.#start = OUT.length
    write()
    this.#isCorked = false
    this.#flush()
  }

  getBufferedAmount(): number {
    return this.#unsent
  }

  end(code: number): void {
    if (this.#isGone) return
    this.#writeParts()
    if (this.#isCorked) this.#flush()
    // `Connection: close` is in the head of the answer. Asked to close, the library would write
    // that header now, within the body.
    this.#res.cork(() => void this.#res.end(''))
    this.#gone(code)
  }

  close(): void {
    if (!this.#isGone) this.#res.close()
  }

  /** Shows proxies that the answer goes on. A client that reads is alive: it cannot answer. */
  ping(): void {
    if (this.#unsent > 0) return
    if (!this.#isCorked) this.#start = OUT.length
    OUT.add(this.#ping)
    this.#added()
    this.connection.heard(clockMs())
  }

  /** Returns 1 when what was added has left, or leaves with this cork. */
  #added(): number {
    if (this.#unsent > 0) {
      const bytes = Buffer.from(OUT.take(this.#start))
      this.#parts.push(bytes)
      this.#unsent += bytes.length
      return 0
    }
    return (this.#isCorked && OUT.length - this.#start < WRITE_BYTES) || this.#flush() ? 1 : 0
  }

  /** Returns whether the library has passed on all that was added. */
  #flush(): boolean {
    return OUT.length === this.#start || this.#write(OUT.take(this.#start))
  }

  #writeParts(): void {
    if (this.#parts.length === 0) return
    const bytes = Buffer.concat(this.#parts)
    this.#parts = []
    this.#write(bytes)
  }

  #write(bytes: Uint8Array): boolean {
    if (this.#isGone) return false
    writing = this.#res
    written = bytes
    this.#res.cork(writeBytes)
    writing = undefined
    this.#waits(isTaken ? 0 : bytes.length)
    return isTaken
  }

  #waits(bytes: number): void {
    if (bytes > 0 !== this.#unsent > 0) this.#events.lagging(bytes > 0 ? 1 : -1)
    this.#unsent = bytes
  }

  #writable(): void {
    if (this.#isGone) return
    this.#waits(0)
    this.#writeParts()
    this.#events.writable(this.connection)
  }

  #gone(code: number): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#waits(0)
    this.#events.gone(this.connection, code)
  }
}
