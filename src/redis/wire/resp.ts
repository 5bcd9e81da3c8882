import { Chunk } from './chunk.ts'
import { ErrorReply } from './errors.ts'
import { MAX_LENGTH, RespScanner } from './scan.ts'

/** A reply of Redis. Maps are flat lists of keys and values; verbatim strings are text. */
export type Reply = null | number | boolean | string | Buffer | ErrorReply | readonly Reply[]

/**
 * Called for each published message. `wanted` is the subscribed channel or pattern, `channel` the
 * one that the message was published on. Names are ASCII, because they are made of ids. `payload`
 * is a view of `chunk`.
 */
export type OnMessage = (wanted: string, payload: Buffer, channel: string, chunk: Chunk) => void

/** Called at once and in the order of the stream. Buffers are views of the chunk that was read. */
export interface RespHandlers {
  readonly message: OnMessage
  /** Any other push: `subscribe`, `sunsubscribe`, `invalidate`, ... */
  push(kind: string, rest: readonly Reply[]): void
  reply(value: Reply): void
}

/** No reply of Redis nests deeper. */
const MAX_DEPTH = 16
const MAX_LINE = 64 * 1024

/** A method of Buffer that Node's types lack. It skips the lookup of the encoding by its name. */
interface Latin1 {
  latin1Slice(start: number, end: number): string
}

const INCOMPLETE = Symbol('incomplete')
const CR = 13
const LF = 10

const byte = (character: string): number => character.charCodeAt(0)
const PUSH = byte('>')
const ARRAY = byte('*')
/** How a push begins in RESP2. */
const ARRAY_PUSH = /^\*[34]\r\n\$\d+\r\n([ps]?message|[ps]?(un)?subscribe)\r/
const ARRAY_PUSH_BYTES = 32
const BULK = byte('$')
const [ZERO, NINE, MINUS] = [byte('0'), byte('9'), byte('-')]
const [THREE, SEVEN, LETTER_M] = [byte('3'), byte('7'), byte('m')]
/**
 * Bytes before the length of the channel name: `>3`, `$7`, `message`, each with its CRLF, and `$`.
 */
const MESSAGE_HEADER = 18

