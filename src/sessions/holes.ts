import type { Topic } from '../connection/bind.ts'
import type { NumberGapReason } from '../contract/reasons.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { LogPage } from '../redis/session-log.ts'
import type { Held, LoggedTopic } from './logged.ts'
import { bytesOf, loggedOf, pageSize, type SessionLogsParts, sessionOf } from './parts.ts'
import type { Passing } from './pass.ts'

/** Logs that are checked at once. */
const CHECK_BATCH = 100

/** The last socket has left. The next one brings a state of its own. */
const isGone = (topic: Topic, logged: LoggedTopic): boolean => topic.state !== logged || topic.members.length === 0

/**
 * Fills holes of a topic from its log: while a topic is held, its level sockets get what the log
 * has, and the messages of the channel wait.
 */
export class Holes {
  readonly #parts: SessionLogsParts
  readonly #passing: Passing
  /** Topics whose log could not be read. */
  readonly #stalled = new Set<Topic>()

  constructor(parts: SessionLogsParts, passing: Passing) {
    this.#parts = parts
    this.#passing = passing
  }

  /** Reads on from the newest number that the level sockets have. */
  fill(topic: Topic): void {
    const logged = loggedOf(topic)
    logged.isHeld = true
    if (logged.isReading) return
    logged.isReading = true
    void this.#read(topic, logged).finally(() => {
      logged.isReading = false
      if (!logged.isHeld) logged.settled()
    })
  }

  /** Tries again what could not be read. */
  retry(): void {
    const topics = [...this.#stalled]
    this.#stalled.clear()
    for (const topic of topics) if (topic.members.length > 0) this.fill(topic)
  }

  /**
   * Compares the topics that had messages lately with their logs: the publication of the newest one
   * may be lost.
   */
  async check(): Promise<void> {
    const topics = [...this.#parts.topics()].filter((topic) => {
      const logged = loggedOf(topic)
      return logged?.takeCheck()
    })
    for (let from = 0; from < topics.length; from += CHECK_BATCH)
      await Promise.all(topics.slice(from, from + CHECK_BATCH).map((topic) => this.#compare(topic)))
  }

  async #compare(topic: Topic): Promise<void> {
    if (topic.members.length === 0) return
    const logged = loggedOf(topic)
    const { last } = logged
    const newest = await this.#parts.log.newest(sessionOf(topic)).catch(() => 0)
    if (isGone(topic, logged) || logged.isHeld) return
    if (newest === 0 || (newest >= last && newest <= logged.last)) return
    // The sockets have numbers that the log does not have: Redis has lost messages, or the numbers
    // were no messages of the session.
    logged.isDoubtful = newest < last
    this.fill(topic)
  }

  async #read(topic: Topic, logged: LoggedTopic): Promise<void> {
    try {
      let isLast = false
      while (!isLast && !isGone(topic, logged)) {
        if (logged.isDoubtful) await this.#doubt(topic, logged)
        if (isGone(topic, logged)) return
        const { epoch } = logged
        const count = pageSize(logged.entryBytes, this.#parts.pageMessages)
        logged.asked()
        const page = await this.#parts.log.page(sessionOf(topic), logged.last, count)
        if (isGone(topic, logged)) return
        logged.entryBytes = bytesOf(page, logged.entryBytes)
        // A socket that was reading the log may have found a new one meanwhile.
        isLast = logged.epoch === epoch && this.#take(topic, logged, page)
      }
      if (!isGone(topic, logged)) this.release(topic)
    } catch (error) {
      if (!isGone(topic, logged)) this.#failed(topic, logged, error)
    }
  }

  /** A log that ends before what the sockets have has lost its newest messages. */
  async #doubt(topic: Topic, logged: LoggedTopic): Promise<void> {
    const { last } = logged
    const { epoch, newest } = await this.#parts.log.state(sessionOf(topic))
    logged.isDoubtful = false
    if (isGone(topic, logged)) return
    if (epoch === logged.epoch && newest > 0 && newest < last) this.#passing.back(topic, newest)
  }

  /** Returns whether nothing more can be read for now. */
  #take(topic: Topic, logged: LoggedTopic, page: LogPage): boolean {
    const { epoch, entries, end, isLast, snapshot, closedAt, given } = page
    if (epoch !== undefined && epoch !== logged.epoch) {
      this.#passing.begin(topic, epoch, 0)
      return false
    }
    logged.gave(given)
    for (const { offset, payload } of entries) {
      if (offset > logged.last + 1 && offset !== snapshot) this.#passing.skip(topic, offset - 1, 'trimmed')
      this.#passing.next(topic, offset, payload, offset === closedAt)
    }
    // Entries without a payload are no messages.
    if (end > logged.last) this.#passing.skip(topic, end, 'trimmed')
    if (entries.length > 0) this.#parts.metrics.sessions.hole('filled')
    return isLast
  }

  /**
   * Passes what came on the channel while the topic was held. The log may lack some of it.
   * @param reason why numbers are missing that neither the log nor the channel has.
   */
  release(topic: Topic, reason: NumberGapReason = 'trimmed'): void {
    const logged = loggedOf(topic)
    logged.isHeld = false
    const behind = logged.isBehind
    const held = logged.takeHeld()
    for (const [i, each] of held.entries()) {
      // The log was read before this message came, so only another read can tell what it is.
      if (reason === 'trimmed' && each.reads === logged.reads && this.#isOutOfOrder(logged, each)) {
        logged.holdAgain(held.slice(i))
        return this.#readAgain(topic)
      }
      this.#pass(topic, logged, each, reason)
    }
    if (!behind || !logged.isBehind) return
    logged.forgetBeyond()
    this.#readAgain(topic)
  }

  #readAgain(topic: Topic): void {
    const logged = loggedOf(topic)
    logged.isHeld = true
    setImmediate(() => !isGone(topic, logged) && this.fill(topic))
  }

  #isOutOfOrder({ epoch, last }: LoggedTopic, { header }: Held): boolean {
    return header.epoch === epoch ? header.offset > last + 1 : header.epoch > epoch
  }

  /** Passes a message that the log, as it was read, does not have. */
  #pass(topic: Topic, logged: LoggedTopic, { header, message }: Held, reason: NumberGapReason): void {
    const payload = message.subarray(header.end)
    if (header.epoch !== logged.epoch) {
      // Of two epochs that race the one that the log does not have has lost.
      if (logged.epoch !== '') return this.#passing.plain(topic, payload)
      this.#passing.begin(topic, header.epoch, header.offset - 1)
    }
    if (header.offset <= logged.last) return
    if (header.offset > logged.last + 1) {
      // The log is the authority: a number that it never gave must not hide those that follow.
      if (reason === 'trimmed' && logged.given > 0 && header.offset > logged.given)
        return this.#passing.plain(topic, payload)
      this.#passing.skip(topic, header.offset - 1, reason)
    }
    this.#passing.next(topic, header.offset, payload, header.closes)
  }

  #failed(topic: Topic, logged: LoggedTopic, error: unknown): void {
    if (error instanceof RedisUnavailable) return void this.#stalled.add(topic)
    // The log cannot be read: what the channel brings goes on, and what is missing is said.
    logged.isDoubtful = false
    this.release(topic, 'redis')
  }
}
