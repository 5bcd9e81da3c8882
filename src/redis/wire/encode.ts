/** What a command is made of; a Buffer that is handed over is not to be written to any more. */
export type Args = readonly (string | Buffer)[]

/** What Node's types leave out: text without the detour over the name of its encoding. */
interface Writes {
  latin1Write(text: string, at: number): number
  utf8Write(text: string, at: number): number
}

const SLAB_BYTES = 64 * 1024
/** A larger argument goes out from where it is instead of being copied. */
const COPIED_BYTES = 16 * 1024
/** In UTF-8, of one UTF-16 code unit. */
const MAX_UNIT_BYTES = 3

/**
 * Commands on their way out, as arrays of bulk strings (RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/), one behind the other in one buffer:
 * what is given within one turn of the event loop is one write.
 */
export class CommandWriter {
  #slab: Buffer & Writes = slabOf(0)
  #from = 0
  #at = 0
  /** What is before the slab. */
  #full: Buffer[] = []

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

  /** All that was appended since the last call, in order. */
  take(): Buffer[] {
    this.#cut()
    const taken = this.#full
    this.#full = []
    return taken
  }

  /** Nobody reads what was taken any more: its room is used again. */
  reuse(): void {
    if (this.#from !== this.#at) return
    // A large one is not kept for small commands.
    if (this.#slab.length > SLAB_BYTES) this.#slab = slabOf(0)
    this.#from = 0
    this.#at = 0
  }

  #text(text: string, ascii: boolean): void {
    this.#room(ascii ? text.length : text.length * MAX_UNIT_BYTES)
    this.#at += ascii ? this.#slab.latin1Write(text, this.#at) : this.#slab.utf8Write(text, this.#at)
  }

  #bytes(bytes: Buffer): void {
    if (bytes.length > COPIED_BYTES) {
      this.#cut()
      this.#full.push(bytes)
      return
    }
    this.#room(bytes.length)
    this.#slab.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return
    this.#cut()
    this.#slab = slabOf(Math.max(SLAB_BYTES, bytes))
    this.#from = 0
    this.#at = 0
  }

  #cut(): void {
    if (this.#at > this.#from) this.#full.push(this.#slab.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}

const slabOf = (bytes: number) => Buffer.allocUnsafeSlow(bytes) as Buffer & Writes
