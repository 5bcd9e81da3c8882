import type { TraceContext } from '../telemetry/trace-context.ts'
import type { SpanHandle } from '../telemetry/tracing.ts'
import type { Link } from './servers/link.ts'
import type { Reply } from './wire/values.ts'
import type { ReplyWaiter } from './wire/waiter.ts'

/** Reports a frame that was not published, or may not have been. Must not throw. */
export type Refused = (code: 'upstream-unavailable' | 'upstream-uncertain') => void

/** A link as far as frames need it. */
export type CommandLink = Pick<Link, 'client' | 'masterAt' | 'proof'>

/**
 * Reports the outcome of one frame: how many subscribers Redis counted, or why it was not
 * published. Must not throw.
 */
type Done = (outcome: number | Parameters<Refused>[0]) => void

/** Rough cost of a frame beside its bytes, so that many empty frames count, too. */
const OVERHEAD_BYTES = 256

/**
 * Methods of the owner, `RedisUpstream`: one function for all publishers and frames, so none is
 * allocated for each.
 */
export type Publish = (
  publisher: ChannelPublisher,
  bytes: Buffer,
  handshake: TraceContext | undefined,
  done: Done | undefined,
) => void
export type Settle = (frame: Frame, outcome: Reply | Error) => void

/** Publishes the frames of one client, in order. */
export class ChannelPublisher {
  readonly channel: string
  readonly refused: Refused
  /**
   * Frames sent and not answered, and the link that they took: later frames must not take another
   * one.
   */
  link: CommandLink | undefined
  inFlight = 0
  /** Held frames that Redis has refused for a moment. */
  returned = 0
  /** Frames that `link` has taken since it had this `proof`: see UnprovenFrames. */
  unproven = 0
  proof = 0
  readonly #publish: Publish

  constructor(channel: string, refused: Refused, publish: Publish) {
    this.channel = channel
    this.refused = refused
    this.#publish = publish
  }

  /**
   * Publishes `bytes` behind all earlier frames of this client. The caller must not write to them
   * any more. With `done` a refusal of this frame is reported to it, and not to `refused`.
   */
  publish(bytes: Buffer, handshake?: TraceContext, done?: Done): void {
    this.#publish(this, bytes, handshake, done)
  }
}

/** One client frame, from its arrival until Redis has answered or the frame is reported as lost. */
export class Frame implements ReplyWaiter {
  /** Its position among all frames. A frame that comes back unsent is held at this position. */
  readonly order: number
  readonly publisher: ChannelPublisher
  readonly bytes: Buffer
  readonly span: SpanHandle | undefined
  readonly done: Done | undefined
  /** Redis has refused it for a moment, and it is held until it is sent again. */
  isReturned = false
  readonly #settle: Settle

  constructor(
    order: number,
    publisher: ChannelPublisher,
    bytes: Buffer,
    span: SpanHandle | undefined,
    done: Done | undefined,
    settle: Settle,
  ) {
    this.order = order
    this.publisher = publisher
    this.bytes = bytes
    this.span = span
    this.done = done
    this.#settle = settle
  }

  refused(code: Parameters<Refused>[0]): void {
    if (this.done) this.done(code)
    else this.publisher.refused(code)
  }

  answered(receivers: Reply): void {
    this.#settle(this, receivers)
  }

  failed(error: Error): void {
    this.#settle(this, error)
  }
}

/** Bytes that a frame counts as. */
export const cost = (frame: Frame): number => frame.bytes.length + OVERHEAD_BYTES
