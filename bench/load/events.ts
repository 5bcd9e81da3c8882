/**
 * Reads the events of an answer of HTTP that goes on (chunked) from bytes that may be cut anywhere.
 * The gateway writes whole events into each chunk of HTTP, so a size stands before an event only.
 */
import type { FrameSink } from './frames.ts'

const CR = 0x0d
const LF = 0x0a
const COLON = 0x3a
const END = '\n\n'

export class EventReader {
  readonly #sink: FrameSink
  #carry: Buffer = Buffer.alloc(0)
  /** The first size has no line end before it. */
  #isFirst = true

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Reads `bytes` up to `end`. Only an incomplete event is copied. */
  read(bytes: Uint8Array, end: number): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, end)
    const whole = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk])
    const rest = whole.subarray(this.#events(whole))
    this.#carry = rest.length === 0 ? rest : Buffer.from(rest)
  }

  /** Passes on all complete events. Returns where the first incomplete one starts. */
  #events(bytes: Buffer): number {
    let at = 0
    for (let stop = bytes.indexOf(END); stop >= 0; stop = bytes.indexOf(END, at)) {
      const start = this.#isFirst || bytes[at] === CR ? afterSize(bytes, at) : at
      this.#isFirst = false
      if (bytes[start] !== COLON) this.#sink.message(bytes, start, stop - start)
      at = stop + END.length
    }
    return at
  }
}

/** Behind the size of a chunk, and the line end before it. */
function afterSize(bytes: Buffer, at: number): number {
  const digits = bytes[at] === CR ? at + 2 : at
  return bytes.indexOf(LF, digits) + 1
}
