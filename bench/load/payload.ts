/**
 * The message of the bench: JSON text of a fixed size with a per-session sequence number and the intended time of sending,
 * both as decimal digits at fixed places, so that neither side has to parse or build JSON.
 */

export const PAYLOAD_BYTES = 128

const HEAD = '{"seq":"'
const SEQUENCE_DIGITS = 10
const MIDDLE = '","at":"'
const TIME_DIGITS = 15
const TAIL = '","text":"'
const TEXT = 'The quick brown fox jumps over the lazy dog, and then it does that again. '

const SEQUENCE_AT = HEAD.length
const TIME_AT = SEQUENCE_AT + SEQUENCE_DIGITS + MIDDLE.length

/** A message with sequence 0 and time 0. */
export function blankPayload(): string {
  const start = HEAD + '0'.repeat(SEQUENCE_DIGITS) + MIDDLE + '0'.repeat(TIME_DIGITS) + TAIL
  const room = PAYLOAD_BYTES - start.length - 2
  return `${start}${TEXT.repeat(3).slice(0, room)}"}`
}

/** Writes sequence and time (whole microseconds) into the blank payload that starts at `start`. */
export function stamp(bytes: Uint8Array, start: number, sequence: number, atUs: number): void {
  writeDigits(bytes, start + SEQUENCE_AT, SEQUENCE_DIGITS, sequence)
  writeDigits(bytes, start + TIME_AT, TIME_DIGITS, atUs)
}

export const readSequence = (bytes: Uint8Array, start: number): number =>
  readDigits(bytes, start + SEQUENCE_AT, SEQUENCE_DIGITS)

/** The intended time of sending in microseconds of `nowUs`. */
export const readTimeUs = (bytes: Uint8Array, start: number): number => readDigits(bytes, start + TIME_AT, TIME_DIGITS)

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
