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
/** UTF-8 bytes of one UTF-16 code unit. */
const MAX_BYTES_PER_UNIT = 3

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
    let text = `*${args.length}\r\n`
    let ascii = true
    for (const arg of args) {
      if (typeof arg === 'string') {
        const length = Buffer.byteLength(arg)
        if (length !== arg.length) ascii = false
        text += `$${length}\r\n${arg}\r\n`
      } else {
        this.#text(`${text}$${arg.length}\r\n`, ascii)
        this.#bytes(arg)
        text = '\r\n'
        ascii = true
      }
    }
    this.#text(text, ascii)
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

  #text(text: string, ascii: boolean): void {
    this.#reserve(ascii ? text.length : text.length * MAX_BYTES_PER_UNIT)
    this.#at += ascii ? this.#slab.latin1Write(text, this.#at) : this.#slab.utf8Write(text, this.#at)
  }

  #bytes(bytes: Buffer): void {
    if (bytes.length > MAX_COPIED_BYTES) {
      this.#cut()
      this.#parts.push(bytes)
      return
    }
    this.#reserve(bytes.length)
    this.#slab.set(bytes, this.#at)
    this.#at += bytes.length
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
