import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { eventually } from './wait.ts'

/** A TCP connection for bytes that no client library sends. */
export class RawSocket {
  readonly socket: Socket
  ended = false
  #chunks: Buffer[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk)
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.ended = true
    })
  }

  /** Connects to the host and port of an address; over TLS, with any certificate, to `https:`. */
  static async open(url: string): Promise<RawSocket> {
    const { protocol, hostname, port } = new URL(url)
    const isTls = protocol === 'https:' || protocol === 'wss:'
    const to = { host: hostname, port: Number(port), rejectUnauthorized: false }
    const socket = isTls ? connectTls(to) : connect(to)
    await once(socket, isTls ? 'secureConnect' : 'connect')
    return new RawSocket(socket)
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes)
  }

  /** Writes all, or what the peer takes before it cuts the connection. */
  async pour(bytes: Buffer): Promise<void> {
    const { socket } = this
    if (socket.destroyed || socket.write(bytes)) return
    await new Promise<void>((resolve) => {
      const done = () => {
        socket.off('drain', done).off('close', done)
        resolve()
      }
      socket.on('drain', done).on('close', done)
    })
  }

  /** All that came. Joined when it is read: joining megabytes at each chunk takes seconds. */
  get received(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }

  /** Forgets what came so far. */
  forget(): void {
    this.#chunks = []
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  /** Waits for the status line and headers; '' when the connection closes without an answer. */
  async head(): Promise<string> {
    await eventually(() => this.text.includes('\r\n\r\n') || this.ended, 'a response')
    return this.text.slice(0, this.text.indexOf('\r\n\r\n') + 4)
  }

  async status(): Promise<number> {
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(await this.head())?.[1] ?? 0)
  }

  async untilClosed(): Promise<void> {
    await eventually(() => this.ended, 'the connection to be closed')
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** The text of an upgrade request. A header whose value is undefined is left out. */
export function upgradeRequest(
  path: string,
  headers: Record<string, string | undefined> = {},
  line = `GET ${path} HTTP/1.1`,
): string {
  const all: Record<string, string | undefined> = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  return `${[line, ...lines].join('\r\n')}\r\n\r\n`
}

/** A client frame (RFC 6455, section 5.2). Its mask of zeros leaves the payload as it is. */
export function clientFrame(
  opcode: number,
  payload: Buffer | string,
  { fin = true, rsv = 0, masked = true } = {},
): Buffer {
  const body = Buffer.from(payload)
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const mask = masked ? 0x80 : 0
  const length =
    body.length < 126
      ? Buffer.from([mask | body.length])
      : body.length < 65536
        ? Buffer.from([mask | 126, body.length >> 8, body.length & 255])
        : Buffer.concat([Buffer.from([mask | 127]), bigEndian64(body.length)])
  return Buffer.concat([Buffer.from([first]), length, masked ? Buffer.alloc(4) : Buffer.alloc(0), body])
}

function bigEndian64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
