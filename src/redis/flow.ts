import { sessionControl, sessionFlow } from '../contract/names.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { RunAtKey } from './servers/topology.ts'

/** Writes ARGV[2] only if the key holds ARGV[1] or is gone, atomically. Returns 0: it was gone. */
const RENEW = `local now = redis.call('GET', KEYS[1])
if now and now ~= ARGV[1] then return 1 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return now and 1 or 0`
/** Deletes the key only if it holds ARGV[1], atomically. */
const FORGET = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/**
 * Stores and publishes whether the clients of a session are slow. Every method counts its errors
 * and rethrows them.
 */
export class RedisFlow {
  readonly #at: RunAtKey
  readonly #publish: 'PUBLISH' | 'SPUBLISH'
  readonly #metrics: Metrics

  constructor(at: RunAtKey, sharded: boolean, metrics: Metrics) {
    this.#at = at
    this.#publish = sharded ? 'SPUBLISH' : 'PUBLISH'
    this.#metrics = metrics
  }

  async keep(sessionId: string, state: string, ttlMs: number): Promise<void> {
    const key = sessionFlow(sessionId)
    await this.#do(key, ['SET', key, state, 'PX', String(ttlMs)])
  }

  async renew(sessionId: string, before: string, state: string, ttlMs: number): Promise<boolean> {
    const key = sessionFlow(sessionId)
    return (await this.#do(key, ['EVAL', RENEW, '1', key, before, state, String(ttlMs)])) === 1
  }

  async forget(sessionId: string, state: string): Promise<boolean> {
    const key = sessionFlow(sessionId)
    return (await this.#do(key, ['EVAL', FORGET, '1', key, state])) === 1
  }

  async publish(sessionId: string, state: string): Promise<void> {
    const channel = sessionControl(sessionId)
    await this.#do(channel, [this.#publish, channel, state])
  }

  async #do(name: string, args: string[]): Promise<unknown> {
    try {
      return await this.#at(name, (client) => client.sendCommand(args))
    } catch (error) {
      this.#metrics.error('redis')
      throw error
    }
  }
}
