import type { Header } from './numbers.ts'

/** A numbered message that waits until the log is read. */
export interface Held {
  readonly header: Header
  /** The whole message, with its header. */
  readonly message: Buffer
  /** `LoggedTopic.reads` when it came: a later read shows whether the log has it. */
  readonly reads: number
}

const MAX_HELD = 256
const MAX_HELD_BYTES = 1024 * 1024
/** How many positioning checks follow the last message of a session. */
const CHECKS = 3

/**
 * The log of one session, as far as its level sockets have it. While it is being read, numbered
 * messages from the channel wait here. They are in the log as well, so a few are enough: those that
 * do not fit are read from there.
 */
export class LoggedTopic {
  /** '': no log is known. */
  epoch = ''
  /** Offset of the newest message that went to the level sockets. */
  last = 0
  /** Whether the log was read for the first time. */
  isKnown = false
  /** The log is being read, or has to be: the next message of the channel is not passed on. */
  isHeld = true
  /** A read is under way. */
  isReading = false
  /** Redis may have lost what the sockets have: the log is compared before it is read on. */
  isDoubtful = false
  /** Pages that were asked for. */
  reads = 0
  /** The newest offset that the log is known to have given; 0: none. */
  given = 0
  checksLeft = 0
  /** Bytes of the newest message: a guess for those that are read. */
  entryBytes = 1024
  /** Undefined: none. An idle session needs no list. */
  #held: Held[] | undefined
  #heldBytes = 0
  /** The newest offset that did not fit. */
  #beyond = 0

  hold(header: Header, message: Buffer): void {
    this.#held ??= []
    if (this.#held.length >= MAX_HELD || this.#heldBytes + message.length > MAX_HELD_BYTES) {
      this.beyond(header)
      return
    }
    // The message is a view of a chunk, which would be kept whole.
    this.#held.push({ header, message: Buffer.from(message), reads: this.reads })
    this.#heldBytes += message.length
  }

  /** A message that is not kept here is to be read from the log. */
  beyond({ epoch, offset }: Header): void {
    if (epoch === this.epoch) this.#beyond = Math.max(this.#beyond, offset)
  }

  /** Puts messages back that are still to be judged. They fit: they were here before. */
  holdAgain(held: readonly Held[]): void {
    this.#held = [...held, ...(this.#held ?? [])]
    for (const { message } of held) this.#heldBytes += message.length
  }

  get hasHeld(): boolean {
    return this.#held !== undefined || this.#beyond > 0
  }

  /** Returns what waits, and forgets it. */
  takeHeld(): readonly Held[] {
    const held = this.#held ?? []
    this.#held = undefined
    this.#heldBytes = 0
    return held
  }

  /** Whether messages that did not fit are still to be read. */
  get isBehind(): boolean {
    return this.#beyond > this.last
  }

  /** Gives up on messages that the log does not have. */
  forgetBeyond(): void {
    this.#beyond = 0
  }

  /** A message came: its log is checked a few more times. */
  touched(): void {
    this.checksLeft = CHECKS
  }

  switchTo(epoch: string, last: number): void {
    this.epoch = epoch
    this.last = last
    this.given = 0
    this.#beyond = 0
  }
}

/** What a socket of `wsproxy.v2` has of the log of its session. */
export class Reader {
  /** Offset of the newest message that it got. */
  offset = 0
  /** It has its `position` frame. */
  isPositioned = false
  /** It gets the messages of the channel. If not, it reads the log on until it is level. */
  isLevel = false
  isReading = false
  /** Messages without a number were dropped, and its client was not told yet. */
  hasDropped = false
  /** Bytes of a message of its last page: a guess for those that it reads next. 0: no page yet. */
  entryBytes = 0
}
