/**
 * The message of the bench: JSON text of a fixed size with a sequence number per session, the
 * intended time of sending, and the addressee. All are decimal digits at fixed offsets, so that
 * neither side has to parse or build JSON.
 */
import { SESSION_DIGITS } from './sessions.ts'

export const PAYLOAD_BYTES = 128

const HEAD = '{"seq":"'
const SEQUENCE_DIGITS = 10
const MIDDLE = '","at":"'
const TIME_DIGITS = 15
const ADDRESS = '","to":"'
const TAIL = '","text":"'
const TEXT = 'The quick brown fox jumps over the lazy dog, and then it does that again. '

/**
 * The offsets of the digits in bytes that contain a message: plain, or within a command or a frame.
 */
export interface Shape {
  length: number
  sequenceAt: number
  timeAt: number
  addresseeAt: number
  /** Undefined: the message has no number. */
  offsetAt: number | undefined
}

/** The number of the message before the first of a session. All that follow have as many digits. */
export const FIRST_OFFSET = 1_000_000_000
const OFFSET_DIGITS = 9

/** The shape of bytes that contain one blank payload. Throws when they contain none. */
export function shapeOf(bytes: Buffer): Shape {
  const timeAt = bytes.indexOf('0'.repeat(TIME_DIGITS))
  const sequenceAt = bytes.indexOf('0'.repeat(SEQUENCE_DIGITS))
  const addresseeAt = bytes.indexOf('0'.repeat(SESSION_DIGITS), timeAt + TIME_DIGITS)
  if (sequenceAt < 0 || timeAt <= sequenceAt || addresseeAt < 0)
    throw new Error(`no message is in ${bytes.toString('latin1')}`)
  const numberAt = bytes.indexOf(`.${FIRST_OFFSET}\u001e`)
  const offsetAt = numberAt < 0 ? undefined : numberAt + 2
  return { length: bytes.length, sequenceAt, timeAt, addresseeAt, offsetAt }
}

/** A message with sequence 0 and time 0, for the session or topic of that number. */
export function blankPayload(addressee = 0): string {
  const to = String(addressee).padStart(SESSION_DIGITS, '0')
  const start = HEAD + '0'.repeat(SEQUENCE_DIGITS) + MIDDLE + '0'.repeat(TIME_DIGITS) + ADDRESS + to + TAIL
  const room = PAYLOAD_BYTES - start.length - 2
  return `${start}${TEXT.repeat(3).slice(0, room)}"}`
}

/** The shape of a plain message. */
const PLAIN = shapeOf(Buffer.from(blankPayload()))

/**
 * Writes the sequence number and the time (whole microseconds) into a message of that shape at
 * `start`.
 */
export function stamp(bytes: Uint8Array, start: number, sequence: number, atUs: number, shape: Shape = PLAIN): void {
  writeDigits(bytes, start + shape.sequenceAt, SEQUENCE_DIGITS, sequence)
  writeDigits(bytes, start + shape.timeAt, TIME_DIGITS, atUs)
  if (shape.offsetAt !== undefined) writeDigits(bytes, start + shape.offsetAt, OFFSET_DIGITS, sequence + 1)
}

/** Writes the addressee. */
export const address = (bytes: Uint8Array, start: number, addressee: number, shape: Shape = PLAIN): void =>
  writeDigits(bytes, start + shape.addresseeAt, SESSION_DIGITS, addressee)

export const readSequence = (bytes: Uint8Array, start: number, shape: Shape = PLAIN): number =>
  readDigits(bytes, start + shape.sequenceAt, SEQUENCE_DIGITS)

/** The intended time of sending, in microseconds of `nowUs`. */
export const readTimeUs = (bytes: Uint8Array, start: number, shape: Shape = PLAIN): number =>
  readDigits(bytes, start + shape.timeAt, TIME_DIGITS)

/** The number of the session or topic that the message is for. */
export const readAddressee = (bytes: Uint8Array, start: number, shape: Shape = PLAIN): number =>
  readDigits(bytes, start + shape.addresseeAt, SESSION_DIGITS)

function writeDigits(bytes: Uint8Array, start: number, digits: number, value: number): void {
  let rest = value
  for (let at = start + digits - 1; at >= start; at--) {
    const next = Math.floor(rest / 10)
    bytes[at] = 48 + rest - next * 10
    rest = next
  }
}

function readDigits(bytes: Uint8Array, start: number, digits: number): number {
  let value = 0
  for (let at = start; at < start + digits; at++) value = value * 10 + bytes[at]! - 48
  return value
}
