import { RedisUnavailable } from '../platform/unavailable.ts'
import type { Connection } from './connection.ts'

/** Where messages come from, as bind needs it: Redis' channels. */
export interface Feed {
  /**
   * Resolves when the channel is subscribed and confirmed; at once when it already is.
   * @throws RedisUnavailable when there is no Redis, or it is lost before it confirms.
   */
  subscribe(channel: string): Promise<void>
  /** Nobody wants the channel any more. Takes effect at the end of the tick, unless somebody wants it again. */
  unsubscribe(channel: string): void
}

/** What is known of all messages that came from Redis together: to find it for each by itself would cost as much as its delivery. */
export interface Batch {
  /** No byte of any of them is above 127. */
  readonly ascii: boolean
  /** Whether `bytes` may be in one of them: a short text that begins with a rare character, and always the same Buffer. */
  has(bytes: Buffer): boolean
}

/** What turns messages of a channel into frames: a door, or what watches on its behalf. */
export interface Source {
  /**
   * The frame that every member of the topic gets for this message; undefined: none. Bytes that are not UTF-8 go out as a binary frame.
   * It is asked once a message, however many sockets there are.
   */
  render(topic: Topic, message: Buffer, channel: string, batch: Batch): Buffer | undefined
  /** Every channel of the topic is confirmed; called for each connection that joins. */
  confirmed?(topic: Topic): void
  /** The last member has left; the topic is not used again. */
  released?(topic: Topic): void
  /** Redis does not let us listen to this topic. Missing: the sockets that do so are closed. */
  refused?(topic: Topic): void
}

/** A topic and who listens. */
export interface Topic {
  readonly channels: readonly string[]
  readonly source: Source
  readonly members: Connection[]
}

/**
 * Which connections listen to which topics. The first in subscribes, the last out leaves; membership is by connection,
 * so that a socket which goes late cannot take away what a newer one on the same topic needs.
 */
export class Bindings {
  readonly #feed: Feed
  readonly #topics = new Map<string, Topic>()

  constructor(feed: Feed) {
    this.#feed = feed
  }

  /** The topics of one source, each once. */
  *of(source: Source): Iterable<Topic> {
    for (const [channel, topic] of this.#topics)
      if (topic.source === source && topic.channels[0] === channel) yield topic
  }

  /** The topic that listens to `channel`, if any socket does. */
  find(channel: string): Topic | undefined {
    return this.#topics.get(channel)
  }

  /**
   * Makes `connection` a member of the topic made of `channels`. It is one from the start, since a message may come together with the confirmation.
   * Resolves when every channel is confirmed.
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
    // Whoever gave up meanwhile may have been the last.
    if (connection.topics.includes(topic)) source.confirmed?.(topic)
  }

  /**
   * Like `join`, for a socket that is open: when Redis is away, or lost meanwhile, it stays a member, and the feed subscribes the channels when Redis
   * is back. Resolves at once in that case.
   * @throws Redis' own error when it refuses a channel; the connection has then left again.
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
   * Gives the messages of a channel to `source` until `unkeep`, without any socket. May be called again for the same
   * source: it then waits for the confirmation that is due. While Redis is away the channel stays wanted.
   * @throws RedisUnavailable when Redis is away or lost before it confirms; Redis' own error when it refuses.
   */
  async keep(source: Source, channel: string): Promise<void> {
    if (!this.#topics.has(channel)) this.#topics.set(channel, { channels: [channel], source, members: [] })
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
      topic = { channels, source, members: [connection] }
      for (const channel of channels) this.#topics.set(channel, topic)
    }
    // The first push into an empty list makes room for 17, and there are as many of these as sockets.
    if (connection.topics.length === 0) connection.topics = [topic]
    else connection.topics.push(topic)
    return topic
  }

  /** Ends one membership; a second call does nothing. */
  leave(connection: Connection, topic: Topic): void {
    if (!remove(connection.topics, topic)) return
    remove(topic.members, connection)
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

/** Order among members means nothing, so the last one takes the free place. */
function remove<T>(from: T[], item: T): boolean {
  const index = from.indexOf(item)
  if (index < 0) return false
  const last = from.pop()!
  if (index < from.length) from[index] = last
  return true
}
