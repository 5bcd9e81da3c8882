import type { Config } from '../config/load.ts'
import { Acceptor } from '../connection/accept.ts'
import { Bindings } from '../connection/bind.ts'
import { clockMs } from '../connection/connection.ts'
import { Delivery } from '../connection/deliver.ts'
import { Closer } from '../connection/end.ts'
import { ConnectLimits } from '../connection/limits.ts'
import { Receiver } from '../connection/receive.ts'
import { closes } from '../contract/codes.ts'
import { RedisClient } from '../redis/client.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'

export interface CoreParts {
  readonly config: Config
  readonly redisUrl: string
  readonly metrics: Metrics
  readonly log: Logger
  /** Undefined: off. */
  readonly tracing?: Tracing | undefined
  readonly draining: () => boolean
}

/** Which messages of which channels may have been lost between two moments (ms since the epoch). */
export type GapListener = (from: number, to: number, affects: (channel: string) => boolean) => void

/** How often sockets are looked at: the precision of every timeout of a socket, its handshake included. */
const SWEEP_MS = 250

/** What all doors stand on: Redis, and the stages of a connection, joined. It decides nothing about a single socket. */
export class Core {
  readonly redis: RedisClient
  readonly bindings: Bindings
  readonly delivery: Delivery
  readonly closer: Closer
  readonly receiver: Receiver
  readonly acceptor: Acceptor
  /** One timer looks at all sockets; there is none per socket. */
  readonly #sweeping: NodeJS.Timeout
  /** Called when Redis, or a part of it, is there: at the start, and after each outage. */
  readonly onReady: (() => void)[] = []
  readonly onGap: GapListener[] = []

  constructor({ config, redisUrl, metrics, log, tracing, draining }: CoreParts) {
    this.redis = new RedisClient({
      options: {
        ...config,
        url: redisUrl,
        afterTokenMs: config.tokenMode === 'reusable' ? -1 : config.reconnectGraceMs,
        sharded: config.shardedPubSub,
      },
      metrics,
      log,
      tracing,
      message: (wanted, payload, channel, batch) => this.delivery.message(wanted, payload, channel, batch),
      refused: (channel) => {
        const topic = this.bindings.find(channel)
        if (topic?.source.refused) return topic.source.refused(topic)
        for (const member of topic?.members.slice() ?? []) this.closer.end(member, closes.internalError)
      },
      ready: () => {
        for (const listener of this.onReady) listener()
      },
      gap: (...gap) => {
        for (const listener of this.onGap) listener(...gap)
      },
    })
    this.bindings = new Bindings(this.redis.feed)
    this.delivery = new Delivery(this.bindings, {
      maxBufferBytes: config.maxBufferBytes,
      metrics,
      log,
      tooSlow: (connection) => this.closer.end(connection, closes.tooSlow),
    })
    const limits = new ConnectLimits(config)
    this.closer = new Closer({
      options: config,
      bindings: this.bindings,
      delivery: this.delivery,
      limits,
      metrics,
      log,
    })
    this.receiver = new Receiver(this.closer, metrics)
    this.acceptor = new Acceptor({
      options: config,
      tokens: this.redis.tokens,
      bindings: this.bindings,
      limits,
      metrics,
      log,
      tracing,
      redisReady: (channel) => this.redis.readyFor(channel),
      draining,
      opened: (connection) => this.closer.runGuarded(connection, () => this.closer.opened(connection)),
    })
    this.#sweeping = setInterval(() => {
      const now = clockMs()
      limits.sweep(now)
      this.acceptor.sweep(now)
      this.closer.sweep(now)
    }, SWEEP_MS)
    metrics.register({
      channels: () => this.redis.feed.channels,
      held: () => this.redis.upstream.held,
      bufferedBytes: () => this.#bufferedBytes(),
    })
  }

  /** Looks at no socket any more. */
  stop(): void {
    clearInterval(this.#sweeping)
  }

  *#bufferedBytes(): Iterable<number> {
    for (const { ws } of this.closer.open) if (ws) yield ws.getBufferedAmount()
  }
}
