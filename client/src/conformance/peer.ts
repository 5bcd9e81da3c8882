import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const FIN = 0x80
/** A payload of more bytes has its length in two further bytes. */
const SHORT = 125
const LENGTH_OF_TWO = 126
const MASK_BYTES = 4

/** The server's end of one WebSocket (RFC 6455), as far as a test of clients needs it. */
export class Peer {
  readonly #socket: Duplex
  #bytes: Buffer
  #isMute = false
  /** Whether a frame has come since `mute`. */
  hasHeard = false

  /** Answers the upgrade with the key of the request. */
  constructor(socket: Duplex, head: Buffer, key: string, protocol: string) {
    this.#socket = socket
    this.#bytes = head
    const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64')
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
    )
    // The client may go at any moment.
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes])
      this.#read()
    })
  }

  /** Sends a text frame for a text or an object, and a binary frame for bytes. */
  say(...frames: readonly (string | object)[]): void {
    for (const frame of frames) {
      if (Buffer.isBuffer(frame)) this.#write(BINARY, frame)
      else this.#write(TEXT, Buffer.from(typeof frame === 'string' ? frame : JSON.stringify(frame)))
    }
  }

  /** Closes with a code that the client can read. */
  end(code: number, reason: string): void {
    const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)])
    payload.writeUInt16BE(code)
    this.#write(CLOSE, payload)
    this.#socket.end()
  }

  /** Answers nothing from now on, as a network that has gone. */
  mute(): void {
    this.#isMute = true
  }

  /** Cuts the connection without a close frame. */
  cut(): void {
    this.#socket.destroy()
  }

  #write(opcode: number, payload: Buffer): void {
    if (!this.#socket.writable) return
    const { length } = payload
    const head = length <= SHORT ? [FIN | opcode, length] : [FIN | opcode, LENGTH_OF_TWO, length >> 8, length & 0xff]
    this.#socket.write(Buffer.concat([Buffer.from(head), payload]))
  }

  /** Answers pings and closes. What else a client sends does not matter here. */
  #read(): void {
    while (this.#bytes.length >= 2) {
      const opcode = this.#bytes[0]! & 0xf
      const marked = this.#bytes[1]! & 0x7f
      // No client of these cases sends frames of 64 KiB.
      if (marked > LENGTH_OF_TWO) return this.cut()
      const start = marked === LENGTH_OF_TWO ? 4 : 2
      if (this.#bytes.length < start) return
      const length = marked === LENGTH_OF_TWO ? this.#bytes.readUInt16BE(2) : marked
      const end = start + MASK_BYTES + length
      if (this.#bytes.length < end) return
      const mask = this.#bytes.subarray(start, start + MASK_BYTES)
      const payload = Buffer.from(this.#bytes.subarray(start + MASK_BYTES, end)).map((byte, i) => byte ^ mask[i % 4]!)
      this.#bytes = this.#bytes.subarray(end)
      if (this.#isMute) {
        this.hasHeard = true
        continue
      }
      if (opcode === PING) this.#write(PONG, Buffer.from(payload))
      if (opcode !== CLOSE) continue
      this.#write(CLOSE, Buffer.from(payload))
      this.#socket.end()
    }
  }
}
