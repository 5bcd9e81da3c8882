import { ErrorReply } from './errors.ts'
import { MAX_LENGTH } from './scan.ts'

/** A reply of Redis. Maps are flat lists of keys and values; verbatim strings are text. */
export type Reply = null | number | boolean | string | Buffer | ErrorReply | readonly Reply[]

/** No reply of Redis nests deeper. */
const MAX_DEPTH = 16
const MAX_LINE = 64 * 1024

/** A method of Buffer that Node's types lack. It skips the lookup of the encoding by its name. */
export interface Latin1 {
  latin1Slice(start: number, end: number): string
}

/** Thrown when the rest of a value has not arrived. */
export const INCOMPLETE = Symbol('incomplete')
export const CR = 13
export const LF = 10

export const byte = (character: string): number => character.charCodeAt(0)
export const BULK = byte('$')
export const [ZERO, NINE] = [byte('0'), byte('9')]
const MINUS = byte('-')

/** Reads values of RESP3 one after the other, from bytes that may end in the middle of one. */
export class ValueReader {
  protected data = Buffer.alloc(0) as Buffer & Latin1
  /** Where the next value begins. */
  protected at = 0

  protected bulk(): Buffer {
    if (this.at >= this.data.length) throw INCOMPLETE
    if (this.data[this.at] !== BULK)
      throw new Error(`RESP: expected a bulk string, got 0x${this.data[this.at]!.toString(16)}`)
    this.at++
    return this.#bytes(this.length())
  }

  protected value(depth: number): Reply {
    if (this.at >= this.data.length) throw INCOMPLETE
    if (depth > MAX_DEPTH) throw new Error('RESP: nested too deeply')
    const type = String.fromCharCode(this.data[this.at++]!)
    switch (type) {
      case '$':
        return this.#orNull((length) => this.#bytes(length))
      case '=':
        return this.#bytes(this.length()).toString('utf8', 4)
      case '!':
        return new ErrorReply(this.#bytes(this.length()).toString())
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
        return this.#list(this.length() * 2, depth)
      case '|':
        // Attributes describe the value that follows. They are not used.
        this.#list(this.length() * 2, depth)
        return this.value(depth + 1)
      default:
        throw new Error(`RESP: unknown type ${JSON.stringify(type)}`)
    }
  }

  /** In RESP2, null is a length of -1. */
  #orNull(read: (length: number) => Reply): Reply {
    const length = this.length(-1)
    return length < 0 ? null : read(length)
  }

  #list(length: number, depth: number): readonly Reply[] {
    const values: Reply[] = []
    for (let i = 0; i < length; i++) values.push(this.value(depth + 1))
    return values
  }

  #bytes(length: number): Buffer {
    const end = this.at + length
    if (end + 2 > this.data.length) throw INCOMPLETE
    const bytes = this.data.subarray(this.at, end)
    if (this.data[end] !== CR || this.data[end + 1] !== LF) throw new Error('RESP: a string does not end with CRLF')
    this.at = end + 2
    return bytes
  }

  protected length(least = 0): number {
    const data = this.data
    let at = this.at
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
    this.at = at + 2
    return length
  }

  #line(): string {
    const end = this.data.indexOf('\r\n', this.at, 'latin1')
    if (end < 0) {
      if (this.data.length - this.at > MAX_LINE) throw new Error('RESP: a line is longer than 64 KB')
      throw INCOMPLETE
    }
    const text = this.data.toString('utf8', this.at, end)
    this.at = end + 2
    return text
  }
}
