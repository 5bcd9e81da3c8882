/**
 * The names of the bench's runs, and the change of a run: its `last_modified` becomes the time at
 * which the change was due.
 */
import { command } from './command.ts'

const DIGITS = 4
const TIME_DIGITS = 15
const FIELD = 'last_modified'
const BLANK = '0'.repeat(TIME_DIGITS)

export const runId = (index: number): string => `bench-run-${String(index).padStart(DIGITS, '0')}`

/**
 * HSET commands in RESP, encoded once: one per run, all of the same length, so that a batch is
 * copied and stamped.
 */
export class Changes {
  readonly #commands: Buffer[]

  /** Changes go round the runs 0 to `runs - 1`. */
  constructor(runs: number) {
    this.#commands = Array.from({ length: runs }, (_, index) => command('HSET', runId(index), FIELD, BLANK))
  }

  /**
   * The changes number `first` to `first + count - 1` of all, at `atUs` (whole microseconds of
   * `nowUs`).
   */
  batch(first: number, count: number, atUs: number): Buffer {
    const time = String(Math.floor(atUs)).padStart(TIME_DIGITS, '0')
    const chosen = Array.from({ length: count }, (_, i) => this.#commands[(first + i) % this.#commands.length]!)
    const batch = Buffer.concat(chosen)
    let end = 0
    for (const { length } of chosen) {
      end += length
      batch.write(time, end - TIME_DIGITS - 2, 'latin1')
    }
    return batch
  }
}

const TAIL = Buffer.from(`"${FIELD}":`)
const ZERO = 48
const NINE = 57
const END = 125 // }

/**
 * The time in a frame of a run, in microseconds of `nowUs`; 0 for a frame without a change of the
 * bench; undefined for any other frame.
 */
export function readChangeUs(bytes: Uint8Array, start: number, length: number): number | undefined {
  let at = start + length - 1
  if (bytes[at] !== END) return undefined
  let value = 0
  let unit = 1
  for (at--; bytes[at]! >= ZERO && bytes[at]! <= NINE; at--, unit *= 10) value += (bytes[at]! - ZERO) * unit
  const from = at + 1 - TAIL.length
  return from > start && TAIL.every((byte, i) => bytes[from + i] === byte) ? value : undefined
}
