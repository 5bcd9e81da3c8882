import { channelKind } from '../../contract/names.ts'
import { asError } from '../../platform/reason.ts'
import { RedisForbids, RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { isForbidden, isMoved, isReply, isTemporary } from '../wire/errors.ts'
import { type Confirmation, newConfirmation } from './confirmation.ts'
import { type Group, groups } from './groups.ts'
import { PostponedChannels } from './postponed.ts'
import { ChannelSubscriptions, type PendingCommands } from './subscriptions.ts'

/**
 * Channels per command. A thousand small commands cost four times as much; a huge one blocks Redis
 * while it answers.
 */
const MAX_CHANNELS = 5000

/** Time between two attempts to subscribe the channels that Redis forbids, in ms. */
const RETRY_MS = 5000
/** The same for those that Redis refuses for a moment: it is busy, or loads its data. */
const BUSY_RETRY_MS = 200

export interface FeedOptions {
  readonly metrics: Metrics
  readonly log: Logger
  /** Session channels use sharded pub/sub (SSUBSCRIBE). */
  readonly sharded: boolean
  /** The server does not have the slot of this sharded channel, or no longer. */
  readonly moved: (channel: string) => void
  /** Redis refused to subscribe this channel. Sockets that are bound to it get no messages. */
  readonly refused: (channel: string) => void
}

/** The connection that the feed subscribes on, as far as the feed needs it. */
export interface SubscribingConnection {
  subscribe(group: Group): Promise<void>
  unsubscribe(group: Group): Promise<void>
}

/**
 * Keeps Redis' subscriptions equal to the wanted channels: sends what `ChannelSubscriptions` asks
 * for over the subscriber connection, as one SUBSCRIBE and one UNSUBSCRIBE per turn of the event
 * loop.
 */
export class RedisFeed {
  readonly #options: FeedOptions
  readonly #subscriptions = new ChannelSubscriptions()
  readonly #waiting = new Map<string, Confirmation>()
  #client: SubscribingConnection | undefined
  #scheduled = false
  /**
   * Kinds of channels of which Redis has refused one. It may still allow others of the kind, so
   * only a trial that succeeds clears it.
   */
  readonly #suspected = new Set<string>()

  /**
   * Channels that Redis refused and that are wanted all the same: those that no socket left. The
   * rights of a user may come back without a new connection.
   */
  readonly #refusedChannels = new Set<string>()
  readonly #forbidden = new PostponedChannels(RETRY_MS, (channel) => this.#retry(channel))
  readonly #postponed = new PostponedChannels(BUSY_RETRY_MS, (channel) => this.#retry(channel))

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** How many channels Redis has confirmed. */
  get channels(): number {
    return this.#subscriptions.confirmed
  }

  isWanted(channel: string): boolean {
    return this.#subscriptions.isWanted(channel)
  }

  isConfirmed(channel: string): boolean {
    return this.#subscriptions.isConfirmed(channel)
  }

  /** Whether Redis has lately refused a channel of this kind, so that it may refuse this one. */
  suspects(channel: string): boolean {
    return this.#suspected.size > 0 && this.#suspected.has(channelKind(channel))
  }

  /**
   * Finds out on a new connection which of these channels Redis refuses, before a client needs one
   * of their kind. Leaves no subscription. @throws when the connection is lost.
   */
  async tryOn(client: SubscribingConnection, channels: readonly string[]): Promise<string[]> {
    const answers = await Promise.all(channels.map((channel) => this.#try(client, channel)))
    return channels.filter((_, i) => answers[i])
  }

  async #try(client: SubscribingConnection, channel: string): Promise<boolean> {
    const [group] = groups([channel], this.#options.sharded)
    try {
      await client.subscribe(group!)
      this.#suspected.delete(channelKind(channel))
      // Sent in the same turn, so a subscription that the feed sends later is behind it.
      if (!this.#subscriptions.isWanted(channel)) await client.unsubscribe(group!)
      return false
    } catch (error) {
      if (!isReply(error)) throw error
      if (!isForbidden(error)) return false
      this.#suspected.add(channelKind(channel))
      return true
    }
  }

  /**
   * Subscribes a channel as soon as there is a connection, without waiting for the confirmation.
   */
  want(channel: string): void {
    this.#subscriptions.want(channel)
    this.#schedule()
  }

  /**
   * Subscribes a channel, or a pattern when it contains `*`. Resolves when Redis has confirmed it.
   * @throws RedisUnavailable when there is no connection or it is lost before the confirmation: the
   * channel stays wanted and is subscribed on the next connection. Redis' own error when it
   * refuses.
   */
  async subscribe(channel: string): Promise<void> {
    this.#subscriptions.want(channel)
    if (this.#client === undefined) throw new RedisUnavailable('the subscriber connection is not ready')
    if (this.#subscriptions.isConfirmed(channel)) return
    this.#schedule()
    let waiting = this.#waiting.get(channel)
    if (waiting === undefined) {
      waiting = newConfirmation()
      this.#waiting.set(channel, waiting)
    }
    await waiting.confirmed
  }

  /**
   * Unsubscribes at the end of the turn, unless the channel is wanted again by then. Rejects
   * waiting callers.
   */
  unsubscribe(channel: string): void {
    this.#subscriptions.unwant(channel)
    this.#reject(channel, () => new RedisUnavailable('the channel was left before it was confirmed'))
    this.#schedule()
  }

  /**
   * Starts to use a new connection: subscribes every wanted channel and resolves when Redis has
   * confirmed them.
   */
  async attach(client: SubscribingConnection): Promise<void> {
    // The previous connection may have failed inside `attach`. Nothing is subscribed on this one
    // yet.
    this.detach()
    const sent: Promise<void>[] = []
    for (
      let commands = this.#subscriptions.take(MAX_CHANNELS);
      hasAny(commands);
      commands = this.#subscriptions.take(MAX_CHANNELS)
    ) {
      sent.push(this.#send(client, commands.subscribe, commands.unsubscribe))
    }
    await Promise.all(sent)
    this.#options.log.info({ event: 'redis-subscribed', channels: this.channels }, 'subscribed')
    this.#client = client
    this.#schedule()
  }

  /** The connection was lost: rejects waiting callers. Wanted channels stay wanted. */
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
      const { subscribe, unsubscribe } = this.#subscriptions.take(MAX_CHANNELS)
      if (subscribe.length + unsubscribe.length === MAX_CHANNELS) this.#schedule()
      // It rejects when the connection is lost; then `detach` rejects the waiting callers.
      this.#send(client, subscribe, unsubscribe).catch(() => {})
    })
  }

  async #send(client: SubscribingConnection, wanted: string[], unwanted: string[]): Promise<void> {
    const { sharded } = this.#options
    await Promise.all([
      ...groups(wanted, sharded).map((group) => this.#subscribe(client, group)),
      ...groups(unwanted, sharded).map(async (group) => {
        // After a refusal the channels may still be subscribed. Subscribing them again later does
        // no harm.
        await client.unsubscribe(group).catch((error) => {
          if (!isReply(error)) throw error
        })
        this.#subscriptions.unsubscribed(group.channels)
        this.#schedule()
      }),
    ])
  }

  /**
   * An ACL that forbids one channel of a command makes Redis refuse all of them. Then subscribe
   * each one alone.
   */
  async #subscribe(client: SubscribingConnection, group: Group): Promise<void> {
    const { channels } = group
    try {
      await client.subscribe(group)
      this.#confirmed(channels)
    } catch (error) {
      if (!isReply(error)) throw error
      if (isMoved(error)) for (const channel of channels) this.movedAway(channel)
      else if (isTemporary(error)) this.#postpone(channels, error)
      else if (channels.length === 1) this.#refused(channels[0]!, error)
      else await Promise.all(channels.map((channel) => this.#subscribe(client, { ...group, channels: [channel] })))
    }
  }

  #confirmed(channels: readonly string[]): void {
    this.#subscriptions.subscribed(channels)
    if (this.#refusedChannels.size > 0) this.#allowed(channels)
    for (const channel of channels) {
      this.#waiting.get(channel)?.resolve()
      this.#waiting.delete(channel)
    }
    this.#schedule()
  }

  /**
   * Redis has ended the subscription of a sharded channel, or refused it, because another server
   * has the slot.
   */
  movedAway(channel: string): void {
    this.#subscriptions.refused(channel)
    this.#reject(channel, () => new RedisUnavailable('the slot has moved'))
    this.#options.moved(channel)
  }

  #refused(channel: string, error: Error): void {
    // Logged and counted once, and not at each further attempt.
    if (!this.#refusedChannels.has(channel)) {
      const { log, metrics } = this.#options
      metrics.error('redis')
      const hint = 'wsproxy redis acl prints the rights that the user needs; ACL LOG shows what was refused'
      log.error({ event: 'redis-forbids', err: asError(error), channel, hint }, 'Redis refused a subscription')
    }
    this.#subscriptions.refused(channel)
    const forbids = isForbidden(error)
    if (forbids) this.#suspected.add(channelKind(channel))
    this.#reject(channel, () =>
      forbids ? new RedisForbids(`Redis forbids SUBSCRIBE ${channel}: ${error.message}`, { cause: error }) : error,
    )
    this.#options.refused(channel)
    if (!this.#subscriptions.isWanted(channel)) return
    this.#refusedChannels.add(channel)
    this.#forbidden.add(channel)
  }

  /** A connection that is being attached would seem ready without its channels, so it fails. */
  #postpone(channels: readonly string[], error: Error): void {
    if (this.#client === undefined) throw error
    for (const channel of channels) {
      this.#subscriptions.refused(channel)
      this.#reject(channel, () => new RedisUnavailable('Redis subscribes no channel now', { cause: error }))
      this.#postponed.add(channel)
    }
  }

  /** Subscribes a refused channel again if it is still wanted. */
  #retry(channel: string): void {
    if (!this.#subscriptions.isWanted(channel)) this.#refusedChannels.delete(channel)
    else if (!this.#subscriptions.isConfirmed(channel)) this.want(channel)
  }

  #allowed(channels: readonly string[]): void {
    for (const channel of channels)
      if (this.#refusedChannels.delete(channel))
        this.#options.log.info({ event: 'redis-allows', channel }, 'Redis allows a subscription that it had refused')
  }

  #reject(channel: string, error: () => Error): void {
    const waiting = this.#waiting.get(channel)
    if (waiting === undefined) return
    this.#waiting.delete(channel)
    waiting.reject(error())
  }
}

const hasAny = ({ subscribe, unsubscribe }: PendingCommands): boolean => subscribe.length + unsubscribe.length > 0
