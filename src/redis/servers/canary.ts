import { randomBytes } from 'node:crypto'
import { redisCanary } from '../../contract/names.ts'
import { isReply, isTemporary } from '../wire/errors.ts'

export interface CanaryOptions {
  /** Time between canaries; 0: none. */
  readonly intervalMs: number
  /** A canary that is later than this makes the connection count as deaf. */
  readonly timeoutMs: number
  readonly publish: (payload: string) => Promise<unknown>
  /** A canary came back. */
  readonly cameBack: (seconds: number) => void
  /** The subscriber connection delivers nothing. */
  readonly deaf: () => void
  /**
   * A counter of received bytes. While it grows, the canary is only queued behind other messages.
   */
  readonly progress: () => number
  /** Redis refused to publish the canary. No further canary is sent until `start`. */
  readonly refused: (error: Error) => void
}

/**
 * Publishes a message over the command connection that must come back over the subscriber
 * connection. A connection can answer every PING and still deliver nothing, for instance after a
 * fail-over. Only a message proves delivery.
 */
export class Canary {
  /** Unique to this canary. */
  readonly channel = redisCanary(randomBytes(8).toString('hex'))
  readonly #options: CanaryOptions
  #timer: NodeJS.Timeout | undefined
  #number = 0
  /** On the monotonic clock. */
  #sentAt = 0
  /** Ms since the epoch. */
  #sentDate = 0
  #back = true
  /**
   * All messages before this moment (ms since the epoch) have arrived: the last canary that came
   * back was sent then. 0: none has come back yet.
   */
  aliveAt = 0
  /**
   * Ticks since the canary was sent. Counts ticks, not time: this process may have been blocked.
   */
  #missed = 0
  #arrived = 0

  constructor(options: CanaryOptions) {
    this.#options = options
  }

  /** A canary is on its way, and so may be messages sent before it. */
  get pending(): boolean {
    return !this.#back
  }

  /**
   * Starts on a connection on which every message since `aliveAt` arrives. 0: a canary that comes
   * back proves it first.
   */
  start(aliveAt: number): void {
    this.stop()
    this.aliveAt = aliveAt
    this.#back = true
    this.#missed = 0
    if (this.#options.intervalMs > 0) this.#timer = setInterval(() => this.#tick(), this.#options.intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Stops where Redis forbids the channel. Then only the pings show what has arrived. */
  abandon(): void {
    this.stop()
    this.aliveAt = 0
  }

  received(payload: string): void {
    if (payload !== String(this.#number) || this.#back) return
    this.#back = true
    this.#missed = 0
    this.aliveAt = this.#sentDate
    this.#options.cameBack((performance.now() - this.#sentAt) / 1000)
  }

  #tick(): void {
    const { intervalMs, timeoutMs, publish, deaf } = this.#options
    const arrived = this.#options.progress()
    if (arrived !== this.#arrived) this.#missed = 0
    this.#arrived = arrived
    if (!this.#back) {
      if (++this.#missed * intervalMs < timeoutMs) return
      this.stop()
      return deaf()
    }
    this.#number++
    this.#sentAt = performance.now()
    this.#sentDate = Date.now()
    this.#back = false
    // A canary that could not be published is not counted as lost; the link detects a dead command
    // connection.
    Promise.resolve()
      .then(() => publish(String(this.#number)))
      .catch((error) => {
        this.#back = true
        // A server that is busy forbids nothing.
        if (!isReply(error) || isTemporary(error)) return
        this.abandon()
        this.#options.refused(error)
      })
  }
}
