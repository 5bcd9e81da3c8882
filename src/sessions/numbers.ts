/**
 * Numbered messages: `0x1E <epoch>.<offset> 0x1E <payload>` on a session's channel, a stream entry
 * in its log, and `<offset> <payload>` on a socket of `wsproxy.v2`. Epochs sort by their age.
 */

/** The head of a numbered message. */
export interface Header {
  readonly epoch: string
  readonly offset: number
  /** Whether the message is the last one of its stream. */
  readonly closes: boolean
  /** Where the digits of the offset begin. */
  readonly start: number
  /** Where the payload begins. */
  readonly end: number
}

/** What a client has seen. `start`: it wants all that is kept. */
export type Cursor = { readonly epoch: string; readonly offset: number } | 'start'

/** JSON cannot begin with this byte. */
export const MARK = 0x1e
const DOT = 0x2e
const SPACE = 0x20
const ZERO = 0x30
const LETTER_C = 0x63
const MAX_EPOCH = 32
/** Any number of so many digits is exact in JavaScript. */
const MAX_DIGITS = 15

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= ZERO && byte <= ZERO + 9
const isEpochByte = (byte: number | undefined): boolean =>
  isDigit(byte) || (byte !== undefined && byte >= 0x61 && byte <= 0x7a)

/**
 * Reads the head of a message. Undefined: it has none, so it is a message without a number. That is
 * also so for a head that is malformed.
 * @param likely the epoch that the message probably has: it needs no new string then.
 */
export function headerOf(message: Buffer, likely = ''): Header | undefined {
  if (message[0] !== MARK) return undefined
  let at = 1
  while (at <= likely.length && message[at] === likely.charCodeAt(at - 1)) at++
  const isLikely = likely !== '' && at > likely.length && message[at] === DOT
  if (!isLikely) for (at = 1; at <= MAX_EPOCH && isEpochByte(message[at]); ) at++
  if (at === 1 || message[at] !== DOT) return undefined
  const epochEnd = at++
  const start = at
  const digits = digitsAt(message, at)
  if (digits === 0) return undefined
  const offset = numberAt(message, at, digits)
  at += digits
  const closes = message[at] === LETTER_C
  if (closes) at++
  if (message[at] !== MARK) return undefined
  return { epoch: isLikely ? likely : message.toString('latin1', 1, epochEnd), offset, closes, start, end: at + 1 }
}

/** The number of digits at `at`; 0 when they are no number of a message. */
function digitsAt(bytes: Buffer, at: number): number {
  if (bytes[at] === ZERO) return 0
  let digits = 0
  while (digits <= MAX_DIGITS && isDigit(bytes[at + digits])) digits++
  return digits > MAX_DIGITS ? 0 : digits
}

function numberAt(bytes: Buffer, at: number, digits: number): number {
  let value = 0
  for (let i = at; i < at + digits; i++) value = value * 10 + bytes[i]! - ZERO
  return value
}

/** Makes the frame of a numbered message: `<offset> <payload>`. */
export function numberedFrame(offset: number, payload: Buffer): Buffer {
  return prefixed(String(offset), payload)
}

/**
 * Turns a numbered message into its frame without a copy: the digits are there, and the mark behind
 * them becomes the space. The caller must not read the head again.
 */
export function frameInPlace(message: Buffer, { offset, closes, start, end }: Header): Buffer {
  if (closes) return numberedFrame(offset, message.subarray(end))
  message[end - 1] = SPACE
  return message.subarray(start)
}

/** Makes the frame of a message without a number: `- <payload>`. */
export const plainFrame = (payload: Buffer): Buffer => prefixed('-', payload)

function prefixed(prefix: string, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(prefix.length + 1 + payload.length)
  frame.write(prefix, 0, 'latin1')
  frame[prefix.length] = SPACE
  payload.copy(frame, prefix.length + 1)
  return frame
}

/** Splits the number from a client frame `<number> <JSON>`. Undefined: the frame has no number. */
export function numberOf(frame: Buffer): { readonly number: number; readonly rest: Buffer } | undefined {
  const digits = digitsAt(frame, 0)
  if (digits === 0 || frame[digits] !== SPACE || frame.length <= digits + 1) return undefined
  return { number: numberAt(frame, 0, digits), rest: frame.subarray(digits + 1) }
}

/** The text between the marks of the end of a log. */
const END = /^([0-9a-z]{1,32})\.(0|[1-9]\d{0,14})e$/
const MAX_END = 1 + MAX_EPOCH + 1 + MAX_DIGITS + 2

/**
 * Reads the end of a log, which a stream that is closed without a message publishes: `0x1E
 * <epoch>.<offset>e 0x1E`. Undefined: it is a message. No client gets the end.
 */
export function endOf(message: Buffer): { readonly epoch: string; readonly offset: number } | undefined {
  const last = message.length - 1
  if (last >= MAX_END || message[last] !== MARK || message[0] !== MARK) return undefined
  const [, epoch, offset] = END.exec(message.toString('latin1', 1, last)) ?? []
  return epoch === undefined ? undefined : { epoch, offset: Number(offset) }
}

const CURSOR = /^([0-9a-z]{1,32})\.(0|[1-9]\d{0,14})$/

/** Reads `<epoch>.<offset>`, or `-1` for all that is kept. Undefined: it is neither. */
export function parseCursor(text: string): Cursor | undefined {
  if (text === '-1') return 'start'
  const [, epoch, offset] = CURSOR.exec(text) ?? []
  return epoch === undefined ? undefined : { epoch, offset: Number(offset) }
}
