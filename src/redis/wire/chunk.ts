import { isAscii } from 'node:buffer'

/** Memory that chunks lie in. It is used again when no chunk of it is held. */
export interface ChunkMemory {
  holders: number
}

/**
 * One chunk of bytes read from Redis, and facts about it that are computed at most once for all
 * messages in it. Per message they would cost as much as the delivery.
 */
export class Chunk {
  readonly bytes: Buffer
  readonly #memory: ChunkMemory
  #ascii: boolean | undefined
  #sought: Buffer | undefined
  #found = false

  constructor(bytes: Buffer, memory: ChunkMemory = { holders: 0 }) {
    this.bytes = bytes
    this.#memory = memory
  }

  /** The bytes stay as they are until `release` is called as often. */
  hold(): void {
    this.#memory.holders++
  }

  release(): void {
    this.#memory.holders--
  }

  get length(): number {
    return this.bytes.length
  }

  /** True: no message in the chunk has a byte above 127. */
  get ascii(): boolean {
    this.#ascii ??= isAscii(this.bytes)
    return this.#ascii
  }

  /**
   * Whether `bytes` occurs anywhere in the chunk, and so may occur in a message. Pass the same
   * Buffer object each time: the chunk is searched again only for another object.
   */
  has(bytes: Buffer): boolean {
    if (bytes !== this.#sought) {
      this.#sought = bytes
      this.#found = this.bytes.includes(bytes)
    }
    return this.#found
  }
}
