import type { SpanContext } from '@opentelemetry/api'
import type { Metrics } from '../telemetry/metrics.ts'
import type { SpanHandle, Tracing } from '../telemetry/tracing.ts'
import type { Link } from './servers/link.ts'
import type { Answered } from './wire/connection.ts'
import { isMoved, isReply, Unsent } from './wire/errors.ts'
import type { Reply } from './wire/resp.ts'

export type Refused = (code: 'upstream-unavailable' | 'upstream-uncertain') => void

export interface UpstreamOptions {
  /** The command connection for a channel, while its server is there as a whole; undefined: the frame is to wait. */
  readonly link: (channel: string) => Link | undefined
  /** Publish by SPUBLISH. */
  readonly sharded: boolean
  /** A channel is another server's; `release` is to be called when it is known whose. */
  readonly moved: () => void
  readonly metrics: Metrics
  readonly tracing?: Tracing | undefined
  /** Frames that are held while Redis is away. */
  readonly maxMessages: number
  /** Bytes held or not yet confirmed. */
  readonly maxBytes: number
}

/** What an entry costs beside its bytes, roughly; so that many empty frames count too. */
const OVERHEAD_BYTES = 256

/** The way up of one client: its frames stay in order. */
export class Outlet {
  readonly #upstream: RedisUpstream
  readonly channel: string
  /** Must not throw. */
  readonly refused: Refused
  /** Of `RedisUpstream`: frames under way, and over which link, for those after them may not take another. */
  link: Link | undefined
  underWay = 0

  constructor(upstream: RedisUpstream, channel: string, refused: Refused) {
    this.#upstream = upstream
    this.channel = channel
    this.refused = refused
  }

  /** Publishes `frame`, which is not to be written to any more, behind all before it. */
  publish(frame: Buffer, handshake?: SpanContext): void {
    this.#upstream.publish(this, frame, handshake)
  }
}

/** One frame, from when it came until Redis has answered. */
class Entry implements Answered {
  readonly #upstream: RedisUpstream
  /** Its place among all frames: those that come back take it again. */
  readonly order: number
  readonly outlet: Outlet
  readonly frame: Buffer
  readonly traced: SpanHandle | undefined

  constructor(upstream: RedisUpstream, order: number, outlet: Outlet, frame: Buffer, traced: SpanHandle | undefined) {
    this.#upstream = upstream
    this.order = order
    this.outlet = outlet
    this.frame = frame
    this.traced = traced
  }

  answered(receivers: Reply): void {
    this.#upstream.answered(this, receivers)
  }

  failed(error: Error): void {
    this.#upstream.failed(this, error)
  }
}

/**
 * Client frames on their way to Redis: published at once and in order, held while Redis is away, and never dropped without a word.
 * A frame is published at most once: one whose answer was lost is reported as uncertain, not sent again.
 */
export class RedisUpstream {
  readonly #options: UpstreamOptions
  #held: Entry[] = []
  #heldBytes = 0
  #sentBytes = 0
  #frames = 0
  #idle: () => void = () => {}
  /** Something waits for room, or for frames before it, and not for Redis. */
  #crowded = false
  #draining = false

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  /** Frames that wait for Redis. */
  get held(): number {
    return this.#held.length
  }

  /** A way up for one client. `refused` is told of each frame that could not be published, or may not have been; it must not throw. */
  outlet(channel: string, refused: Refused): Outlet {
    return new Outlet(this, channel, refused)
  }

