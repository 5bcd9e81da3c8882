/** Topics of the live door as the bench uses them: who holds which, what is published, and what has arrived. */
import { liveChannel } from '../../src/contract/names.ts'
import { command } from './command.ts'
import { Latencies, type Latency } from './latencies.ts'
import { blankPayload, PAYLOAD_BYTES, readAddressee, readSequence, readTimeUs, stamp } from './payload.ts'
import type { Counter } from './tally.ts'

const DIGITS = 4
const topicName = (index: number): string => `bench-${String(index).padStart(DIGITS, '0')}`

/** The setting that makes these topics. */
export const TOPIC_RULE = 'bench-*'

/** A second topic for who holds one: each is the second of exactly one other. */
const second = (topic: number, topics: number): number => (topic * 7 + 3) % topics

/** What sockets connect to, in turn: one topic for all, or two each, so that every topic has as many sockets. */
export function livePaths(topics: number): string[] {
  return Array.from({ length: topics }, (_, topic) => {
    const held = topics === 1 ? [topic] : [topic, second(topic, topics)]
    return `/live?subscriptions=${held.map(topicName)}`
  })
}

/** PUBLISH commands in RESP, encoded once: one per topic, all of the same length, numbered over all topics. */
export class LivePublishes {
  readonly #commands: Buffer[]

  /** Messages go round the topics 0 to `topics - 1`. */
  constructor(topics: number) {
    this.#commands = Array.from({ length: topics }, (_, index) => publishTo(index))
  }

  batch(first: number, count: number, atUs: number): Buffer {
    const chosen = Array.from({ length: count }, (_, i) => this.#commands[(first + i) % this.#commands.length]!)
    const batch = Buffer.concat(chosen)
    const size = chosen[0]!.length
    // From 1: a socket that has got nothing yet stands at 0.
    for (let i = 0; i < count; i++) stamp(batch, (i + 1) * size - PAYLOAD_BYTES - 2, first + i + 1, Math.floor(atUs))
    return batch
  }
}

const publishTo = (topic: number): Buffer => command('PUBLISH', liveChannel(topicName(topic)), blankPayload(topic))

/** How the frame of such a message begins; its data is the payload, byte for byte. */
const NAME = topicName(0)
const HEAD = Buffer.from(`{"type":"${NAME}_update","subscription":"${NAME}","data":`)
const NAME_AT = HEAD.lastIndexOf(NAME)

/** Whether the frame's subscription is this topic. */
function isCalled(bytes: Uint8Array, start: number, topic: number): boolean {
  let rest = topic
  for (let at = start + NAME_AT + NAME.length - 1; at >= start + NAME_AT + NAME.length - DIGITS; at--) {
    if (bytes[at]! - 48 !== rest % 10) return false
    rest = Math.floor(rest / 10)
  }
  return true
}

/** What has arrived at the live sockets. */
export class LiveTally implements Counter {
  delivered = 0
  /** Messages with a number that is not above the one before it on their socket: doubled or overtaken. */
  outOfOrder = 0
  /** Frames that are no message of the bench. */
  foreign = 0
  /** Messages of a topic that the socket does not hold, or that call themselves another's. */
  astray = 0
  /** How many topics there are. */
  topics = 1
  lastArrivalUs = 0
  readonly #latencies = new Latencies()

  /** `place`: which of the paths the socket has connected to. */
  count(bytes: Uint8Array, start: number, length: number, before: number, arrivedUs: number, place: number): number {
    if (length < HEAD.length + PAYLOAD_BYTES || bytes[start + NAME_AT] !== HEAD[NAME_AT]) {
      this.foreign++
      return before
    }
    const sequence = readSequence(bytes, start + HEAD.length)
    if (sequence <= before) this.outOfOrder++
    const topic = readAddressee(bytes, start + HEAD.length)
    const isItsOwn = topic === place || topic === second(place, this.topics)
    if (!isItsOwn || !isCalled(bytes, start, topic)) this.astray++
    this.delivered++
    this.lastArrivalUs = arrivedUs
    this.#latencies.record(arrivedUs - readTimeUs(bytes, start + HEAD.length))
    return sequence
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
