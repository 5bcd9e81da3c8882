import { randomBytes } from 'node:crypto'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Tracing } from '../tracing.ts'
import { RedisFeed } from './feed.ts'
import { RedisHashes } from './hashes.ts'
import { checkKeyspaceEvents } from './keyspace.ts'
import { Link } from './link.ts'
import { RedisTokens } from './tokens.ts'
import { RedisUpstream } from './upstream.ts'

export interface RedisOptions {
  readonly url: string
  /** What success does to a token: removes it (0), leaves it alone (-1), or shortens its life to so many ms. */
  readonly afterTokenMs: number
  readonly upstreamBufferMessages: number
  readonly upstreamBufferBytes: number
  /** Set what is missing in `notify-keyspace-events`, instead of reporting it. */
  readonly setKeyspaceEvents: boolean
}

export interface RedisParts {
  readonly options: RedisOptions
  readonly metrics: Metrics
  readonly log: Logger
  readonly tracing?: Tracing | undefined
  readonly message: (channel: string, payload: Buffer) => void
  /** Redis does not let us listen to this channel. */
  readonly refused: (channel: string) => void
  /** Redis is there as a whole: at the start, and after each outage. */
  readonly ready: () => void
  /** All channels are subscribed again; between `from` and `to` (ms since the epoch) messages may have been lost. */
  readonly gap: (from: number, to: number) => void
}

/** Redis as the gateway sees it: one connection for commands, one for messages, and whether both are there. */
export class RedisClient {
  readonly feed: RedisFeed
  readonly tokens: RedisTokens
  readonly upstream: RedisUpstream
  readonly hashes: RedisHashes
  readonly #parts: RedisParts
  readonly #commands: Link
  readonly #subscriber: Link
  #deafSince: number | undefined
  #ping: Promise<number> | undefined

  constructor(parts: RedisParts) {
    const { options, metrics, log } = parts
    this.#parts = parts
    const link = { url: options.url, metrics, log }
    const ready = () => this.#changed()
    this.feed = new RedisFeed({ metrics, log, message: parts.message, refused: parts.refused })
    this.#commands = new Link({
      ...link,
      name: 'commands',
      prepare: (client) => checkKeyspaceEvents(client, { set: options.setKeyspaceEvents, metrics, log }),
      ready,
      lost: ready,
    })
    this.hashes = new RedisHashes(this.#commands)
    this.#subscriber = new Link({
      ...link,
      name: 'subscriber',
      prepare: (client) => this.feed.attach(client),
      ready,
      lost: () => {
        this.#deafSince ??= this.#subscriber.aliveAt
        this.feed.detach()
        this.#changed()
      },
    })
    this.tokens = new RedisTokens(this.#commands, options.afterTokenMs, randomBytes(16).toString('hex'))
    this.upstream = new RedisUpstream({
      link: this.#commands,
      ready: () => this.ready,
      metrics,
      tracing: parts.tracing,
      maxMessages: options.upstreamBufferMessages,
      maxBytes: options.upstreamBufferBytes,
    })
    metrics.redisUp.set(0)
  }

  /** Both connections are there and every wanted channel is confirmed. */
  get ready(): boolean {
    return this.#commands.state === 'ready' && this.#subscriber.state === 'ready'
  }

  /** Round trip of a PING in ms; undefined when there was no answer in time. Who asks at the same time shares one. */
  async ping(deadlineMs: number): Promise<number | undefined> {
    if (!this.ready) return undefined
    this.#ping ??= this.#measure().finally(() => {
      this.#ping = undefined
    })
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, deadlineMs, undefined)
    })
    return Promise.race([this.#ping, late])
      .catch(() => undefined)
      .finally(() => clearTimeout(timer))
  }

  close(): void {
    this.#commands.close()
    this.#subscriber.close()
  }

  async #measure(): Promise<number> {
    const startedAt = performance.now()
    await this.#commands.client.ping()
    return Math.round((performance.now() - startedAt) * 1000) / 1000
  }

  #changed(): void {
    this.#parts.metrics.redisUp.set(this.ready ? 1 : 0)
    if (!this.ready) return
    if (this.#deafSince !== undefined) {
      this.#parts.metrics.gap('redis_down')
      this.#parts.gap(this.#deafSince, Date.now())
      this.#deafSince = undefined
    }
    this.upstream.release()
    this.#parts.ready()
  }
}
