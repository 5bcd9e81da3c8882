import { sessionControl, sessionFlow } from '../contract/topics.ts'
import type { Metrics } from '../metrics.ts'
import type { At } from './topology.ts'

/** Keeps and tells how clients of a session keep up. It is a hint: what fails is counted and not tried again. */
export class RedisFlow {
  readonly #at: At
  readonly #publish: 'PUBLISH' | 'SPUBLISH'
  readonly #metrics: Metrics
  readonly #under = new Set<Promise<unknown>>()

  constructor(at: At, sharded: boolean, metrics: Metrics) {
    this.#at = at
    this.#publish = sharded ? 'SPUBLISH' : 'PUBLISH'
    this.#metrics = metrics
  }

  keep(sessionId: string, state: string, ttlMs: number): void {
    this.#do(sessionFlow(sessionId), ['SET', sessionFlow(sessionId), state, 'PX', String(ttlMs)])
  }

  forget(sessionId: string): void {
    this.#do(sessionFlow(sessionId), ['DEL', sessionFlow(sessionId)])
  }

  tell(sessionId: string, state: string): void {
    this.#do(sessionControl(sessionId), [this.#publish, sessionControl(sessionId), state])
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#under)
  }

  #do(name: string, args: string[]): void {
    const done = this.#at(name, (client) => client.sendCommand(args))
      .catch(() => this.#metrics.errors.inc({ type: 'redis' }))
      .finally(() => this.#under.delete(done))
    this.#under.add(done)
  }
}
