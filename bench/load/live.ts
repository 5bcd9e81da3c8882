/**
 * The bench's topics of the live door: which sockets hold them, what is published and what arrived.
 */
import { liveChannel } from '../../src/contract/names.ts'
import { command } from './command.ts'
import { blankPayload, PAYLOAD_BYTES, readAddressee, readSequence, readTimeUs, stamp } from './payload.ts'
import { type Counter, MessageTally } from './tally.ts'

const DIGITS = 4
export const topicName = (index: number): string => `bench-${String(index).padStart(DIGITS, '0')}`

/** The value of LIVE_TOPICS that admits these topics. */
export const TOPIC_RULE = 'bench-*'

/**
 * The second topic of a socket that holds `topic`. Each is the second of exactly one other topic.
 */
const second = (topic: number, topics: number): number => (topic * 7 + 3) % topics

/** The paths that sockets connect to, in turn: one topic for all, or two topics each, evenly. */
export function livePaths(topics: number): string[] {
  return Array.from({ length: topics }, (_, topic) => {
    const held = topics === 1 ? [topic] : [topic, second(topic, topics)]
    return `/live?subscriptions=${held.map(topicName)}`
  })
}

/**
 * PUBLISH commands in RESP, encoded once: one per topic, equally long, numbered over all topics.
 */
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
    // Numbered from 1: a socket without a message stands at 0.
    for (let i = 0; i < count; i++) stamp(batch, (i + 1) * size - PAYLOAD_BYTES - 2, first + i + 1, Math.floor(atUs))
    return batch
  }
}

const publishTo = (topic: number): Buffer => command('PUBLISH', liveChannel(topicName(topic)), blankPayload(topic))

/** The beginning of a frame; its data is the payload, byte for byte. */
const NAME = topicName(0)
const HEAD = Buffer.from(`{"type":"${NAME}_update","subscription":"${NAME}","data":`)
const NAME_AT = HEAD.lastIndexOf(NAME)

/** Whether the frame names this topic as its subscription. */
function isCalled(bytes: Uint8Array, start: number, topic: number): boolean {
  let rest = topic
  for (let at = start + NAME_AT + NAME.length - 1; at >= start + NAME_AT + NAME.length - DIGITS; at--) {
    if (bytes[at]! - 48 !== rest % 10) return false
    rest = Math.floor(rest / 10)
  }
  return true
}

/**
 * What has reached the live sockets. Astray is a message of a topic that its socket does not hold.
 */
export class LiveTally extends MessageTally implements Counter {
  /** The number of topics. */
  topics = 1

  /**
   * Counts one frame; `place` is the index of the socket's path. Returns its sequence number, which
   * the next one on this socket must pass.
   */
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
    this.arrived(arrivedUs, readTimeUs(bytes, start + HEAD.length))
    return sequence
  }
}
