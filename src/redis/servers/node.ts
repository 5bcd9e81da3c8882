import type { GapReason } from '../../contract/reasons.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { RedisFeed } from '../pubsub/feed.ts'
import { SubscriberConnection } from '../pubsub/subscriber.ts'
import type { Batch } from '../wire/batch.ts'
import { RedisConnection, type Target } from '../wire/connection.ts'
import { isReply } from '../wire/errors.ts'
import type { OnMessage } from '../wire/resp.ts'
import { Canary } from './canary.ts'
import type { Gap } from './gap.ts'
import { checkKeyspaceEvents } from './keyspace.ts'
import { addressOf, Link } from './link.ts'
import { OutputLimit } from './output-limit.ts'

export interface NodeOptions {
  /** Set what is missing in `notify-keyspace-events`, instead of reporting it. */
  readonly setKeyspaceEvents: boolean
  /** Session channels by sharded pub/sub (Redis 7, Cluster). */
  readonly sharded: boolean
  /** How often a canary is published; 0: never. */
  readonly canaryIntervalMs: number
  /** How late a canary may be before the subscriber connection is thought deaf. */
  readonly canaryTimeoutMs: number
}

export interface NodeParts {
  readonly options: NodeOptions
  /** Where the server is; asked before each attempt to connect, since a fail-over may have moved it. */
  readonly target: () => Promise<Target>
  readonly metrics: Metrics
  readonly log: Logger
  readonly message: OnMessage
  /** Redis does not let us listen to this channel. */
  readonly refused: (channel: string) => void
  /** `ready` may have changed. */
  readonly changed: (node: RedisNode) => void
  /** A slot is said to be elsewhere; resolves when it is known where. */
  readonly moved: () => Promise<void>
}

/** So much since the last canary, and Redis closed the connection: then it was its output buffer that was full. */
const BEHIND_BYTES = 4 * 1024 * 1024
const ADOPT_RETRY_MS = 50

/** One Redis server: a connection for commands, one for messages, and the canary that flies from the one to the other. */
export class RedisNode {
  readonly feed: RedisFeed
  readonly commands: Link
  readonly subscriber: Link<SubscriberConnection>
  readonly #parts: NodeParts
  readonly #canary: Canary
  #gap: Gap | undefined
  /** Channels that are taken over and not confirmed yet. */
  readonly #adopted = new Set<string>()
  /** Payload bytes received in all, and when the last canary left. */
  #bytes = 0
  #bytesAtCanary = 0
  #behind = false
  readonly #outputLimit = new OutputLimit()

  constructor(parts: NodeParts) {
    const { options, metrics, log, target } = parts
    this.#parts = parts
    const changed = () => parts.changed(this)
    this.#canary = new Canary({
      intervalMs: options.canaryIntervalMs,
      timeoutMs: options.canaryTimeoutMs,
      publish: (payload) => {
        this.#bytesAtCanary = this.#bytes
        return this.commands.client.sendCommand(['PUBLISH', this.#canary.channel, payload])
      },
      progress: () => this.#bytes,
      refused: (error) => this.#noCanary(error),
      cameBack: (seconds) => metrics.canary.observe(seconds),
      deaf: () => {
        if (this.subscriber.state !== 'ready') return
        metrics.canariesLost.inc()
        this.#lose('redis_deaf', this.#aliveAt)
        this.subscriber.restart('the subscriber connection is alive but delivers nothing')
      },
    })
    this.feed = new RedisFeed({
      metrics,
      log,
      sharded: options.sharded,
      moved: (channel) => void this.#movedAway(channel),
      message: (wanted, payload, channel, batch) => this.#message(wanted, payload, channel, batch),
      refused: parts.refused,
    })
    // Each has a pause of its own between its attempts, but the server is the same.
    const ready = (other: () => { hurry(): void }) => () => {
      other().hurry()
      changed()
    }
    const link = { target, metrics, log }
    this.commands = new Link({
      ...link,
      open: (to, name) => new RedisConnection(to, name),
      name: 'commands',
      prepare: (client) => checkKeyspaceEvents(client, { set: options.setKeyspaceEvents, metrics, log }),
      ready: ready(() => this.subscriber),
      lost: changed,
    })
    this.subscriber = new Link({
      ...link,
      open: (to, name) =>
        new SubscriberConnection(to, name, {
          message: (wanted, payload, channel, batch) => this.feed.deliver(wanted, payload, channel, batch),
          moved: (channel) => this.feed.movedAway(channel),
        }),
      name: 'subscriber',
      progress: () => this.#bytes,
      prepare: (client) => this.#attach(client),
      ready: ready(() => this.commands),
      lost: () => {
        this.#canary.stop()
        this.#lose('redis_down', this.#aliveAt)
        this.#behind = this.#canary.pending || this.#bytes - this.#bytesAtCanary > BEHIND_BYTES
        this.feed.detach()
        changed()
      },
    })
  }

  /** Both connections are there and every wanted channel is confirmed. */
  get ready(): boolean {
    return this.commands.state === 'ready' && this.subscriber.state === 'ready'
  }

