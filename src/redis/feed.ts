import { RedisUnavailable } from '../contract/codes.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { type Client, isReply } from './link.ts'
import { Subscriptions } from './subscriptions.ts'

/** Channels in one SUBSCRIBE: large, since a thousand small ones cost four times as much; bounded, since Redis answers each in one go. */
const BATCH = 5000

export interface FeedOptions {
  readonly metrics: Metrics
  readonly log: Logger
  /** Each message, in the order of Redis. Channel names are ASCII: they are made of ids. */
  readonly message: (channel: string, payload: Buffer) => void
  /** Redis does not let us listen to this channel: whoever does so already hears nothing any more. */
  readonly refused: (channel: string) => void
}

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Carries out what `Subscriptions` says over the subscriber connection: one SUBSCRIBE and one UNSUBSCRIBE a tick. */
export class RedisFeed {
  readonly #options: FeedOptions
  readonly #subscriptions = new Subscriptions()
  readonly #waiters = new Map<string, Waiter[]>()
  #client: Client | undefined
  #scheduled = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Channels that Redis has confirmed. */
  get channels(): number {
    return this.#subscriptions.confirmed
  }

  /**
   * Resolves when Redis has confirmed the channel.
   * @throws RedisUnavailable when there is no connection, or it is lost before; Redis' own error when it refuses.
   */
  async subscribe(channel: string): Promise<void> {
    this.#subscriptions.want(channel)
    if (this.#client === undefined) throw new RedisUnavailable('the subscriber connection is not ready')
    if (this.#subscriptions.isConfirmed(channel)) return
    this.#schedule()
    await new Promise<void>((resolve, reject) => {
      const waiters = this.#waiters.get(channel)
      if (waiters) waiters.push({ resolve, reject })
      else this.#waiters.set(channel, [{ resolve, reject }])
    })
  }

  /** Nobody wants the channel any more; at the end of the tick that is told to Redis, unless somebody wants it again. */
  unsubscribe(channel: string): void {
    this.#subscriptions.unwant(channel)
    this.#reject(channel, new RedisUnavailable('the channel was left before it was confirmed'))
    this.#schedule()
  }

  /** A new connection: subscribes all that is wanted. Resolves when Redis has confirmed it. */
  async attach(client: Client): Promise<void> {
    // The connection before this one may have failed while it was attached: nothing is subscribed here yet, whatever was sent there.
    this.#subscriptions.lost()
    const sent: Promise<void>[] = []
    for (let commands = this.#subscriptions.take(BATCH); hasAny(commands); commands = this.#subscriptions.take(BATCH)) {
      sent.push(this.#try(client, commands.subscribe, commands.unsubscribe))
    }
    await Promise.all(sent)
    this.#client = client
    this.#schedule()
  }

  /** The connection is gone. Who waits for a confirmation is told; what is wanted stays wanted. */
  detach(): void {
    this.#client = undefined
    this.#subscriptions.lost()
    const waiters = [...this.#waiters.values()].flat()
    this.#waiters.clear()
    for (const { reject } of waiters) reject(new RedisUnavailable('the subscriber connection was lost'))
  }

  #schedule(): void {
    if (this.#scheduled || this.#client === undefined) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const client = this.#client
      if (client === undefined) return
      const { subscribe, unsubscribe } = this.#subscriptions.take(BATCH)
      if (subscribe.length + unsubscribe.length === BATCH) this.#schedule()
      // When the connection is lost, `detach` tells the waiters.
      this.#try(client, subscribe, unsubscribe).catch(() => {})
    })
  }

  async #send(client: Client, subscribe: string[], unsubscribe: string[]): Promise<void> {
    const sent: Promise<void>[] = []
    if (subscribe.length > 0)
      sent.push(client.subscribe(subscribe, this.#message, true).then(() => this.#confirmed(subscribe)))
    // Without its listener node-redis forgets a channel that is subscribed again before the answer.
    if (unsubscribe.length > 0) {
      sent.push(
        client.unsubscribe(unsubscribe, this.#message, true).then(() => {
          this.#subscriptions.unsubscribed(unsubscribe)
          this.#schedule()
        }),
      )
    }
    await Promise.all(sent)
  }

  #confirmed(channels: readonly string[]): void {
    this.#subscriptions.subscribed(channels)
    for (const channel of channels) {
      const waiters = this.#waiters.get(channel)
      if (waiters === undefined) continue
      this.#waiters.delete(channel)
      for (const { resolve } of waiters) resolve()
    }
    this.#schedule()
  }

  /** Sends, and finds out what Redis refuses: a batch with one forbidden channel (by an ACL, for instance) subscribes none of them. */
  async #try(client: Client, subscribe: string[], unsubscribe: string[]): Promise<void> {
    try {
      await this.#send(client, subscribe, unsubscribe)
    } catch (error) {
      if (!isReply(error)) throw error
      if (subscribe.length === 1) return this.#refused(subscribe[0]!, error)
      await Promise.all(subscribe.map((channel) => this.#try(client, [channel], [])))
    }
  }

  #refused(channel: string, error: Error): void {
    this.#options.metrics.errors.inc({ type: 'redis' })
    this.#options.log.error({ err: error }, 'Redis refused a subscription')
    this.#subscriptions.refused(channel)
    this.#reject(channel, error)
    this.#options.refused(channel)
  }

  #reject(channel: string, error: Error): void {
    const waiters = this.#waiters.get(channel) ?? []
    this.#waiters.delete(channel)
    for (const { reject } of waiters) reject(error)
  }

  /** A listener that throws would make node-redis lose the rest of what it has read. */
  readonly #message = (payload: Buffer, channel: Buffer): void => {
    try {
      this.#options.message(channel.toString('latin1'), payload)
    } catch (error) {
      this.#options.metrics.errors.inc({ type: 'internal' })
      this.#options.log.error({ err: error }, 'fault while delivering a message')
    }
  }
}

const hasAny = ({ subscribe, unsubscribe }: { subscribe: string[]; unsubscribe: string[] }): boolean =>
  subscribe.length + unsubscribe.length > 0
