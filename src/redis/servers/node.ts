import { asError } from '../../platform/reason.ts'
import { RedisFeed } from '../pubsub/feed.ts'
import { SubscriberConnection } from '../pubsub/subscriber.ts'
import type { Target } from '../wire/connection.ts'
import type { OnMessage } from '../wire/resp.ts'
import { Adoption } from './adoption.ts'
import { Canary } from './canary.ts'
import { CanaryStarter } from './canary-starter.ts'
import { ServerFeatures } from './features.ts'
import { type Gap, OpenGap } from './gap.ts'
import { KeyspaceFlags } from './keyspace.ts'
import { addressOf, Link } from './link.ts'
import { assertHasAllKeys } from './lone-node.ts'
import type { NodeParts } from './node-options.ts'
import { OutputLimit } from './output-limit.ts'

/**
 * So far behind the last canary, the output buffer was full when Redis closed the connection. A
 * guess.
 */
const BEHIND_BYTES = 4 * 1024 * 1024

/** One Redis server: a command connection, a subscriber connection, and a canary between them. */
export class RedisNode {
  readonly feed: RedisFeed
  readonly commands: Link<SubscriberConnection>
  readonly subscriber: Link<SubscriberConnection>
  readonly #parts: NodeParts<RedisNode>
  readonly #canary: Canary
  readonly #canaryStarter: CanaryStarter
  readonly #gap = new OpenGap()
  readonly #flags: KeyspaceFlags
  readonly #adoption: Adoption
  /** Payload bytes received in all, and their number when the last canary was published. */
  #bytes = 0
  #bytesAtCanary = 0
  #behind = false
  readonly #outputLimit = new OutputLimit()
  readonly #features: ServerFeatures

