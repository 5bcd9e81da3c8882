import { randomBytes } from 'node:crypto'
import { privateSession, sessionDown } from '../contract/topics.ts'
import type { CheckedRedis } from './check.ts'

/** What is used of the gateway's own connections to Redis. The only place to change when those change. */
export interface RedisAccess {
  /** @throws RedisUnavailable when there is no connection. */
  command(args: readonly string[]): Promise<unknown>
  readonly feed: { subscribe(channel: string): Promise<void>; unsubscribe(channel: string): void }
}

/** The way of checks to Redis, over the connections of the gateway: what works for a check works for a socket. */
export class PreflightRedis implements CheckedRedis {
  readonly address: string
  readonly #access: RedisAccess
  readonly #awaited = new Map<string, () => void>()

  /** @param url of Redis; its credentials are kept from messages. */
  constructor(access: RedisAccess, url: string) {
    this.#access = access
    const { protocol, hostname, port, pathname } = new URL(url)
    this.address = `${protocol}//${hostname}:${port || 6379}${pathname === '/' ? '' : pathname}`
  }

  /** Whether a message was for a check; asked for every message that arrives. */
  heard(channel: string): boolean {
    if (this.#awaited.size === 0) return false
    const back = this.#awaited.get(channel)
    back?.()
    return back !== undefined
  }

  command(args: readonly string[], signal: AbortSignal): Promise<unknown> {
    return before(signal, this.#access.command(args))
  }

  async everyNode(args: readonly string[], signal: AbortSignal): Promise<readonly unknown[]> {
    return [await this.command(args, signal)]
  }

  async echo(signal: AbortSignal): Promise<void> {
    const channel = sessionDown(privateSession(randomBytes(16).toString('hex')))
    const { feed } = this.#access
    try {
      const back = new Promise<void>((resolve) => this.#awaited.set(channel, resolve))
      await before(signal, feed.subscribe(channel))
      const receivers = Number(await this.command(['PUBLISH', channel, ''], signal))
      if (receivers === 0) throw new Error('Redis has confirmed a subscription, and then knew nobody for its channel')
      await before(signal, back)
    } finally {
      this.#awaited.delete(channel)
      feed.unsubscribe(channel)
    }
  }
}

/** Redis takes no command back; nobody waits for it any more. */
function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
