import type { SpanContext } from '@opentelemetry/api'
import type { Metrics } from '../metrics.ts'
import type { Traced, Tracing } from '../tracing.ts'
import { isMoved, isReply, isUnsent } from './errors.ts'
import type { Link } from './link.ts'

export type Refused = (code: 'upstream-unavailable' | 'upstream-uncertain') => void

interface Entry {
  /** Its place among all frames: those that come back take it again. */
  readonly order: number
  readonly channel: string
  readonly frame: Buffer
  readonly refused: Refused
  readonly traced: Traced | undefined
}

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
  /** Frames under way by channel, and over which link: those after them may not take another. */
  readonly #underWay = new Map<string, { readonly link: Link; count: number }>()
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

  publish(channel: string, frame: Buffer, refused: Refused, handshake?: SpanContext): void {
    const traced = this.#options.tracing?.publish(channel, frame.length, handshake)
    const entry = { order: this.#frames++, channel, frame, refused, traced }
    const waits = this.#held.length > 0 && this.#held.some((each) => each.channel === channel)
    const fits = this.#fits(entry)
    if (!fits) this.#crowded = true
    const link = waits || !fits ? undefined : this.#way(channel)
    if (link) this.#send(entry, link)
    else this.#hold(entry)
  }

  /** Redis, or a part of it, is back: what was held for it goes out, in order. */
  release(): void {
    if (this.#held.length === 0) return
    const waiting: Entry[] = []
    let full = false
    const behind = new Set<string>()
    this.#crowded = false
    for (const entry of this.#held) {
      const link = full || behind.has(entry.channel) ? undefined : this.#way(entry.channel)
      // Past the first that does not fit nothing may go: it could overtake a frame of the same client.
      if (link && !this.#fits(entry)) full = this.#crowded = true
      const forNothing = this.#draining && this.#options.link(entry.channel) === undefined
      if (!forNothing && (!link || full)) {
        behind.add(entry.channel)
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
    if (this.#draining && link(entry.channel) === undefined) return this.#refuse(entry)
    if (this.#held.length >= maxMessages || this.#heldBytes + cost(entry) > maxBytes) return this.#refuse(entry)
    const last = this.#held.at(-1)
    this.#held.push(entry)
    this.#heldBytes += cost(entry)
    if (last && last.order > entry.order) this.#held.sort((a, b) => a.order - b.order)
  }

  #refuse(entry: Entry): void {
    this.#options.metrics.lose('upstream_full')
    entry.traced?.end('upstream-unavailable')
    entry.refused('upstream-unavailable')
  }

  /** The link for the next frame of a channel; undefined: it waits for Redis, or for those before it that went another way. */
  #way(channel: string): Link | undefined {
    const link = this.#options.link(channel)
    const underWay = this.#underWay.get(channel)
    if (link === undefined || underWay === undefined || underWay.link === link) return link
    this.#crowded = true
    return undefined
  }

  #send(entry: Entry, link: Link): void {
    const { client } = link
    this.#sentBytes += cost(entry)
    const underWay = this.#underWay.get(entry.channel)
    if (underWay) underWay.count++
    else this.#underWay.set(entry.channel, { link, count: 1 })
    const command = this.#options.sharded ? 'SPUBLISH' : 'PUBLISH'
    client.sendCommand<number>([command, entry.channel, entry.frame]).then(
      (receivers) => {
        if (receivers === 0) this.#options.metrics.unheard.inc()
        entry.traced?.end('published')
        this.#done(entry)
      },
      (error) => {
        this.#failed(entry, error)
        this.#done(entry)
      },
    )
  }

  #failed(entry: Entry, error: unknown): void {
    const { metrics, moved } = this.#options
    // It did not leave this process, or its server did not take it: it keeps its place.
    if (isUnsent(error)) return this.#hold(entry)
    if (isMoved(error)) {
      this.#hold(entry)
      return moved()
    }
    metrics.errors.inc({ type: 'redis' })
    if (isReply(error)) return this.#refuse(entry)
    metrics.lose('upstream_uncertain')
    entry.traced?.end('upstream-uncertain')
    entry.refused('upstream-uncertain')
  }

  #done(entry: Entry): void {
    this.#sentBytes -= cost(entry)
    const underWay = this.#underWay.get(entry.channel)!
    if (--underWay.count === 0) this.#underWay.delete(entry.channel)
    if (this.#held.length === 0 && this.#sentBytes === 0) this.#idle()
    else if (this.#crowded) this.release()
  }
}

const cost = (entry: Entry): number => entry.frame.length + OVERHEAD_BYTES
