import { RedisConnection, type Target } from '../wire/connection.ts'
import type { OnMessage } from '../wire/resp.ts'
import type { PushWaiter } from '../wire/waiter.ts'
import type { Group } from './groups.ts'

export interface SubscriberOptions {
  /** Plain arrays that look like pushes are pushes (see `Pushes`). */
  readonly arrays?: boolean
  /** Called for each message, in the order in which Redis sent it. */
  readonly message: OnMessage
  /** Redis has ended a sharded subscription by itself, because its slot went to another server. */
  readonly moved: (channel: string) => void
}

const VERBS = {
  plain: ['SUBSCRIBE', 'UNSUBSCRIBE'],
  sharded: ['SSUBSCRIBE', 'SUNSUBSCRIBE'],
  pattern: ['PSUBSCRIBE', 'PUNSUBSCRIBE'],
} as const

/** The connection that receives messages. */
export class SubscriberConnection extends RedisConnection {
  constructor(target: Target, name: string, { arrays = false, message, moved }: SubscriberOptions) {
    super(target, name, {
      arrays,
      message,
      other: (kind, channel) => kind === 'sunsubscribe' && moved(channel),
    })
  }

  /** Subscribes; resolves when Redis has confirmed every channel. @throws as `sendCommand`. */
  subscribe({ kind, channels }: Group): Promise<void> {
    return this.#send(VERBS[kind][0], channels)
  }

  /** Unsubscribes; resolves when Redis has confirmed every channel. @throws as `sendCommand`. */
  unsubscribe({ kind, channels }: Group): Promise<void> {
    return this.#send(VERBS[kind][1], channels)
  }

  #send(verb: string, channels: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.submit([verb, ...channels], new Confirmations(verb.toLowerCase(), channels, resolve, reject))
      // The feed has already collected the channels of its turn.
      this.flushSoon()
    })
  }
}

/** Waits for the confirmations of one command: a push for each of its channels. */
class Confirmations implements PushWaiter {
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

  /**
   * Confirmations come in the order of the channels. Redis may end another sharded subscription in
   * between: that push has the same kind and is not ours.
   */
  pushed(kind: string, channel: string): boolean | undefined {
    if (kind !== this.#kind || channel !== this.#channels[this.#confirmed]) return undefined
    if (++this.#confirmed < this.#channels.length) return false
    this.#done()
    return true
  }
}
