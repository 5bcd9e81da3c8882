/** Of strings and aggregates: nothing of Redis is larger (proto-max-bulk-len is 512 MB by default). */
export const MAX_LENGTH = 1024 ** 3

const LF = 10
/** Longer than any head of RESP; what is longer is none, and who reads it will say so. */
const MAX_HEAD = 64 * 1024

/** How many values follow the head of an aggregate for each that it counts. An attribute comes before a value and is none itself. */
const EACH: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2, '|': 2 }
const ATTRIBUTE = '|'
const STRINGS = '$=!'

/**
 * How far a RESP value reaches that comes in pieces: each byte is looked at once, however many pieces there are. It understands no more than that; what is not
 * RESP counts as complete, and is refused by who reads it.
 */
export class RespScanner {
  /** Values that are still to come, the first included. */
  #left = 1
  /** Bytes of a string that are still to come, with its CRLF. */
  #skip = 0
  /** The beginning of a head that was cut. */
  #head = ''

  /** Whether the value is complete with these bytes, which follow those of the call before. */
  reaches(bytes: Buffer): boolean {
    let at = 0
    while (this.#left > 0 || this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      if (this.#skip > 0 || (at === bytes.length && this.#left > 0)) return false
      if (this.#left === 0) return true
      const end = bytes.indexOf(LF, at)
      this.#head += bytes.toString('latin1', at, end < 0 ? bytes.length : end)
      if (end < 0) return this.#head.length > MAX_HEAD
      if (!this.#count(this.#head)) return true
      this.#head = ''
      at = end + 1
    }
    return true
  }

  /** False: it is no RESP. */
  #count(head: string): boolean {
    const type = head.charAt(0)
    const each = EACH[type]
    const isString = STRINGS.includes(type)
    if (type !== ATTRIBUTE) this.#left--
    if (each === undefined && !isString) return true
    const count = Number(head.slice(1, -1))
    if (!Number.isInteger(count) || count > MAX_LENGTH) return false
    // A negative one means null.
    if (count < 0) return true
    if (isString) this.#skip = count + 2
    else this.#left += count * each!
    return true
  }
}
