/** What has arrived at all sockets together: how many, how late, and whether in order. */
import { Latencies, type Latency } from './latencies.ts'
import { blankPayload, readAddressee, readSequence, readTimeUs, type Shape, shapeOf } from './payload.ts'

/** Counts the frames of sockets; for each socket it is given back what it returned for the frame before (0 at first), and as which session it came. */
export interface Counter {
  count(bytes: Uint8Array, start: number, length: number, before: number, arrivedUs: number, session: number): number
}

export class Tally implements Counter {
  /** Since the process started: the publisher counts in the same way. */
  delivered = 0
  /** Messages with another number than the one that was due on their socket: lost, doubled or overtaken before them. */
  outOfOrder = 0
  /** Messages that are not of the bench: an error frame, say. */
  foreign = 0
  /** Messages for somebody else. */
  astray = 0
  lastArrivalUs = 0
  #shape = shapeOf(Buffer.from(blankPayload()))
  readonly #latencies = new Latencies()

  /** Messages look like this from now on. */
  expect(shape: Shape): void {
    this.#shape = shape
  }

  /** Counts one message and returns the sequence number that is due next on its socket. */
  count(bytes: Uint8Array, start: number, length: number, due: number, arrivedUs: number, session: number): number {
    if (length !== this.#shape.length) {
      this.foreign++
      return due
    }
    const sequence = readSequence(bytes, start, this.#shape)
    if (sequence !== due) this.outOfOrder++
    if (readAddressee(bytes, start, this.#shape) !== session) this.astray++
    this.delivered++
    this.lastArrivalUs = arrivedUs
    this.#latencies.record(arrivedUs - readTimeUs(bytes, start, this.#shape))
    return sequence + 1
  }

  /** Forgets latencies and faults; the number delivered goes on. */
  restart(): void {
    this.#latencies.reset()
    this.outOfOrder = 0
    this.foreign = 0
    this.astray = 0
  }

  latencyMs(): Latency {
    return this.#latencies.inMs()
  }
}
