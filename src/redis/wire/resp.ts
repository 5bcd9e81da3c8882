import { Batch } from './batch.ts'
import { ErrorReply } from './errors.ts'
import { MAX_LENGTH, RespScanner } from './scan.ts'

/** What Redis answers. Maps are flat lists of keys and values, verbatim strings are text. */
export type Reply = null | number | boolean | string | Buffer | ErrorReply | readonly Reply[]

/**
 * A published message. `wanted` is the channel or pattern that was subscribed, `channel` the one it was published on (names are ASCII: they are made of ids),
 * `batch` what it came in.
 */
export type OnMessage = (wanted: string, payload: Buffer, channel: string, batch: Batch) => void

/** What is read is handed over at once, in the order of the stream; buffers are views of the chunk that they came in. */
export interface RespHandlers {
  readonly message: OnMessage
  /** Any other push: `subscribe`, `sunsubscribe`, `invalidate`, ... */
  push(kind: string, rest: readonly Reply[]): void
  reply(value: Reply): void
}

/** Nothing of Redis nests deeper. */
const MAX_DEPTH = 16
const MAX_LINE = 64 * 1024

/** What Node's types leave out: text without the detour over the name of its encoding. */
interface Latin1 {
  latin1Slice(start: number, end: number): string
}

const INCOMPLETE = Symbol('incomplete')
const CR = 13
const LF = 10

const byte = (character: string): number => character.charCodeAt(0)
const PUSH = byte('>')
const BULK = byte('$')
const [ZERO, NINE, MINUS] = [byte('0'), byte('9'), byte('-')]
const [THREE, SEVEN, LETTER_M] = [byte('3'), byte('7'), byte('m')]
/** `>3`, `$7`, `message`, each with its CRLF, and the `$` of the name. */
const MESSAGE_HEAD = 18

/**
 * Reads RESP3 (https://redis.io/docs/latest/develop/reference/protocol-spec/) from chunks, wherever they are cut. Messages of subscribed channels take a short
 * way: their bytes are looked at once, and nothing is made of them but a view and the name of the channel.
 */
export class RespReader {
  readonly #handlers: RespHandlers
  /** Chunks of a value that is not complete, and how far it reaches. */
  #held: Buffer[] = []
  #heldBytes = 0
  #extent: RespScanner | undefined
  #data = Buffer.alloc(0) as Buffer & Latin1
  #batch = new Batch(this.#data)
  #at = 0

  constructor(handlers: RespHandlers) {
    this.#handlers = handlers
  }

  /** @throws when it is no RESP: nothing can be read from this connection any more. */
  push(chunk: Buffer): void {
    let data = chunk
    if (this.#extent !== undefined) {
      this.#held.push(chunk)
      this.#heldBytes += chunk.length
      if (this.#heldBytes > MAX_LENGTH) throw new Error('RESP: a value is beyond all bounds')
      if (!this.#extent.reaches(chunk)) return
      data = Buffer.concat(this.#held)
      this.#held = []
      this.#extent = undefined
    }
    this.#data = data as Buffer & Latin1
    this.#batch = new Batch(data)
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
        this.#extent = new RespScanner()
        this.#extent.reaches(begun)
        return
      }
    }
  }

  #next(): void {
    if (this.#data[this.#at] !== PUSH) return this.#handlers.reply(this.#value(0))
    if (this.#isMessage() && this.#message()) return
    this.#at++
    const length = this.#length(1)
    const kind = String(this.#value(1))
    if (kind === 'message' || kind === 'smessage') {
      const channel = this.#name()
      const payload = this.#bulk()
      return this.#handlers.message(channel, payload, channel, this.#batch)
    }
    if (kind === 'pmessage') {
      const pattern = this.#name()
      const channel = this.#name()
      const payload = this.#bulk()
      return this.#handlers.message(pattern, payload, channel, this.#batch)
    }
    const rest: Reply[] = []
    for (let i = 1; i < length; i++) rest.push(this.#value(1))
    this.#handlers.push(kind, rest)
  }

  /** Whether a message of a plain channel comes next: `>3`, then `message` as a string of 7. Nothing else begins with these bytes. */
  #isMessage(): boolean {
    const data = this.#data
    const at = this.#at
    return data[at + 1] === THREE && data[at + 5] === SEVEN && data[at + 8] === LETTER_M
  }

  /** The short way of nearly everything that comes. False: it is not complete, or not as it should be, and nothing was read. */
  #message(): boolean {
    const data = this.#data
    const name = this.#digits(this.#at + MESSAGE_HEAD)
    const nameAt = this.#digitsEnd
    const payload = this.#digits(nameAt + name + 3)
    const from = this.#digitsEnd
    const end = from + payload
    if (!(end + 2 <= data.length) || data[nameAt + name + 2] !== BULK || data[end] !== CR) return false
    const channel = data.latin1Slice(nameAt, nameAt + name)
    this.#at = end + 2
    this.#handlers.message(channel, data.subarray(from, end), channel, this.#batch)
    return true
  }

  #digitsEnd = 0

  /** The number that begins there, and in `#digitsEnd` where the next line begins. */
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

  /** Channel names are ASCII: they are made of ids. */
  #name(): string {
    const bytes = this.#bulk()
    return bytes.toString('latin1')
  }

  #bulk(): Buffer {
    if (this.#at >= this.#data.length) throw INCOMPLETE
    if (this.#data[this.#at] !== BULK)
      throw new Error(`RESP: a bulk string was due, 0x${this.#data[this.#at]!.toString(16)} came`)
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
        // Attributes say something about the value behind them.
        this.#list(this.#length() * 2, depth)
        return this.#value(depth + 1)
      default:
        throw new Error(`RESP: no value begins with ${JSON.stringify(type)}`)
    }
  }

  /** RESP2 knows null as a length of -1. */
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
    if (this.#data[end] !== CR || this.#data[end + 1] !== LF) throw new Error('RESP: a string has no end')
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
      if (digit < ZERO || digit > NINE) throw new Error('RESP: a length is no number')
      length = length * 10 + digit - ZERO
      if (length > MAX_LENGTH) throw new Error('RESP: a length is beyond all bounds')
    }
    if (at + 2 > data.length) throw INCOMPLETE
    if (data[at + 1] !== LF) throw new Error('RESP: a line has no end')
    if (negative) length = -length
    if (length < least) throw new Error(`RESP: a length is ${length}`)
    this.#at = at + 2
    return length
  }

  #line(): string {
    const end = this.#data.indexOf('\r\n', this.#at, 'latin1')
    if (end < 0) {
      if (this.#data.length - this.#at > MAX_LINE) throw new Error('RESP: a line has no end')
      throw INCOMPLETE
    }
    const text = this.#data.toString('utf8', this.#at, end)
    this.#at = end + 2
    return text
  }
}
