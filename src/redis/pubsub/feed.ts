import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { isMoved, isReply } from '../wire/errors.ts'
import { type Group, groups } from './groups.ts'
import { Subscriptions } from './subscriptions.ts'

/** Channels in one SUBSCRIBE: large, since a thousand small ones cost four times as much; bounded, since Redis answers each in one go. */
const BATCH = 5000

export interface FeedOptions {
  readonly metrics: Metrics
  readonly log: Logger
  /** Session channels by sharded pub/sub (SSUBSCRIBE). */
  readonly sharded: boolean
  /** A sharded channel is not here any more, or not yet: its slot has moved. */
  readonly moved: (channel: string) => void
  /** Redis does not let us listen to this channel: whoever does so already hears nothing any more. */
  readonly refused: (channel: string) => void
}

/** The connection that it subscribes on. Subscriptions that it loses go to `movedAway`. */
export interface SubscribesTo {
  subscribe(group: Group): Promise<void>
  unsubscribe(group: Group): Promise<void>
}

/** All who wait for one confirmation. */
interface Waiting {
  readonly confirmed: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Carries out what `Subscriptions` says over the subscriber connection: one SUBSCRIBE and one UNSUBSCRIBE a tick. */
export class RedisFeed {
  readonly #options: FeedOptions
  readonly #subscriptions = new Subscriptions()
  readonly #waiting = new Map<string, Waiting>()
  #client: SubscribesTo | undefined
  #scheduled = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Channels that Redis has confirmed. */
  get channels(): number {
    return this.#subscriptions.confirmed
  }

  /** Whether somebody wants the channel here. */
  isWanted(channel: string): boolean {
    return this.#subscriptions.isWanted(channel)
  }

  isConfirmed(channel: string): boolean {
    return this.#subscriptions.isConfirmed(channel)
  }

  /** Wants a channel without waiting for it: it is subscribed as soon as there is a connection. */
  want(channel: string): void {
    this.#subscriptions.want(channel)
    this.#schedule()
  }

  /**
   * Resolves when Redis has confirmed the channel, or the pattern when there is a `*` in it.
   * @throws RedisUnavailable when there is no connection, or it is lost before; Redis' own error when it refuses.
   */
  async subscribe(channel: string): Promise<void> {
    this.#subscriptions.want(channel)
    if (this.#client === undefined) throw new RedisUnavailable('the subscriber connection is not ready')
    if (this.#subscriptions.isConfirmed(channel)) return
    this.#schedule()
    let waiting = this.#waiting.get(channel)
    if (waiting === undefined) {
      waiting = withResolvers()
      this.#waiting.set(channel, waiting)
    }
    await waiting.confirmed
  }

  /** Nobody wants the channel any more; at the end of the tick that is told to Redis, unless somebody wants it again. */
  unsubscribe(channel: string): void {
    this.#subscriptions.unwant(channel)
    this.#reject(channel, () => new RedisUnavailable('the channel was left before it was confirmed'))
    this.#schedule()
  }

  /** A new connection: subscribes all that is wanted. Resolves when Redis has confirmed it. */
  async attach(client: SubscribesTo): Promise<void> {
    // The connection before this one may have failed while it was attached: nothing is subscribed here yet, whatever was sent there.
    this.detach()
    const sent: Promise<void>[] = []
    for (let commands = this.#subscriptions.take(BATCH); hasAny(commands); commands = this.#subscriptions.take(BATCH)) {
      sent.push(this.#send(client, commands.subscribe, commands.unsubscribe))
    }
    await Promise.all(sent)
    this.#options.log.info({ event: 'redis-subscribed', channels: this.channels }, 'subscribed')
    this.#client = client
    this.#schedule()
  }

  /** The connection is gone. Who waits for a confirmation is told; what is wanted stays wanted. */
  detach(): void {
    this.#client = undefined
    this.#subscriptions.lost()
    for (const channel of [...this.#waiting.keys()])
      this.#reject(channel, () => new RedisUnavailable('the subscriber connection was lost'))
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
      this.#send(client, subscribe, unsubscribe).catch(() => {})
    })
  }

  async #send(client: SubscribesTo, wanted: string[], unwanted: string[]): Promise<void> {
    const { sharded } = this.#options
    await Promise.all([
      ...groups(wanted, sharded).map((group) => this.#subscribe(client, group)),
      ...groups(unwanted, sharded).map(async (group) => {
        // Whatever Redis says against it: who wants one of them again subscribes anew, which does no harm where it is subscribed still.
        await client.unsubscribe(group).catch((error) => {
          if (!isReply(error)) throw error
        })
        this.#subscriptions.unsubscribed(group.channels)
        this.#schedule()
      }),
    ])
  }

  /** A command with one forbidden channel (by an ACL, for instance) subscribes none of them: then each is asked for alone. */
  async #subscribe(client: SubscribesTo, group: Group): Promise<void> {
    const { channels } = group
    try {
      await client.subscribe(group)
      this.#confirmed(channels)
    } catch (error) {
      if (!isReply(error)) throw error
      if (isMoved(error)) for (const channel of channels) this.movedAway(channel)
      else if (channels.length === 1) this.#refused(channels[0]!, error)
      else await Promise.all(channels.map((channel) => this.#subscribe(client, { ...group, channels: [channel] })))
    }
  }

  #confirmed(channels: readonly string[]): void {
    this.#subscriptions.subscribed(channels)
    for (const channel of channels) {
      this.#waiting.get(channel)?.resolve()
      this.#waiting.delete(channel)
    }
    this.#schedule()
  }

  /** The slot of a sharded channel is at another server, and with it the subscription; to be called by the connection. */
  movedAway(channel: string): void {
    this.#subscriptions.refused(channel)
    this.#reject(channel, () => new RedisUnavailable('the slot has moved'))
    this.#options.moved(channel)
  }

  #refused(channel: string, error: Error): void {
    this.#options.metrics.error('redis')
    this.#options.log.error({ err: error }, 'Redis refused a subscription')
    this.#subscriptions.refused(channel)
    this.#reject(channel, () => error)
    this.#options.refused(channel)
  }

  #reject(channel: string, error: () => Error): void {
    const waiting = this.#waiting.get(channel)
    if (waiting === undefined) return
    this.#waiting.delete(channel)
    waiting.reject(error())
  }
}

function withResolvers(): Waiting {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const confirmed = new Promise<void>((...settle) => {
    ;[resolve, reject] = settle
  })
  return { confirmed, resolve, reject }
}

const hasAny = ({ subscribe, unsubscribe }: { subscribe: string[]; unsubscribe: string[] }): boolean =>
  subscribe.length + unsubscribe.length > 0
