import {
  afterScalar,
  afterSpace,
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from './json-scan.ts'

/**
 * Finds members of a JSON object in its bytes, so that a message can be read and edited without
 * parsing the rest of it. Every function here needs bytes that `jsonFault` has found to be JSON.
 */

const ESCAPE = Buffer.from('\\u')

/**
 * Whether JSON may contain this word: as it stands, or with letters written as escapes. The two
 * searches cost 0.1 us, a parse five times as much. Most frames have no backslash.
 */
export const mayContain = (frame: Buffer, wanted: Buffer): boolean =>
  frame.includes(wanted) || (frame.includes(BACKSLASH) && frame.includes(ESCAPE))

/** A member of an object, as places in its text. */
export interface Member {
  /** The name that it was asked for by. */
  readonly name: string
  /** The opening quote of its name. */
  readonly start: number
  readonly valueStart: number
  readonly valueEnd: number
  /** After its comma; for the last member the closing brace. */
  readonly next: number
}

/** The members of the outermost object that were asked for, in their order, repeated ones too. */
export interface Members {
  readonly found: readonly Member[]
  /** Of the object's braces. */
  readonly open: number
  readonly close: number
}

/** Names to look for, and their bytes. */
export type Names = readonly (readonly [name: string, bytes: Buffer])[]

export const namesOf = (...names: string[]): Names => names.map((name) => [name, Buffer.from(name)])

/**
 * Finds members of an object by name, escaped names too. Returns undefined when the text is not an
 * object. `bytes` must be JSON: call `jsonFault` first.
 */
export function membersOf(bytes: Buffer, names: Names): Members | undefined {
  const open = afterSpace(bytes, 0)
  if (bytes[open] !== OPEN_OBJECT) return undefined
  const found: Member[] = []
  let at = afterSpace(bytes, open + 1)
  while (bytes[at] !== CLOSE_OBJECT) {
    const start = at
    const keyEnd = endOfString(bytes, start)
    const valueStart = afterSpace(bytes, afterSpace(bytes, keyEnd) + 1)
    const valueEnd = endOfValue(bytes, valueStart)
    at = afterSpace(bytes, valueEnd)
    const isLast = bytes[at] === CLOSE_OBJECT
    const next = isLast ? at : at + 1
    const name = nameIn(bytes, start + 1, keyEnd - 1, names)
    if (name !== undefined) found.push({ name, start, valueStart, valueEnd, next })
    if (!isLast) at = afterSpace(bytes, next)
  }
  return { found, open, close: at }
}

/** The last member of this name: the one that `JSON.parse` takes. */
export const lastOf = ({ found }: Members, name: string): Member | undefined =>
  found.findLast((member) => member.name === name)

/** The most bytes of one character in JSON: `\u0041`. */
const BYTES_PER_CHARACTER = 6

function nameIn(bytes: Buffer, start: number, end: number, names: Names): string | undefined {
  for (const [name, wanted] of names) if (spells(bytes, start, end, name, wanted)) return name
  return undefined
}

/** Whether the inside of a string is this text, with or without escapes. */
function spells(bytes: Buffer, start: number, end: number, text: string, wanted: Buffer): boolean {
  const length = end - start
  if (length === wanted.length) {
    // A loop: a call into Buffer.compare costs more than so few bytes.
    let i = 0
    while (i < length && bytes[start + i] === wanted[i]) i++
    return i === length
  }
  if (length < wanted.length || length > wanted.length * BYTES_PER_CHARACTER) return false
  return hasBackslash(bytes, start, end) && textAt(bytes, start - 1, end + 1) === text
}

function hasBackslash(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === BACKSLASH) return true
  return false
}

const textAt = (bytes: Buffer, start: number, end: number): string => JSON.parse(bytes.toString('utf8', start, end))

/** The string of a member of up to `maxLength` characters; undefined for other values. */
export function stringOf(bytes: Buffer, member: Member | undefined, maxLength: number): string | undefined {
  if (member === undefined || bytes[member.valueStart] !== QUOTE) return undefined
  const { valueStart, valueEnd } = member
  if (valueEnd - valueStart - 2 > maxLength * BYTES_PER_CHARACTER) return undefined
  const text = textAt(bytes, valueStart, valueEnd)
  return text.length <= maxLength ? text : undefined
}

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'

/** The kind of the value that begins at this place of a text that is JSON. */
export function kindAt(bytes: Buffer, at: number): JsonKind {
  const first = bytes[at]
  if (first === OPEN_OBJECT) return 'object'
  if (first === OPEN_ARRAY) return 'array'
  if (first === QUOTE) return 'string'
  if (first === 0x6e) return 'null'
  return first === 0x74 || first === 0x66 ? 'boolean' : 'number'
}

/**
 * The elements of an array, each as it is written. Returns undefined when the text is no array.
 * `bytes` must be JSON: call `jsonFault` first.
 */
export function elementsOf(bytes: Buffer): Buffer[] | undefined {
  let at = afterSpace(bytes, 0)
  if (bytes[at] !== OPEN_ARRAY) return undefined
  const found: Buffer[] = []
  at = afterSpace(bytes, at + 1)
  while (bytes[at] !== CLOSE_ARRAY) {
    const end = endOfValue(bytes, at)
    found.push(bytes.subarray(at, end))
    // A comma, or the end.
    at = afterSpace(bytes, end)
    if (bytes[at] !== CLOSE_ARRAY) at = afterSpace(bytes, at + 1)
  }
  return found
}

/** As `afterString`, for a text that is known to be JSON. */
function endOfString(bytes: Uint8Array, from: number): number {
  let at = from + 1
  while (bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at + 1
}

function endOfValue(bytes: Uint8Array, from: number): number {
  const first = bytes[from]!
  if (first === QUOTE) return endOfString(bytes, from)
  if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) return afterScalar(bytes, from, first)
  let depth = 0
  let at = from
  do {
    const byte = bytes[at]!
    if (byte === QUOTE) {
      at = endOfString(bytes, at)
      continue
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth--
    at++
  } while (depth > 0)
  return at
}