  /** Channels are being taken over, and nobody hears them yet. */
  get adopting(): boolean {
    return this.#adopted.size > 0
  }

  /** Since `from` messages of it may have been lost: it belongs to the servers no more. */
  abandon(from: number): void {
    this.#lose('redis_moved', from)
    this.close()
  }

  /** User channels that are confirmed here. */
  get channels(): number {
    return this.feed.channels - (this.feed.isConfirmed(this.#canary.channel) ? 1 : 0)
  }

  /** The interval since which this server may have sent messages in vain. */
  get gap(): Gap | undefined {
    return this.#gap
  }

  /** The same, once: it is over. Undefined when there is none, or while channels are still being taken over. */
  takeGap(): Gap | undefined {
    if (this.#adopted.size > 0) return undefined
    const gap = this.#gap
    this.#gap = undefined
    return gap
  }

  /** Takes over channels of another server, with the gap in which nobody listened to them. */
  adopt(gap: Gap & { readonly channels: ReadonlySet<string> }): void {
    if (this.#gap === undefined) this.#gap = gap
    else {
      const from = Math.min(gap.from, this.#gap.from)
      const { channels } = this.#gap
      // All channels of the server have a gap already, or these now as well.
      this.#gap = channels
        ? { ...gap, from, channels: new Set([...channels, ...gap.channels]) }
        : { ...this.#gap, from }
    }
    for (const channel of gap.channels) {
      this.feed.want(channel)
      if (!this.#adopted.has(channel)) void this.#adopt(channel)
    }
  }

  /** A channel that is not found elsewhere is taken over again: the news was old, or this server did not know better. */
  async #movedAway(channel: string): Promise<void> {
    const from = this.#aliveAt
    await this.#parts.moved()
    if (this.feed.isWanted(channel) && !this.#adopted.has(channel))
      this.adopt({ from, reason: 'redis_moved', channels: new Set([channel]) })
  }

  /** Only when all that is taken over is subscribed does the gap end. Should the connection be lost meanwhile, the next one subscribes and tells. */
  async #adopt(channel: string): Promise<void> {
    this.#adopted.add(channel)
    while (this.subscriber.state === 'ready' && this.feed.isWanted(channel)) {
      const done = await this.feed.subscribe(channel).then(
        () => true,
        () => false,
      )
      if (done) break
      // The server may not know yet that the slot is its own.
      await new Promise((resolve) => setTimeout(resolve, ADOPT_RETRY_MS))
    }
    this.#adopted.delete(channel)
    if (this.#adopted.size === 0) this.#parts.changed(this)
  }

  /** The server is another one now: leaves connections to the old one. Messages may have been lost since `from`. */
  moveTo(target: Target, from: number): void {
    const old = [this.commands, this.subscriber].filter(
      ({ state, address }) => state === 'ready' && address !== addressOf(target),
    )
    if (old.includes(this.subscriber)) this.#lose('redis_moved', Math.min(from, this.#aliveAt))
    for (const link of old) link.restart('another server is the master now')
  }

  close(): void {
    this.#canary.stop()
    this.commands.close()
    this.subscriber.close()
  }

  async #attach(client: SubscriberConnection): Promise<void> {
    // Where Redis does not tell: it was so when commands still work and we were far behind when it happened.
    const overLimit = (await this.#outputLimit.hit(client)) ?? (this.#behind && this.commands.state === 'ready')
    if (overLimit && this.#gap?.reason === 'redis_down') this.#gap = { ...this.#gap, reason: 'redis_output_limit' }
    const startedAt = Date.now()
    await this.feed.attach(client)
    await this.#startCanary(startedAt)
  }

  /** An ACL may forbid its channel: then there is none, and all else works. */
  async #startCanary(aliveAt: number): Promise<void> {
    if (this.#parts.options.canaryIntervalMs === 0) return
    try {
      await this.feed.subscribe(this.#canary.channel)
      this.#canary.start(aliveAt)
    } catch (error) {
      this.feed.unsubscribe(this.#canary.channel)
      this.#canary.aliveAt = 0
      if (!isReply(error)) throw error
      this.#noCanary(error)
    }
  }

  #noCanary(error: Error): void {
    this.#parts.log.warn({ event: 'canary', reason: error.message }, 'Redis forbids the channels wsproxy:canary:*')
  }

  #message(wanted: string, payload: Buffer, channel: string, batch: Batch): void {
    this.#bytes += payload.length
    if (wanted === this.#canary.channel) this.#canary.heard(payload.toString('latin1'))
    else this.#parts.message(wanted, payload, channel, batch)
  }

  /** Since when nobody can say that messages arrived. A ping that was answered shows less than a canary that came back. */
  get #aliveAt(): number {
    return this.#canary.aliveAt || this.subscriber.aliveAt
  }

  /** The first reason stands: what follows is its consequence. It is the gap of all channels now, also of those that were not taken over. */
  #lose(reason: GapReason, from: number): void {
    if (this.#gap === undefined) this.#gap = { from, reason }
    else if (this.#gap.channels) this.#gap = { from: Math.min(from, this.#gap.from), reason }
  }
}
