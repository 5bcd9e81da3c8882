/** What has reached all sockets together: how many messages, how late, and whether in order. */
import { Latencies, type Latency } from './latencies.ts'
import { blankPayload, readAddressee, readSequence, readTimeUs, type Shape, shapeOf } from './payload.ts'

/**
 * Counts the frames of sockets. With each frame it gets what it returned for the frame before on
 * that socket (0 at first), and the number of the socket's session or path.
 */
export interface Counter {
  count(bytes: Uint8Array, start: number, length: number, before: number, arrivedUs: number, session: number): number
}

/** Counts of messages, of faults and of latencies. */
export abstract class MessageTally {
  /** Since the process started; the publisher counts in the same way. */
  delivered = 0
  /** Messages that were lost, doubled or overtaken, by their sequence number. */
  outOfOrder = 0
  /** Frames that are no message of the bench, such as an error frame. */
  foreign = 0
  /** Messages for another socket. */
  astray = 0
  lastArrivalUs = 0
  readonly #latencies = new Latencies()

  protected arrived(arrivedUs: number, sentUs: number): void {
    this.delivered++
    this.lastArrivalUs = arrivedUs
    this.#latencies.record(arrivedUs - sentUs)
  }

  /** Resets latencies and faults; `delivered` goes on. */
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

export class Tally extends MessageTally implements Counter {
  #shape = shapeOf(Buffer.from(blankPayload()))

  /** From now on messages have this shape. */
  expect(shape: Shape): void {
    this.#shape = shape
  }

  /** Counts one message. Returns the sequence number that is due next on its socket. */
  count(bytes: Uint8Array, start: number, length: number, due: number, arrivedUs: number, session: number): number {
    if (length !== this.#shape.length) {
      this.foreign++
      return due
    }
    const sequence = readSequence(bytes, start, this.#shape)
    if (sequence !== due) this.outOfOrder++
    if (readAddressee(bytes, start, this.#shape) !== session) this.astray++
    this.arrived(arrivedUs, readTimeUs(bytes, start, this.#shape))
    return sequence + 1
  }
}