  constructor(parts: NodeParts<RedisNode>) {
    this.#parts = parts
    this.#canary = this.#newCanary()
    this.#adoption = new Adoption({
      feed: () => this.feed,
      connected: () => this.subscriber.state === 'ready',
      done: () => this.#parts.changed(this),
    })
    const { options, metrics, log } = parts
    this.#canaryStarter = new CanaryStarter({
      canary: this.#canary,
      off: options.redisCanaryIntervalMs === 0,
      feed: () => this.feed,
      client: () => this.subscriber.client,
      log,
    })
    this.#flags = new KeyspaceFlags({
      set: options.redisSetKeyspaceEvents,
      // Runs are read again at the same interval.
      intervalMs: options.runDoor ? options.runResyncIntervalMs : 0,
      client: () => (this.commands.state === 'ready' ? this.commands.client : undefined),
      metrics,
      log,
    })
    this.#features = new ServerFeatures(log, options.redisShardedPubsub)
    this.feed = this.#newFeed()
    this.commands = this.#newCommandLink()
    this.subscriber = this.#newSubscriberLink()
  }

  /** Both connections are ready and every wanted channel is confirmed. */
  get ready(): boolean {
    return this.commands.state === 'ready' && this.subscriber.state === 'ready'
  }

  /** Some adopted channels are not confirmed yet. */
  get adopting(): boolean {
    return this.#adoption.pending
  }

  /** Confirmed channels, without the canary's. */
  get channels(): number {
    return this.feed.channels - (this.feed.isConfirmed(this.#canary.channel) ? 1 : 0)
  }

  /** The gap that was not reported yet. */
  get gap(): Gap | undefined {
    return this.#gap.current
  }

  /**
   * Returns the gap once, when it is over. Undefined without a gap, and while adopted channels are
   * unconfirmed.
   */
  takeGap(): Gap | undefined {
    return this.adopting ? undefined : this.#gap.take()
  }

  /** Closes a server that has left the topology. Its messages since `from` may be lost. */
  abandon(from: number): void {
    this.#gap.open('redis_moved', from)
    this.close()
  }

  /** Takes over channels of another server, with the gap in which no server delivered them. */
  adopt(gap: Gap & { readonly channels: ReadonlySet<string> }): void {
    this.#gap.add(gap)
    for (const channel of gap.channels) this.#adoption.add(channel)
  }

  /**
   * Restarts connections that do not lead to `target`, the new server. Messages since `from` may be
   * lost.
   */
  moveTo(target: Target, from: number): void {
    const old = [this.commands, this.subscriber].filter(
      ({ state, address }) => state === 'ready' && address !== addressOf(target),
    )
    if (old.includes(this.subscriber)) this.#gap.open('redis_moved', Math.min(from, this.#aliveAt))
    for (const link of old) link.restart('another server is the master now')
  }

  close(): void {
    this.#canaryStarter.stop()
    this.#flags.stop()
    this.commands.close()
    this.subscriber.close()
  }

  /** Returns the channels that the Redis user may not subscribe. @throws RedisUnavailable */
  forbidden(channels: readonly string[]): Promise<string[]> {
    return this.feed.tryOn(this.subscriber.client, channels)
  }

  /** See KeyspaceFlags.probed. */
  keyspaceMissing(): Promise<string | undefined> {
    return this.#flags.probed
  }

  #newCanary(): Canary {
    const { options, metrics } = this.#parts
    return new Canary({
      intervalMs: options.redisCanaryIntervalMs,
      timeoutMs: options.redisCanaryTimeoutMs,
      publish: (payload) => {
        this.#bytesAtCanary = this.#bytes
        return this.commands.client.sendCommand(['PUBLISH', this.#canary.channel, payload])
      },
      progress: () => this.#bytes,
      refused: (error) => this.#canaryStarter.refused(error),
      cameBack: (seconds) => {
        metrics.canary.observe(seconds)
        this.#canaryStarter.cameBack()
      },
      deaf: () => {
        if (this.subscriber.state !== 'ready') return
        metrics.canariesLost.inc()
        this.#gap.open('redis_deaf', this.#aliveAt)
        this.subscriber.restart('the subscriber connection answers pings but delivers no messages')
      },
    })
  }

  #newFeed(): RedisFeed {
    const { options, metrics, log, refused } = this.#parts
    const moved = (channel: string) => void this.#movedAway(channel)
    return new RedisFeed({ metrics, log, sharded: options.redisShardedPubsub, moved, refused })
  }

  #newCommandLink(): Link<SubscriberConnection> {
    const { target, metrics, log, changed } = this.#parts
    return new Link({
      target,
      metrics,
      log,
      name: 'commands',
      open: (to, name) => new SubscriberConnection(to, name, { message: this.#flags.heard, moved: () => {} }),
      prepare: async (client) => {
        if (this.#parts.options.redisClusterNodes.length === 0) await assertHasAllKeys(client)
        void this.#features.look(client)
        if (this.#parts.options.runDoor) await this.#flags.check(client)
      },
      ready: () => this.#linkReady(this.subscriber),
      proved: () => this.#parts.proved(this),
      demoted: (reason) => this.#demoted(reason),
      lost: () => changed(this),
    })
  }

  #newSubscriberLink(): Link<SubscriberConnection> {
    const { target, metrics, log } = this.#parts
    return new Link({
      target,
      metrics,
      log,
      name: 'subscriber',
      open: (to, name) =>
        new SubscriberConnection(to, name, {
          arrays: true,
          message: this.#message,
          moved: (channel) => this.feed.movedAway(channel),
        }),
      progress: () => this.#bytes,
      prepare: (client) => this.#attach(client),
      ready: () => this.#linkReady(this.commands),
      demoted: (reason) => this.#demoted(reason),
      lost: () => this.#subscriberLost(),
    })
  }

  /**
   * The server has become a replica: both connections are made again, since both lead to it. What
   * agents have published on the new master since the last proof may be lost.
   */
  #demoted(reason: Error): void {
    const { masterAt, readyAt } = this.subscriber
    if (readyAt > 0) this.#gap.open('redis_moved', Math.min(this.#aliveAt, masterAt ?? readyAt))
    this.#parts.demoted(this)
    for (const link of [this.commands, this.subscriber]) if (link.state === 'ready') link.restart(reason)
    void this.#parts.moved()
  }

  /**
   * Each link has its own pause between attempts, but the server is the same: the other one can
   * connect now, too.
   */
  #linkReady(other: Pick<Link, 'hurry'>): void {
    other.hurry()
    this.#parts.changed(this)
  }

  #subscriberLost(): void {
    this.#canaryStarter.stop()
    // A proxy in front of Redis may have cut the connection a moment after a fail-over.
    this.#gap.open('redis_down', Math.min(this.#aliveAt, this.subscriber.masterAt ?? this.#aliveAt))
    this.#behind = this.#canary.pending || this.#bytes - this.#bytesAtCanary > BEHIND_BYTES
    this.feed.detach()
    this.#parts.changed(this)
  }

  /**
   * Prepares a new subscriber connection: finds out why the last one was lost, and subscribes all
   * wanted channels.
   */
  async #attach(client: SubscriberConnection): Promise<void> {
    // A server that does not count: assume the output limit when commands still work and we were
    // far behind.
    const overLimit = (await this.#outputLimit.hit(client)) ?? (this.#behind && this.commands.state === 'ready')
    if (overLimit) this.#gap.correctReason('redis_down', 'redis_output_limit')
    await this.feed.tryOn(client, this.#parts.options.trials ?? [])
    const startedAt = Date.now()
    await this.feed.attach(client)
    await this.#canaryStarter.start(startedAt)
  }

  /**
   * Every message of this server. A listener that throws loses that message and must not end the
   * connection.
   */
  readonly #message: OnMessage = (wanted, payload, channel, chunk) => {
    this.#bytes += payload.length
    if (wanted === this.#canary.channel) return this.#canary.received(payload.toString('latin1'))
    try {
      this.#parts.message(wanted, payload, channel, chunk)
    } catch (error) {
      this.#parts.metrics.error('internal')
      this.#parts.log.error({ err: asError(error), channel }, 'delivering a message failed')
    }
  }

  /**
   * Adopts the channel again when the topology still places it here: the MOVED was old, or the
   * server outdated.
   */
  async #movedAway(channel: string): Promise<void> {
    const from = this.#aliveAt
    await this.#parts.moved()
    if (this.feed.isWanted(channel) && !this.#adoption.has(channel))
      this.adopt({ from, reason: 'redis_moved', channels: new Set([channel]) })
  }

  /**
   * When all messages had certainly arrived. A canary that came back proves more than an answered
   * ping.
   */
  get #aliveAt(): number {
    return this.#canary.aliveAt || this.subscriber.aliveAt
  }
}
