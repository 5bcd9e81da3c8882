import { isAscii } from 'node:buffer'

/** The bytes that came together, and what can be said of them once instead of for each message in them. */
export class Batch {
  readonly #bytes: Buffer
  #ascii: boolean | undefined
  #sought: Buffer | undefined
  #found = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** No byte of any message is above 127. */
  get ascii(): boolean {
    this.#ascii ??= isAscii(this.#bytes)
    return this.#ascii
  }

  /** Whether `bytes` may be in a message: they are somewhere in what came. Asked about one and the same Buffer, it looks once. */
  has(bytes: Buffer): boolean {
    if (bytes !== this.#sought) {
      this.#sought = bytes
      this.#found = this.#bytes.includes(bytes)
    }
    return this.#found
  }
}
