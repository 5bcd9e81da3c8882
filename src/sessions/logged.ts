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

/** Bits of what is said of a topic. The checks that are left are above them. */
const KNOWN = 1
const HELD = 2
const READING = 4
const DOUBTFUL = 8
const CHECKS_AT = 4
const BITS = (1 << CHECKS_AT) - 1

/** Sets a bit. A private method would take 8 bytes of each object. */
export const withBit = (bits: number, bit: number, value: boolean): number => (value ? bits | bit : bits & ~bit)

/** What a topic has while its log is read. */
class Waiting {
  readonly messages: Held[] = []
  bytes = 0
  /** The newest offset that did not fit. */
  beyond = 0
  /** Pages that were asked for. */
  reads = 0
  /** The newest offset that the log is known to have given; 0: none. */
  given = 0
}

/**
 * The log of one session, as far as its level sockets have it. While it is being read, numbered
 * messages from the channel wait here. They are in the log as well, so a few are enough: those that
 * do not fit are read from there. Most sessions are idle, so what only a read needs is apart, and
 * flags share a number.
 */
export class LoggedTopic {
  /** '': no log is known. */
  epoch = ''
  /** Offset of the newest message that went to the level sockets. */
  last = 0
  /** Bytes of the newest message: a guess for those that are read. */
  entryBytes = 1024
  #bits = HELD
  #waiting: Waiting | undefined

  /** Whether the log was read for the first time. */
  get isKnown(): boolean {
    return (this.#bits & KNOWN) !== 0
  }

  set isKnown(value: boolean) {
    this.#bits = withBit(this.#bits, KNOWN, value)
  }

  /** The log is being read, or has to be: the next message of the channel is not passed on. */
  get isHeld(): boolean {
    return (this.#bits & HELD) !== 0
  }

  set isHeld(value: boolean) {
    this.#bits = withBit(this.#bits, HELD, value)
  }

  /** A read is under way. */
  get isReading(): boolean {
    return (this.#bits & READING) !== 0
  }

  set isReading(value: boolean) {
    this.#bits = withBit(this.#bits, READING, value)
  }

  /** Redis may have lost what the sockets have: the log is compared before it is read on. */
  get isDoubtful(): boolean {
    return (this.#bits & DOUBTFUL) !== 0
  }

  set isDoubtful(value: boolean) {
    this.#bits = withBit(this.#bits, DOUBTFUL, value)
  }

  /** Whether a message follows at once. */
  isNext({ epoch, offset }: Header): boolean {
    return (this.#bits & HELD) === 0 && offset === this.last + 1 && epoch === this.epoch
  }

  /** A message came: its log is checked a few more times. */
  touched(): void {
    this.#bits = (this.#bits & BITS) | (CHECKS << CHECKS_AT)
  }

  /** Takes one of the checks that are left. Returns false when all were taken. */
  takeCheck(): boolean {
    if (this.#bits >> CHECKS_AT === 0) return false
    this.#bits -= 1 << CHECKS_AT
    return true
  }

  /** Pages that were asked for. */
  get reads(): number {
    return this.#waiting?.reads ?? 0
  }

  asked(): void {
    this.#waiting ??= new Waiting()
    this.#waiting.reads++
  }

  /** The newest offset that the log is known to have given; 0: none. */
  get given(): number {
    return this.#waiting?.given ?? 0
  }

  gave(offset: number): void {
    this.#waiting ??= new Waiting()
    this.#waiting.given = offset
  }

  hold(header: Header, message: Buffer): void {
    this.#waiting ??= new Waiting()
    const more = this.#waiting
    if (more.messages.length >= MAX_HELD || more.bytes + message.length > MAX_HELD_BYTES) {
      this.beyond(header)
      return
    }
    // The message is a view of a chunk, which would be kept whole.
    more.messages.push({ header, message: Buffer.from(message), reads: more.reads })
    more.bytes += message.length
  }

  /** A message that is not kept here is to be read from the log. */
  beyond({ epoch, offset }: Header): void {
    if (epoch !== this.epoch) return
    this.#waiting ??= new Waiting()
    this.#waiting.beyond = Math.max(this.#waiting.beyond, offset)
  }

  /** Puts messages back that are still to be judged. They fit: they were here before. */
  holdAgain(held: readonly Held[]): void {
    this.#waiting ??= new Waiting()
    const more = this.#waiting
    more.messages.unshift(...held)
    for (const { message } of held) more.bytes += message.length
  }

  get hasHeld(): boolean {
    const more = this.#waiting
    return more !== undefined && (more.messages.length > 0 || more.beyond > 0)
  }

  /** Returns what waits, and forgets it. */
  takeHeld(): readonly Held[] {
    const more = this.#waiting
    if (more === undefined) return []
    more.bytes = 0
    return more.messages.splice(0)
  }

  /** Whether messages that did not fit are still to be read. */
  get isBehind(): boolean {
    return (this.#waiting?.beyond ?? 0) > this.last
  }

  /** Gives up on messages that the log does not have. */
  forgetBeyond(): void {
    if (this.#waiting) this.#waiting.beyond = 0
  }

  /** The log is read: gives back what a read needs. */
  settled(): void {
    if (!this.hasHeld && !this.isReading) this.#waiting = undefined
  }

  switchTo(epoch: string, last: number): void {
    this.epoch = epoch
    this.last = last
    const more = this.#waiting
    if (more === undefined) return
    more.given = 0
    more.beyond = 0
  }
}

/** What a socket of `wsproxy.v2` has of the log of its session. */
export interface Reader {
  /** Offset of the newest message that it got. */
  offset: number
  /** It has its `position` frame. */
  isPositioned: boolean
  /** It gets the messages of the channel. If not, it reads the log on until it is level. */
  isLevel: boolean
  isReading: boolean
  /** Messages without a number were dropped, and its client was not told yet. */
  hasDropped: boolean
}
