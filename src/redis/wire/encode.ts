/** A command and its arguments. The caller must not write to a Buffer after it was passed. */
export type Args = readonly (string | Buffer)[]

/** Methods of Buffer that Node's types lack. They skip the lookup of the encoding by its name. */
interface Writes {
  latin1Write(text: string, at: number): number
  utf8Write(text: string, at: number): number
}

const SLAB_BYTES = 64 * 1024
/**
 * Arguments up to this size are copied into the slab. Larger ones are written from their own
 * memory.
 */
const MAX_COPIED_BYTES = 16 * 1024
/**
 * Strings up to this length are written by a loop: a call into Node costs more than so few letters.
 */
const MAX_LOOPED = 128
/** A type, a length of ten digits, and the CRLF behind both and behind the value. */
const FRAMING_BYTES = 15

const ARRAY = 0x2a
const BULK = 0x24
const ZERO = 0x30
const CR = 0x0d
const LF = 0x0a

/**
 * Encodes commands as arrays of bulk strings, one after the other in one buffer, so that all
 * commands of one turn of the event loop are one write. RESP:
 * https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export class CommandWriter {
  #slab: Buffer & Writes = slabOf(0)
  #from = 0
  #at = 0
  /** Buffers that go out before the rest of the slab. */
  #parts: Buffer[] = []

  append(args: Args): void {
    this.#reserve(FRAMING_BYTES)
    this.#head(ARRAY, args.length)
    for (const arg of args) {
      if (typeof arg !== 'string') this.#bytes(arg)
      else if (arg.length > MAX_LOOPED || !this.#ascii(arg)) this.#text(arg)
    }
  }

  /** Returns everything appended since the last call, in order. */
  take(): Buffer[] {
    this.#cut()
    const taken = this.#parts
    this.#parts = []
    return taken
  }

  /** Reuses the memory of the taken buffers. Call it only when the socket has written them all. */
  reuse(): void {
    if (this.#from !== this.#at) return
    // Do not keep a large slab for small commands.
    if (this.#slab.length > SLAB_BYTES) this.#slab = slabOf(0)
    this.#from = 0
    this.#at = 0
  }

  /** Appends a short string. Returns false, and appends nothing, when it is not ASCII. */
  #ascii(text: string): boolean {
    const { length } = text
    this.#reserve(length + FRAMING_BYTES)
    const start = this.#at
    this.#head(BULK, length)
    const slab = this.#slab
    const from = this.#at
    let units = 0
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      units |= unit
      slab[from + i] = unit
    }
    this.#at = units > 127 ? start : from + length
    if (units > 127) return false
    this.#end()
    return true
  }

  #text(text: string): void {
    const bytes = Buffer.byteLength(text)
    this.#reserve(bytes + FRAMING_BYTES)
    this.#head(BULK, bytes)
    if (bytes === text.length) this.#slab.latin1Write(text, this.#at)
    else this.#slab.utf8Write(text, this.#at)
    this.#at += bytes
    this.#end()
  }

  #bytes(bytes: Buffer): void {
    this.#reserve(FRAMING_BYTES)
    this.#head(BULK, bytes.length)
    if (bytes.length > MAX_COPIED_BYTES) {
      this.#cut()
      this.#parts.push(bytes)
      this.#reserve(FRAMING_BYTES)
    } else {
      this.#reserve(bytes.length + FRAMING_BYTES)
      this.#slab.set(bytes, this.#at)
      this.#at += bytes.length
    }
    this.#end()
  }

  /** Appends a type and a length. */
  #head(type: number, length: number): void {
    const slab = this.#slab
    slab[this.#at++] = type
    let digits = 1
    for (let most = 10; length >= most; most *= 10) digits++
    let rest = length
    for (let at = this.#at + digits - 1; at >= this.#at; at--) {
      const next = Math.floor(rest / 10)
      slab[at] = ZERO + rest - next * 10
      rest = next
    }
    this.#at += digits
    this.#end()
  }

  #end(): void {
    this.#slab[this.#at++] = CR
    this.#slab[this.#at++] = LF
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return
    this.#cut()
    this.#slab = slabOf(Math.max(SLAB_BYTES, bytes))
    this.#from = 0
    this.#at = 0
  }

  #cut(): void {
    if (this.#at > this.#from) this.#parts.push(this.#slab.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}

const slabOf = (bytes: number) => Buffer.allocUnsafeSlow(bytes) as Buffer & Writes
