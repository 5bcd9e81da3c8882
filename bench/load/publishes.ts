/**
 * PUBLISH commands, encoded once: one per session, all of the same length, so that a batch is
 * copied and stamped.
 */
import { DIALECTS, type Dialect } from './dialects.ts'
import { blankPayload, type Shape, shapeOf, stamp } from './payload.ts'

const MOST_FREE = 64

export class Publishes {
  readonly #sessions: number
  readonly #burst: number
  readonly #lap: Buffer
  readonly #shape: Shape
  /** Batches to reuse: new ones would be garbage, whose collection would delay the next batches. */
  readonly #free: Buffer[] = []

  /** Messages go round the sessions 0 to `sessions - 1`, this many in a row to each. */
  constructor(sessions: number, burst = 1, dialect: Dialect = DIALECTS.plain) {
    const commands = Array.from({ length: sessions }, (_, session) => dialect.publish(session, blankPayload(session)))
    this.#sessions = sessions
    this.#burst = burst
    this.#lap = Buffer.concat(commands.flatMap((command) => Array(burst).fill(command)))
    this.#shape = shapeOf(commands[0]!)
  }

  /** The messages number `first` to `first + count - 1` of all, stamped with `atUs`. */
  batch(first: number, count: number, atUs: number): Buffer {
    const size = this.#shape.length
    const lap = this.#sessions * this.#burst
    const batch = this.#room(count * size)
    const time = Math.floor(atUs)
    for (let done = 0; done < count; ) {
      const at = (first + done) % lap
      const run = Math.min(count - done, lap - at)
      this.#lap.copy(batch, done * size, at * size, (at + run) * size)
      done += run
    }
    for (let i = 0; i < count; i++) stamp(batch, i * size, this.#sequence(first + i), time, this.#shape)
    return batch
  }

  written(batch: Buffer): void {
    if (this.#free.length < MOST_FREE) this.#free.push(batch)
  }

  #room(bytes: number): Buffer {
    const last = this.#free.pop()
    // At a constant pace all batches have the same size.
    return last?.length === bytes ? last : Buffer.allocUnsafeSlow(bytes)
  }

  /** The sequence number of the message on its session. */
  #sequence(message: number): number {
    return Math.floor(message / (this.#sessions * this.#burst)) * this.#burst + (message % this.#burst)
  }
}
