/**
 * As much of MessagePack as a publish through socket.io's Redis adapter needs: strings, small
 * numbers, arrays and maps of up to 15 members.
 */

type Value = string | number | Value[] | { [key: string]: Value }

const FIX_MAP = 0x80
const FIX_ARRAY = 0x90
const FIX_STRING = 0xa0
const STRING_8 = 0xd9

/** Encodes `value`. Strings may have up to 255 bytes; numbers must be whole and from 0 to 127. */
export function msgpack(value: Value): Buffer {
  if (typeof value === 'number') return Buffer.of(value)
  if (typeof value === 'string') return text(value)
  if (Array.isArray(value)) return Buffer.concat([Buffer.of(FIX_ARRAY | value.length), ...value.map(msgpack)])
  const entries = Object.entries(value)
  const pairs = entries.flatMap(([key, each]) => [text(key), msgpack(each)])
  return Buffer.concat([Buffer.of(FIX_MAP | entries.length), ...pairs])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  const head = bytes.length < 32 ? Buffer.of(FIX_STRING | bytes.length) : Buffer.of(STRING_8, bytes.length)
  return Buffer.concat([head, bytes])
}
