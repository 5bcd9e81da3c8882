import { randomBytes } from 'node:crypto'
import { redisAddressOf, redisUrlOf } from '../../config/redis-address.ts'
import type { Config } from '../../config/table.ts'
import { privateSession, sessionDown } from '../../contract/names.ts'
import type { CheckedRedis, RedisUses } from '../check.ts'
import { pairsOf } from './reply.ts'

/** The gateway's own connections to Redis, as the checks use them. */
export interface RedisAccess {
  /**
   * Sends a command to the server of `key`. @throws RedisUnavailable, or an error reply of Redis.
   */
  command(key: string, args: readonly string[]): Promise<unknown>
  /** Returns those of the channels that the Redis user may not subscribe. @throws as `command`. */
  forbidden(channels: readonly string[]): Promise<string[]>
  /**
   * Returns for each server the flags of notify-keyspace-events that the probe missed; undefined
   * where none has found out.
   */
  keyspaceMissing(): Promise<readonly (string | undefined)[]>
  /** Sends a command to every server that stores data. @throws as `command`. */
  everyNode(args: readonly string[]): Promise<readonly unknown[]>
  /**
   * Calls `heard` for each message on `channel` until `unlisten`. Resolves when Redis has confirmed
   * the subscription. @throws as `command`; the caller calls `unlisten` in that case, too.
   */
  listen(channel: string, heard: () => void): Promise<void>
  unlisten(channel: string): void
}

/** The settings that say where Redis is and what the gateway does there. */
export type RedisSettings = Pick<
  Config,
  | 'redisSentinels'
  | 'redisClusterNodes'
  | 'redisShardedPubsub'
  | 'redisCanaryIntervalMs'
  | 'sessionFlowSignal'
  | 'runAuth'
  | 'runKeyPrefix'
  | 'resumeTicketTtlMs'
  | 'httpStreams'
  | 'sessionUpstream'
  | 'streamAppend'
  | 'outboxTopics'
>

/** Gives checks the gateway's own Redis connections: what works for a check works for a socket. */
export class PreflightRedis implements CheckedRedis {
  readonly address: string
  readonly uses: RedisUses
  readonly #access: RedisAccess

  constructor(access: RedisAccess, settings: RedisSettings, url: string) {
    this.#access = access
    this.address = addressOf(settings, url)
    this.uses = {
      shardedPubSub: settings.redisShardedPubsub,
      sentinels: settings.redisSentinels.length > 0,
      canary: settings.redisCanaryIntervalMs > 0,
      flowSignal: settings.sessionFlowSignal,
      database: redisAddressOf(url).database,
      runKeyPrefix: settings.runKeyPrefix,
      runTokens: settings.runAuth === 'bearer',
      tickets: settings.resumeTicketTtlMs > 0,
      posts: settings.httpStreams && settings.sessionUpstream,
      appends: settings.httpStreams && settings.streamAppend,
      outboxTopics: settings.outboxTopics,
    }
  }

  command(args: readonly string[], signal: AbortSignal): Promise<unknown> {
    return before(signal, this.#access.command(keyOf(args), args))
  }

  everyNode(args: readonly string[], signal: AbortSignal): Promise<readonly unknown[]> {
    return before(signal, this.#access.everyNode(args))
  }

  forbidden(channels: readonly string[], signal: AbortSignal): Promise<string[]> {
    return before(signal, this.#access.forbidden(channels))
  }

  keyspaceMissing(signal: AbortSignal): Promise<readonly (string | undefined)[]> {
    return before(signal, this.#access.keyspaceMissing())
  }

  async subscribers(channel: string, signal: AbortSignal): Promise<number> {
    const verb = this.uses.shardedPubSub ? 'SHARDNUMSUB' : 'NUMSUB'
    const answers = await this.everyNode(['PUBSUB', verb, channel], signal)
    return answers.reduce<number>((sum, answer) => sum + Number(pairsOf(answer)[0]?.[1] ?? 0), 0)
  }

  async echo(signal: AbortSignal): Promise<void> {
    const channel = sessionDown(privateSession(randomBytes(16).toString('hex')))
    const access = this.#access
    let heard!: () => void
    const back = new Promise<void>((resolve) => {
      heard = resolve
    })
    try {
      await before(signal, access.listen(channel, heard))
      const receivers = Number(
        await this.command([this.uses.shardedPubSub ? 'SPUBLISH' : 'PUBLISH', channel, ''], signal),
      )
      if (receivers === 0)
        throw new Error('Redis confirmed the subscription, but delivered the message to no subscriber')
      await before(signal, back)
    } finally {
      access.unlisten(channel)
    }
  }
}

/** The address of Redis without credentials, for people. */
export function addressOf({ redisSentinels, redisClusterNodes }: RedisSettings, url: string): string {
  if (redisClusterNodes.length > 0) return `cluster ${redisClusterNodes.join(', ')}`
  if (redisSentinels.length > 0) return `the master of Sentinels ${redisSentinels.join(', ')}`
  return redisUrlOf({ ...redisAddressOf(url), username: undefined, password: undefined })
}

const KEYLESS = new Set(['PING', 'TIME', 'PUBSUB', 'INFO', 'ROLE'])

/** The key or channel of a command, which decides its server. */
function keyOf([verb = '', first = '', , third = '']: readonly string[]): string {
  if (verb === 'EVAL' || verb === 'EVALSHA') return third
  return KEYLESS.has(verb) ? '' : first
}

/** Rejects when the signal aborts. The command itself cannot be cancelled. */
function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
