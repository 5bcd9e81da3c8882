/**
 * Reads the frames of a WebSocket server (RFC 6455, section 5.2; never masked) from chunks that may
 * be cut anywhere.
 */

/** Receives the frames. The bytes are only valid during the call. */
export interface FrameSink {
  message(bytes: Uint8Array, start: number, length: number): void
  control(opcode: number, payload: Uint8Array): void
  fault(why: string): void
}

const FINAL = 0x80
const MASKED = 0x80
const NONE = new Uint8Array(0)

export class FrameReader {
  readonly #sink: FrameSink
  #carry: Uint8Array = NONE

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /**
   * Reads `bytes` up to `end`. Only an incomplete frame is copied; all others are read in place.
   */
  read(bytes: Uint8Array, end: number): void {
    if (this.#carry.length === 0) {
      this.#keep(bytes, this.#frames(bytes, 0, end), end)
      return
    }
    const joined = new Uint8Array(this.#carry.length + end)
    joined.set(this.#carry)
    joined.set(bytes.subarray(0, end), this.#carry.length)
    this.#keep(joined, this.#frames(joined, 0, joined.length), joined.length)
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.#carry = start === end ? NONE : new Uint8Array(bytes.subarray(start, end)) // a Buffer's slice would not copy
  }

  /** Passes on all complete frames. Returns where the first incomplete frame starts. */
  #frames(bytes: Uint8Array, from: number, end: number): number {
    let at = from
    while (end - at >= 2) {
      let length = bytes[at + 1]!
      let start = at + 2
      if (length >= 126) {
        const extra = length === 126 ? 2 : 8
        if (end - start < extra) return at
        length = longLength(bytes, start, extra)
        start += extra
      }
      if (end - start < length) return at
      this.#frame(bytes, bytes[at]!, start, length)
      at = start + length
    }
    return at
  }

  #frame(bytes: Uint8Array, first: number, start: number, length: number): void {
    if (first === 0x81 || first === 0x82) this.#sink.message(bytes, start, length)
    else if (first >= (FINAL | 8) && first <= (FINAL | 10))
      this.#sink.control(first & 15, bytes.subarray(start, start + length))
    else this.#sink.fault(`frame with first byte 0x${first.toString(16)}`)
  }
}

function longLength(bytes: Uint8Array, at: number, count: number): number {
  let length = 0
  for (let i = 0; i < count; i++) length = length * 256 + bytes[at + i]!
  return length
}

/**
 * A frame of up to 125 bytes as a client sends it. Its mask is 0, which leaves the payload
 * unchanged.
 */
export function clientControlFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(6 + payload.length)
  frame[0] = FINAL | opcode
  frame[1] = MASKED | payload.length
  frame.set(payload, 6)
  return frame
}

/** A text frame of up to 65,535 bytes as a client sends it, also masked with 0. */
export function clientTextFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  if (payload.length <= 125) return Buffer.from(clientControlFrame(1, payload))
  const head = [FINAL | 1, MASKED | 126, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]
  return Buffer.concat([Buffer.from(head), payload])
}
