import { RedisUnavailable } from '../platform/unavailable.ts'
import type { Connection } from './connection.ts'

/** The subscriptions of Redis channels, as far as this file needs them. */
export interface Feed {
  /**
   * Subscribes a channel. Resolves when Redis has confirmed it, at once if it already has.
   * @throws RedisUnavailable when Redis is away, or is lost before it confirms.
   */
  subscribe(channel: string): Promise<void>
  /** Unsubscribes a channel at the end of the tick, unless `subscribe` is called for it before. */
  unsubscribe(channel: string): void
}

/**
 * Facts computed once per chunk read from Redis. Per message they would cost as much as its
 * delivery.
 */
export interface Batch {
  /** Bytes of the chunk. */
  readonly length: number
  /** No byte of the chunk is above 127. */
  readonly ascii: boolean
  /**
   * Returns false when no message of the chunk contains `bytes`. Pass the same Buffer on every
   * call, with a short text that begins with a rare character: the answer is cached for it.
   */
  has(bytes: Buffer): boolean
  /** The bytes of its messages stay as they are until `release` is called as often. */
  hold(): void
  release(): void
}

/** Turns the messages of a topic into frames: a door, or a part of one. */
export interface Source {
  /**
   * Returns the frame that every member of the topic gets for this message, or undefined for none.
   * Bytes that are not UTF-8 go out as a binary frame. Called once per message, not per socket. The
   * frame may be a view of the message. What is kept beyond this tick must be a copy.
   */
  render(topic: Topic, message: Buffer, channel: string, batch: Batch): Buffer | undefined
  /** A connection has joined the topic, before any message can arrive for it. */
  entered?(topic: Topic, connection: Connection): void
  /** Redis has confirmed every channel of the topic. Called for each connection that joins. */
  confirmed?(topic: Topic): void
  /** A connection has left the topic. It may still be open, and what is enqueued now goes out. */
  left?(topic: Topic, connection: Connection): void
  /** The last member has left. The topic is not used again. */
  released?(topic: Topic): void
  /** A message of the topic was dropped because it is larger than any socket takes. */
  tooLarge?(topic: Topic, message: Buffer): void
  /** Redis forbids a channel of the topic. Default: the members of the topic are closed. */
  refused?(topic: Topic): void
}

/** A set of Redis channels, the source of its frames, and the connections that get them. */
export interface Topic {
  readonly channels: readonly string[]
  readonly source: Source
  readonly members: Connection[]
  /** What the source keeps for this topic. Only the source reads and writes it. */
  state?: unknown
}

/**
 * Knows which connections are members of which topics. The first member subscribes the channels and
 * the last one unsubscribes them. Membership is per connection, so a socket that leaves late cannot
 * end what a newer one needs.
 */
export class Bindings {
  readonly #feed: Feed
  readonly #topics = new Map<string, Topic>()

  constructor(feed: Feed) {
    this.#feed = feed
  }

  /** Yields the topics of one source, each once. */
  *of(source: Source): Iterable<Topic> {
    for (const [channel, topic] of this.#topics)
      if (topic.source === source && topic.channels[0] === channel) yield topic
  }

  /** Returns the topic that `channel` belongs to. */
  find(channel: string): Topic | undefined {
    return this.#topics.get(channel)
  }

  /**
   * Makes `connection` a member of the topic of `channels`, at once: a message may arrive together
   * with the confirmation. Resolves when every channel is confirmed.
   * @throws what the feed throws; the connection has then left again.
   */
  async join(connection: Connection, source: Source, channels: readonly string[]): Promise<void> {
    const topic = this.#enter(connection, source, channels)
    try {
      if (channels.length === 1) await this.#feed.subscribe(channels[0]!)
      else await Promise.all(channels.map((channel) => this.#feed.subscribe(channel)))
    } catch (error) {
      this.leave(connection, topic)
      throw error
    }
    // The connection may have left during the wait, and the topic may be gone with it.
    if (connection.topics.includes(topic)) source.confirmed?.(topic)
  }

  /**
   * Like `join`, for an open socket. If Redis is away or is lost meanwhile, this resolves, the
   * connection stays a member, and the feed subscribes the channels when Redis is back.
   * @throws the error of Redis when it forbids a channel; the connection has then left again.
   */
  async hold(connection: Connection, source: Source, channels: readonly string[]): Promise<void> {
    const topic = this.#enter(connection, source, channels)
    const confirmations = await Promise.allSettled(channels.map((channel) => this.#feed.subscribe(channel)))
    const refusal = confirmations.find(
      (each) => each.status === 'rejected' && !(each.reason instanceof RedisUnavailable),
    )
    if (refusal === undefined) return
    this.leave(connection, topic)
    throw (refusal as PromiseRejectedResult).reason
  }

  /**
   * Passes the messages of a channel to `source` until `unkeep`, without any socket. A second call
   * for the same channel waits for the same confirmation. While Redis is away the feed keeps the
   * channel and subscribes it later.
   * @throws RedisUnavailable when Redis is away or lost before it confirms, or the error of Redis
   * when it refuses.
   */
  async keep(source: Source, channel: string): Promise<void> {
    if (!this.#topics.has(channel))
      this.#topics.set(channel, { channels: [channel], source, members: [], state: undefined })
    await this.#feed.subscribe(channel)
  }

  /** Ends what `keep` began, confirmed or not. */
  unkeep(channel: string): void {
    if (this.#topics.delete(channel)) this.#feed.unsubscribe(channel)
  }

  #enter(connection: Connection, source: Source, channels: readonly string[]): Topic {
    let topic = this.#topics.get(channels[0]!)
    if (topic) topic.members.push(connection)
    else {
      topic = { channels, source, members: [connection], state: undefined }
      for (const channel of channels) this.#topics.set(channel, topic)
    }
    // The first push into an empty array reserves room for 17 items, and there is one such array
    // per socket.
    if (connection.topics.length === 0) connection.topics = [topic]
    else connection.topics.push(topic)
    source.entered?.(topic, connection)
    return topic
  }

  /** Ends one membership. A second call does nothing. */
  leave(connection: Connection, topic: Topic): void {
    if (!remove(connection.topics, topic)) return
    remove(topic.members, connection)
    topic.source.left?.(topic, connection)
    if (topic.members.length > 0) return
    for (const channel of topic.channels) {
      this.#topics.delete(channel)
      this.#feed.unsubscribe(channel)
    }
    topic.source.released?.(topic)
  }

  leaveAll(connection: Connection): void {
    for (const topic of connection.topics.slice()) this.leave(connection, topic)
  }
}

/**
 * Removes an item in constant space: the last item takes its place, since the order means nothing.
 */
function remove<T>(from: T[], item: T): boolean {
  const index = from.indexOf(item)
  if (index < 0) return false
  const last = from.pop()!
  if (index < from.length) from[index] = last
  return true
}
