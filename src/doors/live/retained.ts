import type { Topic } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import { liveChannel, liveLast } from '../../contract/names.ts'
import { reasonOf } from '../../platform/reason.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import { type MessageLimits, messageFrom } from './messages.ts'
import { isGranted, nameOf } from './topics.ts'

export interface RetainedParts {
  /** Topics with a last message: names, or prefixes followed by `*` (`LIVE_LAST`). */
  readonly rules: readonly string[]
  /** Life in Redis of what this gateway keeps, in ms. */
  readonly ttlMs: number
  readonly limits: MessageLimits
  /** Runs a command on the server of `key`. @throws RedisUnavailable; Redis' own error. */
  readonly command: (key: string, args: readonly string[]) => Promise<unknown>
  readonly send: (connection: Connection, frame: Buffer) => void
  /** Called for a last message that cannot be read or sent. */
  readonly failed: (topic: string, why: string) => void
}

/** What is kept for a topic that some socket holds, as its `state`. */
interface TopicState {
  /** Sockets that have had no message of the topic since they joined it. */
  readonly without: Set<Connection>
  /** Of these, the sockets that are answered by the next reading. */
  asked: Connection[]
  isReading: boolean
  /** Whether the newest reading found a message. */
  found: boolean
}

const stateOf = ({ state }: Topic): TopicState | undefined => state as TopicState | undefined

/**
 * All members of the topic get a message now. What Redis keeps may be older than this one, so it is
 * sent to none of them any more.
 */
export const heard = (topic: Topic): void => stateOf(topic)?.without.clear()

/** How many of these topics have a last message, as far as it was read. */
export function countRetained(topics: Iterable<Topic>): number {
  let count = 0
  for (const topic of topics) if (stateOf(topic)?.found) count++
  return count
}

/**
 * The last message of a topic, kept in Redis under `liveLast` by the agent that published it or by
 * the gateway that took a broadcast. A socket gets it after the answer to its subscription, unless
 * a newer message was faster. All sockets that ask while a reading is under way share the next one.
 */
export class RetainedMessages {
  readonly #parts: RetainedParts

  constructor(parts: RetainedParts) {
    this.#parts = parts
  }

  /** A socket has joined the topic, before any message can arrive for it. */
  entered(topic: Topic, connection: Connection): void {
    if (!isGranted(this.#parts.rules, nameOf(topic))) return
    topic.state ??= { without: new Set(), asked: [], isReading: false, found: false } satisfies TopicState
    stateOf(topic)!.without.add(connection)
  }

  /** Redis has confirmed topics that a socket has joined: sends what is kept for them. */
  greet(connection: Connection, joined: readonly Topic[]): void {
    for (const topic of joined) {
      const state = stateOf(topic)
      if (!state?.without.has(connection)) continue
      state.asked.push(connection)
      if (!state.isReading) void this.#answer(topic, state)
    }
  }

  /**
   * Keeps a message that is about to be broadcast. Resolves with whether it is kept, and with
   * undefined for a topic without a last message. One that is too large only deletes the one
   * before. @throws RedisUnavailable.
   */
  async keep(topic: string, frame: () => Buffer): Promise<boolean | undefined> {
    const { command, limits, rules, ttlMs, failed } = this.#parts
    if (!isGranted(rules, topic)) return undefined
    const key = liveLast(topic)
    const message = frame()
    const fits = message.length <= limits.maxBytes
    try {
      await command(key, fits ? ['SET', key, message.toString('utf8'), 'PX', String(ttlMs)] : ['DEL', key])
      return fits
    } catch (error) {
      if (error instanceof RedisUnavailable) throw error
      failed(topic, reasonOf(error))
      return false
    }
  }

  async #answer(topic: Topic, state: TopicState): Promise<void> {
    state.isReading = true
    while (state.asked.length > 0) {
      const { asked } = state
      state.asked = []
      const frame = await this.#read(nameOf(topic))
      state.found = frame !== undefined
      for (const connection of asked) {
        if (!state.without.delete(connection) || frame === undefined) continue
        if (connection.topics.includes(topic)) this.#parts.send(connection, frame)
      }
      // A socket that was lost before its topics were confirmed has asked for nothing.
      for (const each of state.without) if (!each.topics.includes(topic)) state.without.delete(each)
    }
    state.isReading = false
  }

  /** Returns the frame; undefined when nothing is kept, or nothing that can be sent. */
  async #read(name: string): Promise<Buffer | undefined> {
    const { command, limits, failed } = this.#parts
    const key = liveLast(name)
    try {
      // One byte more than the limit is enough to see that the message is too large.
      const text = await command(key, ['GETRANGE', key, '0', String(limits.maxBytes)])
      if (typeof text !== 'string' || text === '') return undefined
      const payload = Buffer.from(text)
      if (payload.length > limits.maxBytes) failed(name, `larger than ${limits.maxBytes} bytes (LIVE_LAST_MAX_BYTES)`)
      else {
        const message = messageFrom(name, liveChannel(name), payload, limits)
        if (message) return marked(message.frame)
        failed(name, 'not a JSON object, or not fit for its topic')
      }
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) failed(name, reasonOf(error))
    }
    return undefined
  }
}

const MARK = Buffer.from(',"retained":true}')

const marked = (frame: Buffer): Buffer => Buffer.concat([frame.subarray(0, -1), MARK])