/**
 * Reads RESP3 from chunks, wherever they are cut. Messages of subscribed channels take a fast path:
 * it looks at each byte once and makes only a view of the payload and the name of the channel.
 * RESP3: https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
export class RespReader {
  readonly #handlers: RespHandlers
  readonly #arrays: boolean
  /** Chunks of an incomplete value, and the scanner that looks for its end. */
  #held: Buffer[] = []
  #heldBytes = 0
  #scanner: RespScanner | undefined
  #data = Buffer.alloc(0) as Buffer & Latin1
  #chunk = new Chunk(this.#data)
  #at = 0

  /** @param arrays a plain array that looks like a push is one. */
  constructor(handlers: RespHandlers, arrays = false) {
    this.#handlers = handlers
    this.#arrays = arrays
  }

  /**
   * Reads the next chunk. @throws when it is not RESP: nothing more can be read from this
   * connection.
   */
  push(chunk: Buffer): void {
    let data = chunk
    if (this.#scanner !== undefined) {
      this.#held.push(chunk)
      this.#heldBytes += chunk.length
      if (this.#heldBytes > MAX_LENGTH) throw new Error('RESP: a value is larger than 1 GB')
      if (!this.#scanner.scan(chunk)) return
      data = Buffer.concat(this.#held)
      this.#held = []
      this.#scanner = undefined
    }
    this.#data = data as Buffer & Latin1
    this.#chunk = new Chunk(data)
    this.#at = 0
    while (this.#at < data.length) {
      const start = this.#at
      try {
        this.#next()
      } catch (error) {
        if (error !== INCOMPLETE) throw error
        const begun = data.subarray(start)
        this.#held = [begun]
        this.#heldBytes = begun.length
        this.#scanner = new RespScanner()
        this.#scanner.scan(begun)
        return
      }
    }
  }

  #next(): void {
    if (this.#data[this.#at] !== PUSH && !(this.#arrays && this.#isArrayPush()))
      return this.#handlers.reply(this.#value(0))
    if (this.#isMessage() && this.#message()) return
    this.#at++
    const length = this.#length(1)
    const kind = String(this.#value(1))
    if (kind === 'message' || kind === 'smessage') {
      const channel = this.#name()
      const payload = this.#bulk()
      return this.#handlers.message(channel, payload, channel, this.#chunk)
    }
    if (kind === 'pmessage') {
      const pattern = this.#name()
      const channel = this.#name()
      const payload = this.#bulk()
      return this.#handlers.message(pattern, payload, channel, this.#chunk)
    }
    const rest: Reply[] = []
    for (let i = 1; i < length; i++) rest.push(this.#value(1))
    this.#handlers.push(kind, rest)
  }

  /** The next value is a plain array with the members of a push. */
  #isArrayPush(): boolean {
    const data = this.#data
    const at = this.#at
    if (data[at] !== ARRAY) return false
    // latin1Slice throws when its end lies beyond the chunk, as it does after a short reply.
    return ARRAY_PUSH.test(data.latin1Slice(at, Math.min(at + ARRAY_PUSH_BYTES, data.length)))
  }

  /**
   * The next value is a message of a plain channel: `>3`, then `message` as a string of 7. No other
   * push begins so.
   */
  #isMessage(): boolean {
    const data = this.#data
    const at = this.#at
    return data[at + 1] === THREE && data[at + 5] === SEVEN && data[at + 8] === LETTER_M
  }

  /**
   * The fast path. Returns false, and reads nothing, when the message is incomplete or not what was
   * expected.
   */
  #message(): boolean {
    const data = this.#data
    const name = this.#digits(this.#at + MESSAGE_HEADER)
    const nameAt = this.#digitsEnd
    const payload = this.#digits(nameAt + name + 3)
    const from = this.#digitsEnd
    const end = from + payload
    if (!(end + 2 <= data.length) || data[nameAt + name + 2] !== BULK || data[end] !== CR) return false
    const channel = data.latin1Slice(nameAt, nameAt + name)
    this.#at = end + 2
    this.#handlers.message(channel, data.subarray(from, end), channel, this.#chunk)
    return true
  }

  #digitsEnd = 0

  /** Returns the number at `at`, and sets `#digitsEnd` to the start of the next line. */
  #digits(at: number): number {
    const data = this.#data
    let number = 0
    let digit = data[at]!
    while (digit >= ZERO && digit <= NINE) {
      number = number * 10 + digit - ZERO
      digit = data[++at]!
    }
    this.#digitsEnd = at + 2
    return number
  }

  #name(): string {
    const bytes = this.#bulk()
    return bytes.toString('latin1')
  }

  #bulk(): Buffer {
    if (this.#at >= this.#data.length) throw INCOMPLETE
    if (this.#data[this.#at] !== BULK)
      throw new Error(`RESP: expected a bulk string, got 0x${this.#data[this.#at]!.toString(16)}`)
    this.#at++
    return this.#bytes(this.#length())
  }

  #value(depth: number): Reply {
    if (this.#at >= this.#data.length) throw INCOMPLETE
    if (depth > MAX_DEPTH) throw new Error('RESP: nested too deeply')
    const type = String.fromCharCode(this.#data[this.#at++]!)
    switch (type) {
      case '$':
        return this.#orNull((length) => this.#bytes(length))
      case '=':
        return this.#bytes(this.#length()).toString('utf8', 4)
      case '!':
        return new ErrorReply(this.#bytes(this.#length()).toString())
      case '+':
      case '(':
        return this.#line()
      case '-':
        return new ErrorReply(this.#line())
      case ':':
        return Number(this.#line())
      case ',':
        return Number(this.#line().replace('inf', 'Infinity'))
      case '#':
        return this.#line() === 't'
      case '_':
        this.#line()
        return null
      case '*':
      case '~':
      case '>':
        return this.#orNull((length) => this.#list(length, depth))
      case '%':
        return this.#list(this.#length() * 2, depth)
      case '|':
        // Attributes describe the value that follows. They are not used.
        this.#list(this.#length() * 2, depth)
        return this.#value(depth + 1)
      default:
        throw new Error(`RESP: unknown type ${JSON.stringify(type)}`)
    }
  }

  /** In RESP2, null is a length of -1. */
  #orNull(read: (length: number) => Reply): Reply {
    const length = this.#length(-1)
    return length < 0 ? null : read(length)
  }

  #list(length: number, depth: number): readonly Reply[] {
    const values: Reply[] = []
    for (let i = 0; i < length; i++) values.push(this.#value(depth + 1))
    return values
  }

  #bytes(length: number): Buffer {
    const end = this.#at + length
    if (end + 2 > this.#data.length) throw INCOMPLETE
    const bytes = this.#data.subarray(this.#at, end)
    if (this.#data[end] !== CR || this.#data[end + 1] !== LF) throw new Error('RESP: a string does not end with CRLF')
    this.#at = end + 2
    return bytes
  }

  #length(least = 0): number {
    const data = this.#data
    let at = this.#at
    let length = 0
    const negative = data[at] === MINUS
    if (negative) at++
    for (; at < data.length && data[at] !== CR; at++) {
      const digit = data[at]!
      if (digit < ZERO || digit > NINE) throw new Error('RESP: a length is not a number')
      length = length * 10 + digit - ZERO
      if (length > MAX_LENGTH) throw new Error('RESP: a length is larger than 1 GB')
    }
    if (at + 2 > data.length) throw INCOMPLETE
    if (data[at + 1] !== LF) throw new Error('RESP: a line does not end with CRLF')
    if (negative) length = -length
    if (length < least) throw new Error(`RESP: a length is ${length}, at least ${least} expected`)
    this.#at = at + 2
    return length
  }

  #line(): string {
    const end = this.#data.indexOf('\r\n', this.#at, 'latin1')
    if (end < 0) {
      if (this.#data.length - this.#at > MAX_LINE) throw new Error('RESP: a line is longer than 64 KB')
      throw INCOMPLETE
    }
    const text = this.#data.toString('utf8', this.#at, end)
    this.#at = end + 2
    return text
  }
}

/** Turns the bytes in a reply into text. Bytes that are not UTF-8 become U+FFFD. */
export function textOf(reply: Reply): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString()
  return Array.isArray(reply) ? reply.map(textOf) : reply
}
