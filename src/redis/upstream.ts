import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { HeldFrames, type HeldLimit } from './held-frames.ts'
import { UnprovenFrames } from './unproven.ts'
import {
  ChannelPublisher,
  type CommandLink,
  cost,
  Frame,
  type Publish,
  type Refused,
  type Settle,
} from './upstream-frame.ts'
import { isMoved, isReply, isTemporary, Unsent } from './wire/errors.ts'

export interface UpstreamOptions {
  /**
   * The command connection for a channel while its server is ready; undefined: the frame has to
   * wait.
   */
  readonly link: (channel: string) => CommandLink | undefined
  /** Publish with SPUBLISH. */
  readonly sharded: boolean
  /** Another server has the channel. The callee calls `release` when it knows which one. */
  readonly moved: () => void
  readonly metrics: Metrics
  readonly tracing?: Tracing | undefined
  /** Frames held while Redis is away. */
  readonly maxMessages: number
  /** Bytes held, and bytes sent and not yet answered: each at most this. */
  readonly maxBytes: number
}

/** A frame that Redis refused for a moment is sent again after this time. */
const RETRY_MS = 200

/**
 * Publishes client frames: at once and in order; held while Redis is away; never dropped without a
 * report. Each frame is published at most once: when its answer was lost, it is reported as
 * uncertain and not sent again.
 */
export class RedisUpstream {
  readonly #options: UpstreamOptions
  readonly #unproven = new UnprovenFrames()
  readonly #held = new HeldFrames()
  #inFlightBytes = 0
  #frames = 0
  #idle: () => void = () => {}
  /** Some held frame waits for buffer space or ordering, not for a connection. */
  #crowded = false
  #draining = false
  /** Releases frames that Redis refused for a moment. */
  #retry: NodeJS.Timeout | undefined
  /** A server is busy, so held frames wait for `#retry`. Frames that moved need no pause. */
  #paused = false

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  /** Frames that wait for Redis. */
  get held(): number {
    return this.#held.size
  }

