import type { Topic } from '../connection/bind.ts'
import { type Connection, Phase } from '../connection/connection.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { LogPage } from '../redis/session-log.ts'
import { droppedFrame } from './frames.ts'
import type { Reader } from './logged.ts'
import { numberedFrame } from './numbers.ts'
import { bytesOf, loggedOf, pageSize, type SessionLogsParts } from './parts.ts'
import type { Passing } from './pass.ts'

/**
 * Reads the log on for sockets that are not level: they are new and have missed something, or they
 * had no room for a message. Memory is bounded by one page a socket.
 */
export class CatchUp {
  readonly #parts: SessionLogsParts
  readonly #passing: Passing
  /** Called when a read shows that the session has a new log. */
  readonly #replaced: (topic: Topic) => void
  /** Sockets whose log could not be read. */
  readonly #stalled = new Set<Connection>()
  /**
   * Bytes of a message of the last page of each socket that is not level: a guess for those that it
   * reads next. Apart from its reader, since most sockets are level.
   */
  readonly #entryBytes = new WeakMap<Connection, number>()

  constructor(parts: SessionLogsParts, passing: Passing, replaced: (topic: Topic) => void) {
    this.#parts = parts
    this.#passing = passing
    this.#replaced = replaced
  }

  /**
   * Reads on for a socket, as far as its buffer has room. A level socket only hears what it lost.
   */
  readOn(connection: Connection): void {
    const reader = this.#parts.readerOf(connection)
    const [topic] = connection.topics
    if (!reader?.isPositioned || reader.isReading || topic === undefined) return
    if (reader.isLevel) return this.#level(connection, reader)
    reader.isReading = true
    void this.#run(connection, topic, reader).finally(() => {
      reader.isReading = false
    })
  }

  /** Tries again what could not be read. */
  retry(): void {
    const sockets = [...this.#stalled]
    this.#stalled.clear()
    for (const connection of sockets) this.readOn(connection)
  }

  async #run(connection: Connection, topic: Topic, reader: Reader): Promise<void> {
    const logged = loggedOf(topic)
    try {
      while (!reader.isLevel && connection.phase === Phase.open && !connection.isSlow) {
        const { epoch, last } = logged
        const guess = this.#entryBytes.get(connection) ?? 0
        const count = pageSize(guess || logged.entryBytes, this.#parts.pageMessages)
        const page = await this.#parts.log.page(connection.subject, reader.offset, count)
        this.#entryBytes.set(connection, bytesOf(page, guess))
        if (connection.phase !== Phase.open) return
        if (logged.epoch !== epoch) continue
        if (page.epoch !== undefined && page.epoch !== epoch) this.#replace(topic, page.epoch)
        else this.#take(connection, topic, reader, page, last)
      }
    } catch (error) {
      if (error instanceof RedisUnavailable) return void this.#stalled.add(connection)
      if (logged.last > reader.offset) this.#passing.gap(connection, reader, logged.last, 'redis')
      this.#level(connection, reader)
    }
  }

  #replace(topic: Topic, epoch: string): void {
    this.#passing.begin(topic, epoch, 0)
    this.#replaced(topic)
  }

  /** @param last what the level sockets had when the page was asked for. */
  #take(connection: Connection, topic: Topic, reader: Reader, page: LogPage, last: number): void {
    const { out, metrics, ended, maxMessageBytes } = this.#parts
    for (const { offset, payload } of page.entries) {
      if (offset <= reader.offset) continue
      if (offset > reader.offset + 1 && offset !== page.snapshot)
        this.#passing.gap(connection, reader, offset - 1, 'trimmed')
      if (payload.length > maxMessageBytes) {
        this.#passing.gap(connection, reader, offset, 'oversize_down')
        continue
      }
      const frame = numberedFrame(offset, payload)
      // The rest is read again when there is room.
      if (!out.makeRoom(connection, frame.length)) return out.awaitRoom(connection)
      out.deliver(connection, frame)
      reader.offset = offset
      metrics.sessions.replayed++
      if (offset === page.closedAt) ended(connection)
    }
    if (page.end > reader.offset) this.#passing.gap(connection, reader, page.end, 'trimmed')
    if (page.isLast && reader.offset < last)
      this.#passing.gap(connection, reader, last, page.epoch === undefined ? 'expired' : 'trimmed')
    if (reader.offset >= loggedOf(topic).last) this.#level(connection, reader)
  }

  #level(connection: Connection, reader: Reader): void {
    reader.isLevel = true
    this.#entryBytes.delete(connection)
    if (!reader.hasDropped) return
    reader.hasDropped = false
    this.#parts.out.enqueue(connection, droppedFrame())
  }
}
