/** Memory in blocks of one size. It goes back to the operating system without the collector. */

export const BLOCK_BYTES = 16 * 1024
/** Blocks in an arena of 64 MiB. */
const ARENA_BLOCKS = 4096
/** An arena grows by 1 MiB. */
const STEP_BLOCKS = 64
/** 1 MiB goes back at a time: V8 overwrites it, which takes 0.5 ms. */
const TRIM_BLOCKS = 64
const TRIM_MS = 5

export interface Block {
  readonly arena: Arena
  readonly index: number
  readonly bytes: Buffer
}

/** A resizable buffer (ECMAScript 2024): the operating system has the pages beyond its length. */
interface Resizable extends ArrayBuffer {
  resize(bytes: number): void
}
const ResizableBuffer = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable

/**
 * Gives the lowest free block, so that the used ones gather at the front and the end can be given
 * back. Memory from malloc would stay with the process: freed buffers wait for a full garbage
 * collection, and most of their pages even longer.
 */
class Arena {
  readonly #buffer = new ResizableBuffer(0, { maxByteLength: ARENA_BLOCKS * BLOCK_BYTES })
  readonly #used = new Uint8Array(ARENA_BLOCKS)
  /** No block below is free. */
  #lowest = 0
  /** No block from here on is used. */
  #end = 0
  #committed = 0

  take(): Block | undefined {
    let index = this.#lowest
    while (index < this.#end && this.#used[index] === 1) index++
    if (index === ARENA_BLOCKS) return undefined
    this.#used[index] = 1
    this.#lowest = index + 1
    if (index === this.#end) this.#end++
    if (this.#end > this.#committed) this.#commit(this.#committed + STEP_BLOCKS)
    const bytes = Buffer.from(this.#buffer, index * BLOCK_BYTES, BLOCK_BYTES)
    return { arena: this, index, bytes }
  }

  free(index: number): void {
    this.#used[index] = 0
    this.#lowest = Math.min(this.#lowest, index)
    while (this.#end > 0 && this.#used[this.#end - 1] === 0) this.#end--
    if (this.#committed - this.#end > STEP_BLOCKS) trimSoon()
  }

  /** Gives back at most `TRIM_BLOCKS`. Returns whether there was nothing to give. */
  trim(): boolean {
    const needed = Math.ceil(this.#end / STEP_BLOCKS) * STEP_BLOCKS
    if (needed === this.#committed) return true
    this.#commit(Math.max(needed, this.#committed - TRIM_BLOCKS))
    return false
  }

  #commit(blocks: number): void {
    this.#buffer.resize(blocks * BLOCK_BYTES)
    this.#committed = blocks
  }
}

const arenas: Arena[] = []

/** Returns a block with any content. @throws RangeError when the system has no more memory. */
export function takeBlock(): Block {
  for (const arena of arenas) {
    const block = arena.take()
    if (block !== undefined) return block
  }
  const arena = new Arena()
  arenas.push(arena)
  return arena.take()!
}

let isTrimming = false

function trimSoon(): void {
  if (isTrimming) return
  isTrimming = true
  setTimeout(() => {
    isTrimming = false
    // One arena at a time. The newest ones are the first to be empty.
    if (!arenas.toReversed().every((arena) => arena.trim())) trimSoon()
  }, TRIM_MS).unref()
}

/** The caller must not use the block any more. */
export function freeBlock({ arena, index }: Block): void {
  arena.free(index)
}
