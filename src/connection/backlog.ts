import { BLOCK_BYTES, type Block, freeBlock, takeBlock } from './blocks.ts'

/**
 * Unsent bytes of a socket that uWebSockets.js may hold. Beyond them frames wait in a `Backlog`:
 * the library keeps what waits in one string, and copies all of it whenever it grows or shrinks.
 */
export const MAX_NATIVE_BYTES = 64 * 1024

/** Frames from this size on wait in memory of their own. Smaller ones are copied into blocks. */
const WHOLE_BYTES = 256 * 1024
/** A smaller frame is copied even when several sockets wait for it. */
const SHARED_BYTES = 1024
/** Length and kind of a frame, before its bytes. */
const HEADER_BYTES = 4
const BINARY = 0x8000_0000
const EMPTY = Buffer.alloc(0)
/** Frames that are remembered at a time. Of further ones only those that wait whole are shared. */
const MAX_REMEMBERED = 64

/** A frame that waits outside the blocks, for one socket or for several. */
interface Whole {
  readonly frame: Buffer
  readonly binary: boolean
}

/** Frames, each behind its header. A frame may go on in the next block. */
interface Part {
  readonly block: Block
  start: number
  end: number
}

type Piece = Whole | Part

/**
 * Frames that began to wait in this turn of the event loop. The first socket copies such a frame.
 * From the second on all share one, so a message to 1,000 slow sockets is held twice.
 */
const remembered = new Map<Buffer, Whole | undefined>()

/** The turn is over: its frames are not shared with those of the next turn. */
export function forgetShared(): void {
  if (remembered.size > 0) remembered.clear()
}

function sharedOf(frame: Buffer, binary: boolean): Whole | undefined {
  const { length } = frame
  if (length < SHARED_BYTES) return undefined
  const known = remembered.get(frame)
  if (known !== undefined) return known
  const isSecond = remembered.has(frame)
  const whole = isSecond || length >= WHOLE_BYTES ? { frame: copyOf(frame), binary } : undefined
  if (whole !== undefined || remembered.size < MAX_REMEMBERED) remembered.set(frame, whole)
  return whole
}

/** The memory of a message from Redis is used again after the tick. */
function copyOf(frame: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(frame.length)
  frame.copy(copy)
  return copy
}

/** Writes one frame. Returns whether the socket takes another one now. */
type Send = (frame: Buffer, binary: boolean) => boolean

/**
 * The frames that wait for one socket, in order. Memory is what `bytes` says and at most one block
 * more, and less where several sockets wait for the same frame.
 */
export class Backlog {
  /** Of the payloads. */
  bytes = 0
  #pieces: Piece[] = []
  #first = 0

  get isEmpty(): boolean {
    return this.#first === this.#pieces.length
  }

  /** Takes a copy of a frame. */
  push(frame: Buffer, binary: boolean): void {
    this.bytes += frame.length
    const whole = sharedOf(frame, binary)
    if (whole !== undefined) {
      this.#pieces.push(whole)
      return
    }
    const header = Buffer.allocUnsafe(HEADER_BYTES)
    header.writeUInt32LE((binary ? BINARY : 0) + frame.length)
    this.#append(header)
    this.#append(frame)
  }

  /** Passes frames to `send`, in order, until it returns false. */
  drain(send: Send): void {
    for (let goesOn = true; goesOn && !this.isEmpty; ) {
      const piece = this.#pieces[this.#first]!
      let frame: Buffer
      let binary: boolean
      if ('frame' in piece) {
        ;({ frame, binary } = piece)
        this.#first++
      } else {
        const header = this.#take(HEADER_BYTES).readUInt32LE()
        binary = header >= BINARY
        frame = this.#take(binary ? header - BINARY : header)
      }
      this.bytes -= frame.length
      goesOn = send(frame, binary)
      // Only now: `frame` may be a view of the block.
      this.#freeRead()
    }
    this.#shift()
  }

  /** The socket is gone. */
  clear(): void {
    for (const piece of this.#pieces.slice(this.#first)) if ('block' in piece) freeBlock(piece.block)
    this.#pieces = []
    this.#first = 0
    this.bytes = 0
  }

  #append(bytes: Buffer): void {
    for (let from = 0; from < bytes.length; ) {
      const part = this.#space()
      const taken = bytes.copy(part.block.bytes, part.end, from)
      part.end += taken
      from += taken
    }
  }

  /** The last part, or a new one when its block is full or a whole frame follows it. */
  #space(): Part {
    const last = this.isEmpty ? undefined : this.#pieces.at(-1)
    if (last !== undefined && 'block' in last && last.end < BLOCK_BYTES) return last
    const part = { block: takeBlock(), start: 0, end: 0 }
    this.#pieces.push(part)
    return part
  }

  /** Returns the next bytes: a view where they lie in one block, else a copy. */
  #take(length: number): Buffer {
    if (length === 0) return EMPTY
    const first = this.#unread()
    if (first.end - first.start >= length) return this.#read(first, length)
    const copy = Buffer.allocUnsafe(length)
    for (let to = 0; to < length; ) {
      const part = this.#unread()
      to += this.#read(part, Math.min(length - to, part.end - part.start)).copy(copy, to)
    }
    return copy
  }

  /** The first part that is not read to its end. Those before it go when their frame is sent. */
  #unread(): Part {
    for (let at = this.#first; ; at++) {
      const part = this.#pieces[at] as Part
      if (part.start < part.end) return part
    }
  }

  #read(part: Part, length: number): Buffer {
    const from = part.start
    part.start += length
    return part.block.bytes.subarray(from, part.start)
  }

  #freeRead(): void {
    for (let piece = this.#pieces[this.#first]; piece !== undefined; piece = this.#pieces[this.#first]) {
      if ('frame' in piece || piece.start < piece.end) return
      freeBlock(piece.block)
      this.#first++
    }
  }

  /** Forgets the pieces that are sent, without moving the others each time. */
  #shift(): void {
    if (this.#first < this.#pieces.length / 2) return
    this.#pieces.splice(0, this.#first)
    this.#first = 0
  }
}
