import { randomBytes } from 'node:crypto'
import { privateSession, sessionDown } from '../../contract/names.ts'
import type { CheckedRedis } from '../check.ts'
import { pairsOf } from './reply.ts'

/** What is used of the gateway's own connections to Redis. This file is the only one to change when those change. */
export interface RedisAccess {
  /** Where `key` is. @throws RedisUnavailable when there is no connection. */
  command(key: string, args: readonly string[]): Promise<unknown>
  everyNode(args: readonly string[]): Promise<readonly unknown[]>
  readonly feed: { subscribe(channel: string): Promise<void>; unsubscribe(channel: string): void }
}

export interface RedisPlace {
  readonly sentinels: readonly string[]
  readonly clusterNodes: readonly string[]
  /** Session channels are. */
  readonly shardedPubSub: boolean
}

/** The way of checks to Redis, over the connections of the gateway: what works for a check works for a socket. */
export class PreflightRedis implements CheckedRedis {
  readonly address: string
  readonly #access: RedisAccess
  readonly #sharded: boolean
  readonly #awaited = new Map<string, () => void>()

  constructor(access: RedisAccess, place: RedisPlace, url: string) {
    this.#access = access
    this.#sharded = place.shardedPubSub
    this.address = addressOf(place, url)
  }

  /** Whether a message was for a check; asked for every message that arrives. */
  heard(channel: string): boolean {
    if (this.#awaited.size === 0) return false
    const back = this.#awaited.get(channel)
    back?.()
    return back !== undefined
  }

  command(args: readonly string[], signal: AbortSignal): Promise<unknown> {
    return before(signal, this.#access.command(keyOf(args), args))
  }

  everyNode(args: readonly string[], signal: AbortSignal): Promise<readonly unknown[]> {
    return before(signal, this.#access.everyNode(args))
  }

  async subscribers(channel: string, signal: AbortSignal): Promise<number> {
    const verb = this.#sharded ? 'SHARDNUMSUB' : 'NUMSUB'
    const answers = await this.everyNode(['PUBSUB', verb, channel], signal)
    return answers.reduce<number>((sum, answer) => sum + Number(pairsOf(answer)[0]?.[1] ?? 0), 0)
  }

  async echo(signal: AbortSignal): Promise<void> {
    const channel = sessionDown(privateSession(randomBytes(16).toString('hex')))
    const { feed } = this.#access
    try {
      const back = new Promise<void>((resolve) => this.#awaited.set(channel, resolve))
      await before(signal, feed.subscribe(channel))
      const receivers = Number(await this.command([this.#sharded ? 'SPUBLISH' : 'PUBLISH', channel, ''], signal))
      if (receivers === 0) throw new Error('Redis has confirmed a subscription, and then knew nobody for its channel')
      await before(signal, back)
    } finally {
      this.#awaited.delete(channel)
      feed.unsubscribe(channel)
    }
  }
}

/** For messages: without credentials. */
function addressOf({ sentinels, clusterNodes }: RedisPlace, url: string): string {
  if (clusterNodes.length > 0) return `cluster ${clusterNodes.join(', ')}`
  if (sentinels.length > 0) return `the master of Sentinels ${sentinels.join(', ')}`
  const { protocol, hostname, port, pathname } = new URL(url)
  return `${protocol}//${hostname}:${port || 6379}${pathname === '/' ? '' : pathname}`
}

const KEYLESS = new Set(['PING', 'TIME', 'PUBSUB'])

/** The key or channel of a command, which decides on its server. */
function keyOf([verb = '', first = '', , third = '']: readonly string[]): string {
  if (verb === 'EVAL' || verb === 'EVALSHA') return third
  return KEYLESS.has(verb) ? '' : first
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
