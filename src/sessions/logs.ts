import type { Topic } from '../connection/bind.ts'
import { type Connection, Phase } from '../connection/connection.ts'
import { reasonOf } from '../platform/reason.ts'
import { type LogState, LogUnusable } from '../redis/session-log.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import { CatchUp } from './catch-up.ts'
import { positionFrame } from './frames.ts'
import { Holes } from './holes.ts'
import { LoggedTopic, type Reader } from './logged.ts'
import type { Header } from './numbers.ts'
import { loggedOf, type SessionLogsParts } from './parts.ts'
import { Passing } from './pass.ts'
import { type Resume, type Start, seenOf, startOf } from './position.ts'

const CHECK_MS = 10_000
const RETRY_MS = 1000

const NO_LOG: LogState = { epoch: undefined, newest: 0, oldest: 0, snapshot: 0, closedAt: 0, entryBytes: 0 }

/**
 * Passes the messages of sessions to sockets of `wsproxy.v2`, by number and without a seam. A
 * message whose number follows goes out at once. All else is read from the log: what a socket
 * missed before it came, a hole in the numbers, what was published while a link to Redis was away,
 * and what a slow socket had no room for.
 */
export class SessionLogs {
  readonly #parts: SessionLogsParts
  readonly #passing: Passing
  readonly #holes: Holes
  readonly #catchUp: CatchUp
  readonly #lines = new LineSampler()
  readonly #timers: readonly NodeJS.Timeout[]

  constructor(parts: SessionLogsParts) {
    this.#parts = parts
    this.#passing = new Passing(parts)
    this.#holes = new Holes(parts, this.#passing)
    this.#catchUp = new CatchUp(parts, this.#passing, (topic) => this.#holes.fill(topic))
    this.#timers = [setInterval(() => void this.#holes.check(), CHECK_MS), setInterval(() => this.retry(), RETRY_MS)]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  /** A socket of `wsproxy.v2` has joined the topic; no message has arrived since. */
  entered(topic: Topic, connection: Connection): void {
    const isFirst = !topic.members.some((member) => member !== connection && this.#parts.readerOf(member))
    if (isFirst) topic.state = new LoggedTopic()
  }

  /**
   * Redis has confirmed the channel: enqueues the `position` frame, the first of the socket.
   * @param resume what its client asked for.
   * @throws RedisUnavailable
   */
  async position(connection: Connection, reader: Reader, resume: Resume): Promise<void> {
    const log = await this.#stateOf(connection.subject)
    const [topic] = connection.topics
    if (connection.phase !== Phase.accepting || topic === undefined) return
    this.#learn(topic, log)
    const start = startOf(log, resume)
    reader.offset = start.offset
    reader.isPositioned = true
    reader.isLevel = start.offset >= loggedOf(topic).last
    this.#count(start, resume, log)
    const closed = log.closedAt > 0 && log.closedAt === log.newest ? true : undefined
    const replay = log.newest - start.offset
    const { epoch, oldest } = log
    const maxInboundBytes = connection.door.maxMessageBytes
    const frame = positionFrame({ ...start, epoch, oldest, replay, closed, maxInboundBytes })
    this.#parts.out.enqueue(connection, frame)
    const seen = seenOf(start, resume, log)
    if (seen !== undefined) {
      reader.offset = seen
      this.#passing.gap(connection, reader, start.offset, start.reason!)
    }
    if (closed && reader.isLevel) this.#parts.ended(connection)
  }

  /** Reads on for a socket that is open, or that has room again. */
  readOn(connection: Connection): void {
    this.#catchUp.readOn(connection)
  }

  /**
   * A message arrived on the channel of a topic that `entered` has seen.
   * @param header the head of the message; undefined: it has no number.
   * @param ascii the message is known to be ASCII.
   */
  message(topic: Topic, message: Buffer, header: Header | undefined, ascii: boolean): void {
    const logged = loggedOf(topic)
    if (header !== undefined && logged.isNext(header)) return this.#passing.live(topic, message, header, ascii)
    this.#passing.toPlain(topic, message, header)
    if (header === undefined) return this.#passing.plain(topic, message)
    logged.touched()
    if (!logged.isHeld) {
      if (header.epoch === logged.epoch && header.offset <= logged.last) return
      // Of two epochs that race the older one has lost.
      if (header.epoch < logged.epoch) return this.#passing.plain(topic, message.subarray(header.end))
    }
    logged.hold(header, message)
    if (logged.isKnown) this.#holes.fill(topic)
  }

  /** The log of a topic has ended at this offset, without a message that says so. */
  end(topic: Topic, { epoch, offset }: { readonly epoch: string; readonly offset: number }): void {
    if (topic.state === undefined || loggedOf(topic).epoch !== epoch) return
    for (const member of topic.members.slice()) {
      const reader = this.#parts.readerOf(member)
      if (reader?.isLevel && reader.offset === offset) this.#parts.ended(member)
    }
  }

  /** A numbered message was too large for all sockets. Returns whether any of them counts. */
  tooLarge(topic: Topic, header: Header): boolean {
    if (topic.state === undefined) return false
    const logged = loggedOf(topic)
    logged.touched()
    if (!logged.isHeld && header.epoch === logged.epoch && header.offset === logged.last + 1) {
      this.#passing.skip(topic, header.offset, 'oversize_down')
      return true
    }
    // The log shows whether it is a message of the session, and what is before it.
    logged.beyond(header)
    if (logged.isKnown) this.#holes.fill(topic)
    return true
  }

  /**
   * Messages of the topic may be lost: the level sockets get what the log has of them. Returns
   * whether the session has a log.
   */
  doubt(topic: Topic): boolean {
    const logged = topic.state as LoggedTopic | undefined
    if (!logged?.isKnown) return false
    logged.isDoubtful = true
    this.#holes.fill(topic)
    return logged.epoch !== ''
  }

  /** Reads the logs that could not be read while Redis was away. */
  retry(): void {
    this.#holes.retry()
    this.#catchUp.retry()
  }

  async #stateOf(sessionId: string): Promise<LogState> {
    try {
      return await this.#parts.log.state(sessionId)
    } catch (error) {
      if (!(error instanceof LogUnusable)) throw error
      const skipped = this.#lines.take('unusable')
      if (skipped !== undefined)
        this.#parts.logger.warn(
          { event: 'session-log-unusable', session: sessionId, reason: reasonOf(error), skipped },
          'the log of a session cannot be read: its clients get no numbers',
        )
      return NO_LOG
    }
  }

  /** The first socket of a topic learns its log. A later one may find that it was replaced. */
  #learn(topic: Topic, log: LogState): void {
    const logged = loggedOf(topic)
    if (!logged.isKnown) {
      logged.isKnown = true
      logged.entryBytes = log.entryBytes
      logged.switchTo(log.epoch ?? '', log.newest)
      if (logged.hasHeld) this.#holes.fill(topic)
      else logged.isHeld = false
    } else if (log.epoch !== undefined && log.epoch !== logged.epoch) {
      this.#passing.begin(topic, log.epoch, 0)
      this.#holes.fill(topic)
    }
  }

  #count({ reason, offset }: Start, { cursor }: Resume, { epoch, newest }: LogState): void {
    if (cursor === undefined) return
    const result = reason ?? (newest > offset ? 'recovered' : 'empty')
    this.#parts.metrics.sessions.resumes.inc({ grade: epoch === undefined ? 'none' : 'exact', result })
  }
}
