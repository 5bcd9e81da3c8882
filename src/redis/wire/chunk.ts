import { isAscii } from 'node:buffer'

/**
 * One chunk of bytes read from Redis, and facts about it that are computed at most once for all
 * messages in it. Per message they would cost as much as the delivery.
 */
export class Chunk {
  readonly #bytes: Buffer
  #ascii: boolean | undefined
  #sought: Buffer | undefined
  #found = false

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get length(): number {
    return this.#bytes.length
  }

  /** True: no message in the chunk has a byte above 127. */
  get ascii(): boolean {
    this.#ascii ??= isAscii(this.#bytes)
    return this.#ascii
  }

  /**
   * Whether `bytes` occurs anywhere in the chunk, and so may occur in a message. Pass the same
   * Buffer object each time: the chunk is searched again only for another object.
   */
  has(bytes: Buffer): boolean {
    if (bytes !== this.#sought) {
      this.#sought = bytes
      this.#found = this.#bytes.includes(bytes)
    }
    return this.#found
  }
}
