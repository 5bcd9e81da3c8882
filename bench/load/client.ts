/**
 * One client on a raw TCP socket, of a WebSocket or of a stream over HTTP. It does the handshake,
 * then reads with as little work per message as possible.
 */
import { connect, type Socket } from 'node:net'
import { nowUs } from './clock.ts'
import type { Dialect } from './dialects.ts'
import { EventReader } from './events.ts'
import { clientControlFrame, clientTextFrame, FrameReader, type FrameSink } from './frames.ts'
import type { Counter } from './tally.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==' // the key of RFC 6455, section 1.3, and its answer
const ACCEPT = /\r\nsec-websocket-accept: *s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i

const CLOSE = 8
const PING = 9
const PONG = 10

/**
 * All sockets read into this buffer, one after the other: a chunk is read and handled in one
 * synchronous step.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(256 * 1024)

/** Where a client connects, and with which identity. */
export interface Door {
  port: number
  path: string
  token: string
  /** Set where the dialect needs more than the upgrade. */
  dialect?: Dialect
  /** The number of its session, or of the path that names its topics. */
  session?: number
}

/** Callbacks, each called once: `opened` or `failed`, and `closed` after `opened`. */
export interface ClientOwner {
  opened(client: Client): void
  failed(client: Client, why: string): void
  closed(client: Client, why: string): void
}

export class Client implements FrameSink {
  readonly startedUs = nowUs()
  readonly #owner: ClientOwner
  readonly #tally: Counter
  readonly #socket: Socket
  readonly #frames: { read(bytes: Uint8Array, end: number): void }
  readonly #dialect: Dialect | undefined
  /** The session of the client. */
  readonly session: number
  #phase: 'handshake' | 'hello' | 'open' | 'over' = 'handshake'
  #head = ''
  #due = 0
  #arrivedUs = 0

  constructor(door: Door, owner: ClientOwner, tally: Counter) {
    this.#owner = owner
    this.#tally = tally
    this.#dialect = door.dialect
    this.session = door.session ?? 0
    this.#frames = door.dialect?.isStream ? new EventReader(this) : new FrameReader(this)
    const onread = { buffer: READ_BUFFER, callback: (count: number) => this.#read(count) }
    this.#socket = connect({ host: '127.0.0.1', port: door.port, noDelay: true, onread })
    this.#socket.on('error', (error) => this.end(error.message))
    this.#socket.on('close', () => this.end('connection closed'))
    this.#socket.write(upgradeRequest(door))
  }

  /** Ends the client for the named reason; only the first reason counts. */
  end(why: string): void {
    const phase = this.#phase
    this.#phase = 'over'
    if (phase === 'handshake' || phase === 'hello') this.#owner.failed(this, why)
    if (phase === 'open') this.#owner.closed(this, why)
    this.#socket.destroy()
  }

  /** Stops reading. */
  pause(): void {
    this.#socket.pause()
  }

  /** The sequence number that the next message must have. */
  get due(): number {
    return this.#due
  }

  /** Writes bytes that contain whole frames. */
  send(frames: Uint8Array): void {
    this.#socket.write(frames)
  }

  message(bytes: Uint8Array, start: number, length: number): void {
    if (this.#phase === 'hello') return this.#answer(textOf(bytes, start, length))
    const ping = this.#dialect?.ping
    if (ping !== undefined && length === ping.frame.length && textOf(bytes, start, length) === ping.frame)
      return this.send(clientTextFrame(ping.answer))
    const ignored = this.#dialect?.ignored
    // Messages begin with another byte, so only the others become text.
    if (ignored !== undefined && bytes[start] === ignored.charCodeAt(0))
      if (textOf(bytes, start, length).startsWith(ignored)) return
    this.#due = this.#tally.count(bytes, start, length, this.#due, this.#arrivedUs, this.session)
  }

  control(opcode: number, payload: Uint8Array): void {
    if (opcode === PING) this.#socket.write(clientControlFrame(PONG, payload))
    if (opcode === CLOSE) this.end(`close ${payload.length >= 2 ? payload[0]! * 256 + payload[1]! : 1005}`)
  }

  fault(why: string): void {
    this.end(why)
  }

  #read(count: number): boolean {
    if (this.#phase === 'open' || this.#phase === 'hello') {
      this.#arrivedUs = nowUs()
      this.#frames.read(READ_BUFFER, count)
    } else if (this.#phase === 'handshake') {
      this.#readHead(count)
    }
    return true
  }

  #readHead(count: number): void {
    const before = this.#head.length
    this.#head += READ_BUFFER.toString('latin1', 0, count)
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return
    const refusal = refusalIn(this.#head.slice(0, end + 2), this.#dialect?.isStream)
    this.#head = ''
    if (refusal) this.end(refusal)
    else this.#open(READ_BUFFER.subarray(end + 4 - before, count))
  }

  /** `rest` is what followed the 101 in the same chunk. */
  #open(rest: Uint8Array): void {
    this.#arrivedUs = nowUs()
    const hello = this.#dialect?.hello
    this.#phase = hello ? 'hello' : 'open'
    if (hello?.says) this.send(clientTextFrame(hello.says(this.session)))
    if (!hello) this.#owner.opened(this)
    if (rest.length > 0) this.#frames.read(rest, rest.length)
  }

  /**
   * Handles a frame before the one that opens the client. Earlier frames of the server are ignored.
   */
  #answer(frame: string): void {
    if (!frame.startsWith(this.#dialect!.hello!.answer)) {
      if (!frame.startsWith('0{')) this.end(`refused with ${frame.slice(0, 80)}`)
      return
    }
    this.#phase = 'open'
    this.#owner.opened(this)
  }
}

const textOf = (bytes: Uint8Array, start: number, length: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString()

function refusalIn(head: string, isStream = false): string | undefined {
  if (isStream) return head.startsWith('HTTP/1.1 200 ') ? undefined : `refused with ${head.slice(9, 12)}`
  if (!head.startsWith('HTTP/1.1 101 ')) return `refused with ${head.slice(9, 12)}`
  return ACCEPT.test(head) ? undefined : 'wrong Sec-WebSocket-Accept'
}

/** The text of the upgrade request. */
export function upgradeRequest({ port, path, token, dialect }: Door): string {
  const protocol = dialect?.protocol ? `Sec-WebSocket-Protocol: ${dialect.protocol}\r\n` : ''
  if (dialect?.isStream)
    return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`
  const origin = dialect?.origin ? `Origin: ${dialect.origin}\r\n` : ''
  return (
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${origin}${protocol}Authorization: Bearer ${token}\r\n\r\n`
  )
}
