/** Largest string or aggregate. Redis' own limit (proto-max-bulk-len) is 512 MB by default. */
export const MAX_LENGTH = 1024 ** 3

const LF = 10
/** Longer than any RESP header line. The reader rejects what is longer. */
const MAX_HEADER = 64 * 1024

/**
 * How many values an aggregate holds per unit of its count. An attribute precedes a value and does
 * not count as one.
 */
const VALUES_PER_COUNT: Readonly<Record<string, number>> = { '*': 1, '~': 1, '>': 1, '%': 2, '|': 2 }
const ATTRIBUTE = '|'
const STRINGS = '$=!'

/**
 * Finds the end of a RESP value that arrives in pieces. It looks at each byte once, however many
 * pieces there are. It knows only lengths: bytes that are not RESP count as complete, and the
 * reader rejects them.
 */
export class RespScanner {
  /** Values still to come, including the first one. */
  #values = 1
  /** Bytes of the current string still to come, including its CRLF. */
  #skip = 0
  /** Start of a header line whose end has not arrived. */
  #header = ''
  /** Bytes that were looked at. */
  #seen = 0

  /** Bytes that are still to come, at the least. */
  get missing(): number {
    return this.#skip
  }

  /** Takes all of the value that has come. Returns true when it is complete. */
  scan(bytes: Buffer): boolean {
    let at = this.#seen
    this.#seen = bytes.length
    while (this.#values > 0 || this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      if (this.#skip > 0 || (at === bytes.length && this.#values > 0)) return false
      if (this.#values === 0) return true
      const end = bytes.indexOf(LF, at)
      this.#header += bytes.toString('latin1', at, end < 0 ? bytes.length : end)
      if (end < 0) return this.#header.length > MAX_HEADER
      if (!this.#count(this.#header)) return true
      this.#header = ''
      at = end + 1
    }
    return true
  }

  /** Adds what follows a header line. Returns false when the line is not RESP. */
  #count(header: string): boolean {
    const type = header.charAt(0)
    const perCount = VALUES_PER_COUNT[type]
    const isString = STRINGS.includes(type)
    if (type !== ATTRIBUTE) this.#values--
    if (perCount === undefined && !isString) return true
    const count = Number(header.slice(1, -1))
    if (!Number.isInteger(count) || count > MAX_LENGTH) return false
    // A negative count means null.
    if (count < 0) return true
    if (isString) this.#skip = count + 2
    else this.#values += count * perCount!
    return true
  }
}