  /** To be called by the outlet. */
  publish(outlet: Outlet, frame: Buffer, handshake?: SpanContext): void {
    const { channel } = outlet
    const traced = this.#options.tracing?.publish(channel, frame.length, handshake)
    const entry = new Entry(this, this.#frames++, outlet, frame, traced)
    const waits = this.#held.length > 0 && this.#held.some((each) => each.outlet.channel === channel)
    const fits = this.#fits(entry)
    if (!fits) this.#crowded = true
    const link = waits || !fits ? undefined : this.#way(outlet)
    if (link) this.#send(entry, link)
    else this.#hold(entry)
  }

  /** Redis, or a part of it, is back: what was held for it goes out, in order. */
  release(): void {
    if (this.#held.length === 0) return
    let waiting: Entry[] = []
    let full = false
    const behind = new Set<string>()
    this.#crowded = false
    for (const [i, entry] of this.#held.entries()) {
      if (full && !this.#draining) {
        waiting = waiting.concat(this.#held.slice(i))
        break
      }
      const link = full || behind.has(entry.outlet.channel) ? undefined : this.#way(entry.outlet)
      // Past the first that does not fit nothing may go: it could overtake a frame of the same client.
      if (link && !this.#fits(entry)) full = this.#crowded = true
      const forNothing = this.#draining && this.#options.link(entry.outlet.channel) === undefined
      if (!forNothing && (!link || full)) {
        behind.add(entry.outlet.channel)
        waiting.push(entry)
        continue
      }
      this.#heldBytes -= cost(entry)
      if (forNothing) this.#refuse(entry)
      else this.#send(entry, link!)
    }
    this.#held = waiting
    if (waiting.length === 0 && this.#sentBytes === 0) this.#idle()
  }

  /** Resolves when nothing is held or under way. */
  async settled(): Promise<void> {
    if (this.#held.length === 0 && this.#sentBytes === 0) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
  }

  /** From now on a frame whose Redis is away is refused: nobody will be there to publish it later. */
  drain(): void {
    this.#draining = true
    this.release()
  }

  #fits(entry: Entry): boolean {
    return this.#sentBytes === 0 || this.#sentBytes + cost(entry) <= this.#options.maxBytes
  }

  #hold(entry: Entry): void {
    const { maxMessages, maxBytes, link } = this.#options
    if (this.#draining && link(entry.outlet.channel) === undefined) return this.#refuse(entry)
    if (cost(entry) > maxBytes) return this.#refuse(entry)
    const full = () => this.#held.length >= maxMessages || this.#heldBytes + cost(entry) > maxBytes
    // One that comes back is older than those that came meanwhile: the newest are refused.
    while (full() && (this.#held.at(-1)?.order ?? 0) > entry.order) {
      const newest = this.#held.pop()!
      this.#heldBytes -= cost(newest)
      this.#refuse(newest)
    }
    if (full()) return this.#refuse(entry)
    this.#held.splice(this.#place(entry.order), 0, entry)
    this.#heldBytes += cost(entry)
  }

  /** Where it belongs among those that are held. */
  #place(order: number): number {
    let [from, to] = [0, this.#held.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (this.#held[middle]!.order < order) from = middle + 1
      else to = middle
    }
    return from
  }

  #refuse(entry: Entry): void {
    this.#options.metrics.lose('upstream_full')
    entry.traced?.end('upstream-unavailable')
    entry.outlet.refused('upstream-unavailable')
  }

  /** The link for the next frame of an outlet; undefined: it waits for Redis, or for those before it that went another way. */
  #way({ channel, underWay, link: before }: Outlet): Link | undefined {
    const link = this.#options.link(channel)
    if (link === undefined || underWay === 0 || before === link) return link
    this.#crowded = true
    return undefined
  }

  #send(entry: Entry, link: Link): void {
    const { outlet, frame } = entry
    this.#sentBytes += cost(entry)
    outlet.link = link
    outlet.underWay++
    link.client.submit([this.#options.sharded ? 'SPUBLISH' : 'PUBLISH', outlet.channel, frame], entry)
  }

  /** To be called by the entry, as `failed`. */
  answered(entry: Entry, receivers: Reply): void {
    if (receivers === 0) this.#options.metrics.unheard++
    entry.traced?.end('published')
    this.#done(entry)
  }

  failed(entry: Entry, error: Error): void {
    const { metrics, moved } = this.#options
    // It did not leave this process, or its server did not take it: it keeps its place.
    if (error instanceof Unsent) this.#hold(entry)
    else if (isMoved(error)) {
      this.#hold(entry)
      moved()
    } else {
      metrics.error('redis')
      if (isReply(error)) this.#refuse(entry)
      else this.#uncertain(entry)
    }
    this.#done(entry)
  }

  #uncertain(entry: Entry): void {
    this.#options.metrics.lose('upstream_uncertain')
    entry.traced?.end('upstream-uncertain')
    entry.outlet.refused('upstream-uncertain')
  }

  #done(entry: Entry): void {
    this.#sentBytes -= cost(entry)
    entry.outlet.underWay--
    if (this.#held.length === 0 && this.#sentBytes === 0) this.#idle()
    else if (this.#crowded) this.release()
  }
}

const cost = (entry: Entry): number => entry.frame.length + OVERHEAD_BYTES
