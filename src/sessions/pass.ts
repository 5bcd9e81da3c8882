import { isUtf8 } from 'node:buffer'
import type { Topic } from '../connection/bind.ts'
import type { Connection } from '../connection/connection.ts'
import type { NumberGapReason, ResumeReason } from '../contract/reasons.ts'
import { gapFrame, positionFrame } from './frames.ts'
import type { Reader } from './logged.ts'
import { frameInPlace, type Header, numberedFrame, plainFrame } from './numbers.ts'
import { loggedOf, type SessionLogsParts } from './parts.ts'

/** A numbered message, apart from its frame. */
interface Given {
  readonly offset: number
  readonly closes: boolean
  /** Bytes of its payload. */
  readonly entryBytes: number
}

/**
 * Writes to the sockets of `wsproxy.v2` of a topic. Loops run backwards over the members: a write
 * may close one, and then the last member takes its place.
 */
export class Passing {
  readonly #parts: SessionLogsParts

  constructor(parts: SessionLogsParts) {
    this.#parts = parts
  }

  /** Delivers the payload to the sockets of `wsproxy.v1`. */
  toPlain({ members }: Topic, message: Buffer, header: Header | undefined): void {
    const { readerOf, out } = this.#parts
    let payload: Buffer | undefined
    for (let i = members.length - 1; i >= 0; i--) {
      if (readerOf(members[i]!) !== undefined) continue
      payload ??= header === undefined ? message : message.subarray(header.end)
      out.deliver(members[i]!, payload)
    }
  }

  /** Passes a message without a number. A socket that has no room for it never gets it. */
  plain(topic: Topic, payload: Buffer): void {
    const { out, metrics } = this.#parts
    metrics.sessions.unnumbered++
    let frame: Buffer | undefined
    this.#each(topic, (member, reader) => {
      if (!reader.isPositioned) return
      frame ??= plainFrame(payload)
      if (out.makeRoom(member, frame.length)) return out.deliver(member, frame)
      metrics.lose('slow_client')
      reader.hasDropped = true
      out.awaitRoom(member)
    })
  }

  /** Passes the message that follows `last`. A socket without room for it reads it later. */
  next(topic: Topic, offset: number, payload: Buffer, closes: boolean): void {
    if (payload.length > this.#parts.maxMessageBytes) return this.skip(topic, offset, 'oversize_down')
    const frame = numberedFrame(offset, payload)
    this.#give(topic, frame, { offset, closes, entryBytes: payload.length }, isUtf8(frame), undefined)
  }

  /**
   * The same for a message as it came on the channel, which becomes the frame, also for the sockets
   * of `wsproxy.v1`.
   * @param ascii the message is known to be ASCII.
   */
  live(topic: Topic, message: Buffer, header: Header, ascii: boolean): void {
    const { offset, closes, end } = header
    const entryBytes = message.length - end
    loggedOf(topic).touched()
    if (entryBytes > this.#parts.maxMessageBytes) {
      this.toPlain(topic, message, header)
      return this.skip(topic, offset, 'oversize_down')
    }
    const frame = frameInPlace(message, header)
    this.#give(topic, frame, { offset, closes, entryBytes }, ascii || isUtf8(frame), message)
  }

  /**
   * One loop without a closure: each message of each session runs it.
   * @param whole the message, when the sockets of `wsproxy.v1` do not have it yet.
   */
  #give(
    topic: Topic,
    frame: Buffer,
    { offset, closes, entryBytes }: Given,
    isText: boolean,
    whole: Buffer | undefined,
  ): void {
    const { out, ended, metrics, readerOf } = this.#parts
    const logged = loggedOf(topic)
    logged.last = offset
    logged.entryBytes = entryBytes
    const { members } = topic
    let payload: Buffer | undefined
    for (let i = members.length - 1; i >= 0; i--) {
      const member = members[i]!
      const reader = readerOf(member)
      if (reader === undefined) {
        if (whole === undefined) continue
        payload ??= whole.subarray(whole.length - entryBytes)
        out.deliver(member, payload)
        continue
      }
      if (!reader.isLevel || offset <= reader.offset) continue
      if (out.makeRoom(member, frame.length)) {
        reader.offset = offset
        out.deliver(member, frame, isText)
        if (closes) ended(member)
      } else {
        reader.isLevel = false
        metrics.sessions.lagging.inc()
        out.awaitRoom(member)
      }
    }
  }

  /** No socket gets the numbers up to `to`. */
  skip(topic: Topic, to: number, reason: NumberGapReason): void {
    const logged = loggedOf(topic)
    this.#parts.metrics.sessions.hole('lost')
    this.#each(topic, (member, reader) => {
      if (reader.isLevel && reader.offset < to) this.gap(member, reader, to, reason)
    })
    logged.last = to
  }

  /** Says that a socket does not get the numbers up to `to`. */
  gap(connection: Connection, reader: Reader, to: number, reason: NumberGapReason): void {
    this.#parts.out.enqueue(connection, gapFrame(reader.offset + 1, to, reason))
    reader.offset = to
  }

  /** The session has a new log: its numbers begin again. */
  begin(topic: Topic, epoch: string, last: number): void {
    const logged = loggedOf(topic)
    const replaced = logged.epoch !== ''
    logged.switchTo(epoch, last)
    const lost = replaced ? ({ recovered: false, reason: 'epoch' } as const) : { recovered: undefined }
    this.#reposition(topic, last, lost)
  }

  /** Redis has lost messages that sockets got: the numbers go on behind its newest. */
  back(topic: Topic, last: number): void {
    loggedOf(topic).last = last
    this.#reposition(topic, last, { recovered: false, reason: 'redis' })
  }

  #reposition(topic: Topic, offset: number, why: { recovered: false | undefined; reason?: ResumeReason }): void {
    const { epoch } = loggedOf(topic)
    const frame = positionFrame({ epoch, offset, ...why })
    this.#each(topic, (member, reader) => {
      if (!reader.isPositioned) return
      reader.offset = offset
      this.#parts.out.enqueue(member, frame)
    })
  }

  #each({ members }: Topic, work: (member: Connection, reader: Reader) => void): void {
    for (let i = members.length - 1; i >= 0; i--) {
      const member = members[i]!
      const reader = this.#parts.readerOf(member)
      if (reader !== undefined) work(member, reader)
    }
  }
}