  /**
   * Returns the publisher of one client. It calls `refused` for each frame that was not published,
   * or may not have been.
   */
  publisher(channel: string, refused: Refused): ChannelPublisher {
    return new ChannelPublisher(channel, refused, this.#publish)
  }

  readonly #publish: Publish = (publisher, bytes, handshake, done) => {
    const { channel } = publisher
    const span = this.#options.tracing?.publish(channel, bytes.length, handshake)
    const frame = new Frame(this.#frames++, publisher, bytes, span, done, this.#settle)
    const waits = this.#held.has(channel)
    const fits = this.#fits(frame)
    if (!fits) this.#crowded = true
    const link = waits || !fits ? undefined : this.#linkFor(publisher)
    if (link) this.#send(frame, link)
    else this.#hold(frame)
  }

  /**
   * Sends the held frames whose server is ready, in order. Call it whenever a server has become
   * ready.
   */
  release(): void {
    if (this.#held.size === 0 || this.#paused) return
    const held = this.#held.takeAll()
    let waiting: Frame[] = []
    let full = false
    const blocked = new Set<string>()
    this.#crowded = false
    for (const [i, frame] of held.entries()) {
      if (full && !this.#draining) {
        waiting = waiting.concat(held.slice(i))
        break
      }
      const { channel } = frame.publisher
      const link = full || blocked.has(channel) ? undefined : this.#linkFor(frame.publisher)
      // After the first frame that does not fit, send no other: it could overtake a frame of the
      // same client.
      if (link && !this.#fits(frame)) full = this.#crowded = true
      const isHopeless = this.#draining && this.#options.link(channel) === undefined
      if (!isHopeless && (!link || full)) {
        blocked.add(channel)
        waiting.push(frame)
        continue
      }
      if (isHopeless) this.#refuse(frame)
      else this.#send(frame, link!)
    }
    this.#held.putBack(waiting)
    if (this.#isIdle) this.#idle()
  }

  /** Resolves when no frame is held and every sent frame is answered. */
  async settled(): Promise<void> {
    if (this.#isIdle) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
  }

  /**
   * From now on, refuses frames whose server is away: this process will not be there to publish
   * them later.
   */
  drain(): void {
    this.#draining = true
    this.release()
  }

  /** The server of this link is still the master. */
  proved(link: CommandLink): void {
    this.#unproven.proved(link)
  }

  /**
   * The server of this link is a replica. It may have become one before it took the frames since
   * its last proof, so no agent may have heard them: reports each as uncertain.
   */
  demoted(link: CommandLink): void {
    for (const { publisher, frames } of this.#unproven.take(link)) {
      for (let i = 0; i < frames; i++) {
        this.#options.metrics.lose('upstream_uncertain')
        publisher.refused('upstream-uncertain')
      }
    }
  }

  get #isIdle(): boolean {
    return this.#held.size === 0 && this.#inFlightBytes === 0
  }

  /** A frame larger than the limit fits alone. */
  #fits(frame: Frame): boolean {
    return this.#inFlightBytes === 0 || this.#inFlightBytes + cost(frame) <= this.#options.maxBytes
  }

  #hold(frame: Frame): void {
    const { maxMessages, maxBytes, link } = this.#options
    if (this.#draining && link(frame.publisher.channel) === undefined) return this.#refuse(frame)
    if (cost(frame) > maxBytes) return this.#refuse(frame)
    const full = (): HeldLimit | undefined => {
      if (this.#held.size >= maxMessages) return 'messages'
      return this.#held.bytes + cost(frame) > maxBytes ? 'bytes' : undefined
    }
    // A frame that comes back is older than those that arrived meanwhile: refuse the newest.
    while (full() && (this.#held.newest?.order ?? 0) > frame.order) this.#refuse(this.#held.takeNewest())
    // A session that holds more must not take the place of this one: its newest frame is refused.
    for (let limit = full(); limit; limit = full()) {
      const greedy = this.#held.greedierThan(frame, limit)
      if (greedy === undefined) return this.#refuse(frame)
      this.#refuse(this.#held.takeNewestOf(greedy))
    }
    this.#held.add(frame)
  }

  /**
   * The link for the next frame; undefined: it waits for Redis, or for earlier frames that took
   * another link.
   */
  #linkFor({ channel, inFlight, link: before }: ChannelPublisher): CommandLink | undefined {
    const link = this.#options.link(channel)
    if (link === undefined || inFlight === 0 || before === link) return link
    this.#crowded = true
    return undefined
  }

  #send(frame: Frame, link: CommandLink): void {
    const { publisher, bytes } = frame
    this.#inFlightBytes += cost(frame)
    if (frame.isReturned) this.#left(frame)
    if (publisher.link !== link) publisher.proof = 0
    publisher.link = link
    publisher.inFlight++
    link.client.submit([this.#options.sharded ? 'SPUBLISH' : 'PUBLISH', publisher.channel, bytes], frame)
  }

  /** Redis has answered with the number of receivers, or the frame has failed. */
  readonly #settle: Settle = (frame, outcome) => {
    if (outcome instanceof Error) this.#failed(frame, outcome)
    else {
      if (outcome === 0) this.#options.metrics.publishedToNobody++
      frame.span?.end('published')
      // An answered `done` is the last word about its frame, with the number of its receivers.
      if (frame.done) frame.done(Number(outcome))
      else this.#unproven.took(frame.publisher)
      if (frame.publisher.returned > 0) this.#refuseOlder(frame)
    }
    this.#inFlightBytes -= cost(frame)
    frame.publisher.inFlight--
    if (this.#isIdle) this.#idle()
    else if (this.#crowded) this.release()
  }

  #failed(frame: Frame, error: Error): void {
    // The frame did not leave this process, or its server did not take it: hold it at its old
    // position.
    if (error instanceof Unsent) return this.#hold(frame)
    if (!isMoved(error)) this.#options.metrics.error('redis')
    if (isTemporary(error)) {
      this.#return(frame, !isMoved(error))
      if (isMoved(error)) this.#options.moved()
    } else if (isReply(error)) this.#refuse(frame)
    else this.#reportUncertain(frame)
  }

  /**
   * Redis has refused the frame for a moment: `isBusy`, or because another server has the channel.
   */
  #return(frame: Frame, isBusy: boolean): void {
    frame.isReturned = true
    frame.publisher.returned++
    this.#hold(frame)
    this.#paused ||= isBusy
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      this.#paused = false
      this.release()
    }, RETRY_MS).unref()
  }

  #left(frame: Frame): void {
    frame.isReturned = false
    frame.publisher.returned--
  }

  /**
   * The server took this frame and had refused an older one of the same client a moment before,
   * both being on their way. Publishing the older one now would change their order.
   */
  #refuseOlder({ publisher, order }: Frame): void {
    const isLate = (each: Frame) => each.isReturned && each.publisher === publisher && each.order < order
    for (const each of this.#held.take(isLate)) this.#refuse(each)
  }

  #refuse(frame: Frame): void {
    if (frame.isReturned) this.#left(frame)
    this.#options.metrics.lose('upstream_full')
    frame.span?.end('upstream-unavailable')
    frame.refused('upstream-unavailable')
  }

  #reportUncertain(frame: Frame): void {
    this.#options.metrics.lose('upstream_uncertain')
    frame.span?.end('upstream-uncertain')
    frame.refused('upstream-uncertain')
  }
}
