import { readFileSync } from 'node:fs'
import type { Random } from '../chaos/random.ts'

const folder = new URL('../../../test/fixtures/corpus/', import.meta.url)

/**
 * The inputs of a parser, one a line, written as a JSON string without its quotes, with a character
 * for each byte.
 */
export const corpusOf = (name: string): Buffer[] =>
  readFileSync(new URL(`${name}.txt`, folder), 'latin1')
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => Buffer.from(JSON.parse(`"${line}"`), 'latin1'))

/** An input as a line of a corpus. */
export const lineOf = (input: Buffer): string =>
  JSON.stringify(input.toString('latin1'))
    .slice(1, -1)
    .replace(/[\x7f-\xff]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)

const MAX_INPUT = 4096
const ODD_BYTES = [
  0, 9, 10, 13, 32, 34, 36, 42, 43, 44, 45, 46, 47, 48, 57, 58, 62, 91, 92, 93, 101, 123, 125, 127, 128, 192, 255,
]

/** Changes an input in up to four places, with parts of another input among the changes. */
export function mutated(random: Random, input: Buffer, other: Buffer): Buffer {
  let bytes = input
  for (let n = random.int(1, 4); n > 0; n--) {
    const at = random.int(0, bytes.length)
    const end = Math.min(bytes.length, at + random.int(0, 8))
    const parts = {
      cut: [bytes.subarray(0, at), bytes.subarray(end)],
      set: [bytes.subarray(0, at), Buffer.from([random.pick(ODD_BYTES)]), bytes.subarray(at + 1)],
      add: [bytes.subarray(0, at), Buffer.from([random.pick(ODD_BYTES)]), bytes.subarray(at)],
      any: [bytes.subarray(0, at), random.bytes(random.int(1, 4)), bytes.subarray(at)],
      repeat: [bytes.subarray(0, end), bytes.subarray(at)],
      splice: [bytes.subarray(0, at), other.subarray(random.int(0, other.length))],
    }
    bytes = Buffer.concat(parts[random.pick(['cut', 'set', 'add', 'any', 'repeat', 'splice'] as const)]).subarray(
      0,
      MAX_INPUT,
    )
  }
  return bytes
}
