import { redisCanary } from '../../contract/names.ts'
import { reasonOf } from '../../platform/reason.ts'
import { RedisForbids } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { RedisFeed } from '../pubsub/feed.ts'
import type { SubscriberConnection } from '../pubsub/subscriber.ts'
import type { Canary } from './canary.ts'

export interface CanaryStarterOptions {
  readonly canary: Canary
  /** The canary is off. */
  readonly off: boolean
  readonly feed: () => Pick<RedisFeed, 'subscribe' | 'unsubscribe' | 'tryOn'>
  /** The ready subscriber connection. @throws RedisUnavailable */
  readonly client: () => SubscriberConnection
  readonly log: Logger
}

/** Time between two attempts to use the canary's channel while Redis forbids it, in ms. */
const RETRY_MS = 5000

/**
 * Starts the canary on each new connection. An ACL may forbid the canary's channel, or to publish
 * there: the node then works without a canary, and the canary is tried again while the connection
 * lasts.
 */
export class CanaryStarter {
  readonly #options: CanaryStarterOptions
  #timer: NodeJS.Timeout | undefined
  /** Changes with the connection, so that an attempt on an old one has no effect. */
  #connection = 0
  #refused = false

  constructor(options: CanaryStarterOptions) {
    this.#options = options
  }

  /**
   * Starts on a new connection, on which every message since `aliveAt` arrives.
   * @throws RedisUnavailable when the connection is lost meanwhile.
   */
  async start(aliveAt: number): Promise<void> {
    this.stop()
    const { canary, off, feed } = this.#options
    if (off) return
    try {
      await feed().subscribe(canary.channel)
      canary.start(aliveAt)
    } catch (error) {
      feed().unsubscribe(canary.channel)
      canary.abandon()
      if (!(error instanceof RedisForbids)) throw error
      this.refused(error)
    }
  }

  stop(): void {
    this.#connection++
    clearTimeout(this.#timer)
    this.#options.canary.stop()
  }

  /** Redis forbids the canary. Logged once until a canary comes back. */
  refused(error: Error): void {
    this.#retry()
    if (this.#refused) return
    this.#refused = true
    this.#options.log.warn(
      { event: 'canary', reason: reasonOf(error) },
      `Redis forbids the channels ${redisCanary('*')}: a subscriber connection that delivers nothing is not detected`,
    )
  }

  cameBack(): void {
    if (!this.#refused) return
    this.#refused = false
    this.#options.log.info({ event: 'canary' }, 'Redis allows the canary again')
  }

  #retry(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#again(), RETRY_MS).unref()
  }

  async #again(): Promise<void> {
    const connection = this.#connection
    const { canary, client, feed } = this.#options
    try {
      // A trial logs no refusal.
      const refused = await feed().tryOn(client(), [canary.channel])
      if (connection !== this.#connection) return
      if (refused.length > 0) return this.#retry()
      await feed().subscribe(canary.channel)
      // No canary has come back on this connection, so the answered pings still count.
      if (connection === this.#connection) canary.start(0)
    } catch {
      // The link logs why the connection was lost.
      if (connection === this.#connection) this.#retry()
    }
  }
}
