/**
 * Checks JSON (RFC 8259) as bytes, without building values. The cost is linear in the bytes, and a
 * text that is nested too deep is left where it passes the limit.
 */

/** The most that JSON_MAX_DEPTH may be set to. Our own recursions stay far below the stack. */
export const MAX_JSON_DEPTH = 1000

/** Why a text must not be parsed. */
export type JsonFault = 'not-json' | 'too-deep'

export const QUOTE = 0x22
export const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
export const OPEN_OBJECT = 0x7b
export const CLOSE_OBJECT = 0x7d
export const OPEN_ARRAY = 0x5b
export const CLOSE_ARRAY = 0x5d
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39

/** Bytes of a string that need a look: quotes, backslashes and control characters. */
const IS_SPECIAL = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) if (byte < 0x20 || byte === QUOTE || byte === BACKSLASH) IS_SPECIAL[byte] = 1

const SIMPLE_ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'))
const LITERALS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]))

/** What closes each open object and array, by depth. The scan is synchronous, so one is enough. */
const closers = new Uint8Array(MAX_JSON_DEPTH + 1)

/**
 * Returns undefined when `JSON.parse` would take the text and no value in it lies deeper than
 * `maxDepth` objects and arrays (at most `MAX_JSON_DEPTH`). Bytes that are not UTF-8 are allowed in
 * strings only, as `toString('utf8')` before `JSON.parse` allows them.
 */
export function jsonFault(bytes: Uint8Array, maxDepth: number): JsonFault | undefined {
  let at = afterSpace(bytes, 0)
  let depth = 0
  for (;;) {
    const first = at < bytes.length ? bytes[at]! : 0
    if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      if (++depth > maxDepth) return 'too-deep'
      const closer = first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY
      closers[depth] = closer
      at = afterSpace(bytes, at + 1)
      if (at >= bytes.length || bytes[at] !== closer) {
        at = valueAfter(bytes, at, closer)
        if (at < 0) return 'not-json'
        continue
      }
      depth--
      at++
    } else {
      at = afterScalar(bytes, at, first)
      if (at < 0) return 'not-json'
    }
    // A value ends before `at`. Close what ends with it, up to the comma before the next value.
    for (;;) {
      at = afterSpace(bytes, at)
      if (depth === 0) return at === bytes.length ? undefined : 'not-json'
      if (at >= bytes.length) return 'not-json'
      const next = bytes[at++]
      if (next === COMMA) break
      if (next !== closers[depth]) return 'not-json'
      depth--
    }
    at = valueAfter(bytes, afterSpace(bytes, at), closers[depth]!)
    if (at < 0) return 'not-json'
  }
}

/** The place of the next value in an object or array that ends with `closer`, or -1. */
const valueAfter = (bytes: Uint8Array, at: number, closer: number): number =>
  closer === CLOSE_OBJECT ? afterKey(bytes, at) : at

/** The place of the first byte from here that is no white space. */
export function afterSpace(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]!
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break
    at++
  }
  return at
}

/** The place of the value after a key and its colon, or -1. */
function afterKey(bytes: Uint8Array, from: number): number {
  if (from >= bytes.length || bytes[from] !== QUOTE) return -1
  const end = afterString(bytes, from)
  if (end < 0) return -1
  const colon = afterSpace(bytes, end)
  return colon < bytes.length && bytes[colon] === COLON ? afterSpace(bytes, colon + 1) : -1
}

/** The place after the string, number or literal that begins at `from` with `first`, or -1. */
export function afterScalar(bytes: Uint8Array, from: number, first: number): number {
  if (first === QUOTE) return afterString(bytes, from)
  if (first === MINUS || (first >= ZERO && first <= NINE)) return afterNumber(bytes, from)
  const word = LITERALS.get(first)
  if (word === undefined || from + word.length > bytes.length) return -1
  for (let i = 1; i < word.length; i++) if (bytes[from + i] !== word[i]) return -1
  return from + word.length
}

/** The place after the closing quote of the string that begins at `from`, or -1. */
function afterString(bytes: Uint8Array, from: number): number {
  let at = from + 1
  let wordsAt = at + SHORT_STRING
  while (at < bytes.length) {
    const byte = bytes[at]!
    if (IS_SPECIAL[byte] === 0) {
      at++
      if (at === wordsAt) {
        at = afterPlainWords(bytes, at)
        wordsAt = at + SHORT_STRING
      }
      continue
    }
    if (byte === QUOTE) return at + 1
    if (byte !== BACKSLASH) return -1
    at = afterEscape(bytes, at + 1)
    if (at < 0) return -1
    wordsAt = at + SHORT_STRING
  }
  return -1
}

/** After so many plain bytes of a string, four at a time cost a third; the view costs 0.1 us. */
const SHORT_STRING = 64
const ONES = 0x01010101
const HIGH_BITS = 0x80808080

/** Skips words of four bytes with none that is special ("Bit Twiddling Hacks", haszero, hasless). */
function afterPlainWords(bytes: Uint8Array, from: number): number {
  const { buffer, byteOffset, length } = bytes
  let word = (byteOffset + from + 3) >> 2
  const end = (byteOffset + length) >> 2
  const aligned = word * 4 - byteOffset
  if (word >= end) return from
  for (let at = from; at < aligned; at++) if (IS_SPECIAL[bytes[at]!] === 1) return at
  const words = new Int32Array(buffer, 0, end)
  for (; word < end; word++) {
    const four = words[word]!
    const quote = four ^ (QUOTE * ONES)
    const backslash = four ^ (BACKSLASH * ONES)
    const special = ((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash) | ((four - 0x20 * ONES) & ~four)
    if ((special & HIGH_BITS) !== 0) break
  }
  return word * 4 - byteOffset
}

function afterEscape(bytes: Uint8Array, at: number): number {
  if (at >= bytes.length) return -1
  const kind = bytes[at]!
  if (SIMPLE_ESCAPES.has(kind)) return at + 1
  if (kind !== 0x75 || at + 4 >= bytes.length) return -1
  for (let i = 1; i <= 4; i++) if (!isHex(bytes[at + i]!)) return -1
  return at + 5
}

const isHex = (byte: number): boolean =>
  (byte >= ZERO && byte <= NINE) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)

function afterNumber(bytes: Uint8Array, from: number): number {
  let at = bytes[from] === MINUS ? from + 1 : from
  const digits = afterDigits(bytes, at)
  if (digits === at || (digits > at + 1 && bytes[at] === ZERO)) return -1
  at = digits
  if (at < bytes.length && bytes[at] === DOT) {
    const end = afterDigits(bytes, at + 1)
    if (end === at + 1) return -1
    at = end
  }
  if (at < bytes.length && (bytes[at]! | 0x20) === 0x65) {
    const sign = at + 1 < bytes.length ? bytes[at + 1] : 0
    const start = sign === 0x2b || sign === MINUS ? at + 2 : at + 1
    const end = afterDigits(bytes, start)
    if (end === start) return -1
    at = end
  }
  return at
}

function afterDigits(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length && bytes[at]! >= ZERO && bytes[at]! <= NINE) at++
  return at
}
