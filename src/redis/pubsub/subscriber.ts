import { type Confirmed, RedisConnection, type Target } from '../wire/connection.ts'
import type { OnMessage, Reply } from '../wire/resp.ts'
import type { Group } from './groups.ts'

export interface SubscriberOptions {
  /** Each message, in the order of Redis. */
  readonly message: OnMessage
  /** Redis has ended a sharded subscription by itself: its slot went to another server. */
  readonly moved: (channel: string) => void
}

const VERBS = {
  plain: ['SUBSCRIBE', 'UNSUBSCRIBE'],
  sharded: ['SSUBSCRIBE', 'SUNSUBSCRIBE'],
  pattern: ['PSUBSCRIBE', 'PUNSUBSCRIBE'],
} as const

/** The connection on which messages come. */
export class SubscriberConnection extends RedisConnection {
  constructor(target: Target, name: string, { message, moved }: SubscriberOptions) {
    super(target, name, { message, other: (kind, [channel]) => kind === 'sunsubscribe' && moved(String(channel)) })
  }

  /** Resolves when Redis has confirmed every channel of the group. @throws as `sendCommand`. */
  subscribe({ kind, channels }: Group): Promise<void> {
    return this.#confirmed(VERBS[kind][0], channels)
  }

  /** The opposite. */
  unsubscribe({ kind, channels }: Group): Promise<void> {
    return this.#confirmed(VERBS[kind][1], channels)
  }

  #confirmed(verb: string, channels: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.submit([verb, ...channels], new Confirmations(verb.toLowerCase(), channels, resolve, reject))
      // The feed has collected what came in its turn.
      this.flushSoon()
    })
  }
}

/** Of one command: a push for each of its channels. */
class Confirmations implements Confirmed {
  readonly #kind: string
  readonly #channels: readonly string[]
  readonly #done: () => void
  readonly failed: (error: Error) => void
  #confirmed = 0

  constructor(kind: string, channels: readonly string[], done: () => void, failed: (error: Error) => void) {
    this.#kind = kind
    this.#channels = channels
    this.#done = done
    this.failed = failed
  }

  /** They come in the order of the channels: while its own are confirmed, Redis may end another of the same kind. */
  pushed(kind: string, [channel]: readonly Reply[]): boolean | undefined {
    if (kind !== this.#kind || String(channel) !== this.#channels[this.#confirmed]) return undefined
    if (++this.#confirmed < this.#channels.length) return false
    this.#done()
    return true
  }
}
