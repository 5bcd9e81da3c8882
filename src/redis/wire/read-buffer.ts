import { Chunk, type ChunkMemory } from './chunk.ts'

const FIRST_BYTES = 64 * 1024
/** The most that one read brings. With TLS it may be more, which costs a copy at most. */
export const READ_BYTES = 64 * 1024
/** More is only kept for a value that needs it, or while as much is held. */
const USUAL_BYTES = 1024 * 1024

interface Slab extends ChunkMemory {
  readonly bytes: Buffer
}

const slabOf = (size: number): Slab => ({ bytes: Buffer.allocUnsafeSlow(size), holders: 0 })

/** Reads values from the front of a chunk, as `RespReader` does. */
interface Reader {
  /** Bytes that are still to come of the value that has begun, as far as known. */
  readonly missing: number
  /** Returns how many bytes were used. The next chunk begins with those behind them. */
  read(chunk: Chunk): number
}

/**
 * What one connection has read and not used yet. The rest of a value follows its beginning, so that
 * nothing is joined, and memory is used again once nothing in it is held. A buffer for each read is
 * garbage outside of V8's heap: with 60 MB a second V8 collects the whole heap for it, several
 * times a second.
 */
export class ReadBuffer {
  #slab = slabOf(0)
  /** Where that begins and ends. */
  #start = 0
  #end = 0

  /**
   * Adds the first `length` bytes, and has the reader read all that is not used. What it reads is
   * valid during the call, or for as long as the chunk is held. @throws what the reader throws.
   */
  pass(bytes: Buffer, length: number, reader: Reader): void {
    const { missing } = reader
    // The read that ends a large value brings what follows it, too.
    this.#makeRoom(Math.max(length, missing > READ_BYTES ? missing + READ_BYTES : missing))
    bytes.copy(this.#slab.bytes, this.#end, 0, length)
    this.#end += length
    const chunk = new Chunk(this.#slab.bytes.subarray(this.#start, this.#end), this.#slab)
    this.#start += reader.read(chunk)
  }

  /** Makes room at the end for so many bytes, and moves nothing that is held. */
  #makeRoom(more: number): void {
    const { bytes, holders } = this.#slab
    const isFree = holders === 0
    const rest = this.#end - this.#start
    if (isFree && rest === 0) {
      this.#start = 0
      this.#end = 0
    }
    const needed = rest + more
    const isTooLarge = isFree && bytes.length > USUAL_BYTES && needed <= USUAL_BYTES
    if (!isTooLarge && this.#end + more <= bytes.length) return
    const isEnough = !isTooLarge && isFree && needed <= bytes.length
    const wider = Math.max(needed, 2 * rest, Math.min(2 * bytes.length, USUAL_BYTES), FIRST_BYTES)
    this.#moveTo(isEnough ? this.#slab : slabOf(wider))
  }

  /** Moves the rest to the front of a slab, which may be the same. */
  #moveTo(slab: Slab): void {
    this.#end = this.#slab.bytes.copy(slab.bytes, 0, this.#start, this.#end)
    this.#start = 0
    this.#slab = slab
  }
}
