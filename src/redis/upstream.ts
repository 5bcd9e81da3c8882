import type { SpanContext } from '@opentelemetry/api'
import type { Metrics } from '../metrics.ts'
import type { Traced, Tracing } from '../tracing.ts'
import { isReply, type Link } from './link.ts'

export type Refused = (code: 'upstream-unavailable' | 'upstream-uncertain') => void

interface Entry {
  readonly channel: string
  readonly frame: Buffer
  readonly refused: Refused
  readonly traced: Traced | undefined
}

export interface UpstreamOptions {
  readonly link: Link
  /** Whether Redis is there as a whole: channels as well, so that an answer finds its way back. */
  readonly ready: () => boolean
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
  #idle: () => void = () => {}

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  /** Frames that wait for Redis. */
  get held(): number {
    return this.#held.length
  }

  publish(channel: string, frame: Buffer, refused: Refused, handshake?: SpanContext): void {
    const traced = this.#options.tracing?.publish(channel, frame.length, handshake)
    const entry = { channel, frame, refused, traced }
    if (this.#held.length === 0 && this.#maySend(entry)) this.#send(entry)
    else this.#hold(entry)
  }

  /** Redis is back: what was held goes out, in order. */
  release(): void {
    let sent = 0
    while (sent < this.#held.length && this.#maySend(this.#held[sent]!)) this.#send(this.#held[sent++]!)
    for (const entry of this.#held.splice(0, sent)) this.#heldBytes -= cost(entry)
  }

  /** Resolves when nothing is held or under way. */
  async settled(): Promise<void> {
    if (this.#held.length === 0 && this.#sentBytes === 0) return
    await new Promise<void>((resolve) => {
      this.#idle = resolve
    })
  }

  /** There will be no Redis any more: what is held is refused. */
  refuseHeld(): void {
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const entry of held) this.#refuse(entry)
  }

  #maySend(entry: Entry): boolean {
    return this.#options.ready() && (this.#sentBytes === 0 || this.#sentBytes + cost(entry) <= this.#options.maxBytes)
  }

  #hold(entry: Entry): void {
    const { maxMessages, maxBytes } = this.#options
    if (this.#held.length >= maxMessages || this.#heldBytes + cost(entry) > maxBytes) return this.#refuse(entry)
    this.#held.push(entry)
    this.#heldBytes += cost(entry)
  }

  #refuse(entry: Entry): void {
    this.#options.metrics.lose('upstream_full')
    entry.traced?.end('upstream-unavailable')
    entry.refused('upstream-unavailable')
  }

  #send(entry: Entry): void {
    this.#sentBytes += cost(entry)
    this.#options.link.client.sendCommand<number>(['PUBLISH', entry.channel, entry.frame]).then(
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
    const { metrics } = this.#options
    metrics.errors.inc({ type: 'redis' })
    if (isReply(error)) return this.#refuse(entry)
    metrics.lose('upstream_uncertain')
    entry.traced?.end('upstream-uncertain')
    entry.refused('upstream-uncertain')
  }

  #done(entry: Entry): void {
    this.#sentBytes -= cost(entry)
    if (this.#held.length > 0) this.release()
    else if (this.#sentBytes === 0) this.#idle()
  }
}

const cost = (entry: Entry): number => entry.frame.length + OVERHEAD_BYTES
