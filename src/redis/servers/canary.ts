import { randomBytes } from 'node:crypto'
import { redisCanary } from '../../contract/names.ts'
import { isReply } from '../wire/errors.ts'

export interface CanaryOptions {
  /** How often one is published; 0: never. */
  readonly intervalMs: number
  /** How long one may take before the connection is thought deaf. */
  readonly timeoutMs: number
  readonly publish: (payload: string) => Promise<unknown>
  /** One came back after so long. */
  readonly cameBack: (seconds: number) => void
  readonly deaf: () => void
  /** Grows with what arrives: while it does, the canary is only behind it. */
  readonly progress: () => number
  /** Redis does not let us publish one; there is none any more. */
  readonly refused: (error: Error) => void
}

/**
 * A message published over the command connection that must come back over the subscriber connection. A connection may answer every PING and
 * still deliver nothing, after a fail-over for instance; only a message shows that messages arrive.
 */
export class Canary {
  /** A channel that nobody else has. */
  readonly channel = redisCanary(randomBytes(8).toString('hex'))
  readonly #options: CanaryOptions
  #timer: NodeJS.Timeout | undefined
  #flight = 0
  #sentAt = 0
  #sentDate = 0
  #back = true
  /** All messages before this moment (ms since the epoch) have arrived: when the last one that came back left. 0: there was none yet. */
  aliveAt = 0
  /** Ticks that one has been away. Ticks are counted, not time: this process may itself have been blocked. */
  #missed = 0
  #arrived = 0

  constructor(options: CanaryOptions) {
    this.#options = options
  }

  /** One is on its way: messages before it are, too. */
  get pending(): boolean {
    return !this.#back
  }

  /** Begins with a connection on which everything since `aliveAt` arrives. */
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

  heard(payload: string): void {
    if (payload !== String(this.#flight) || this.#back) return
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
    this.#flight++
    this.#sentAt = performance.now()
    this.#sentDate = Date.now()
    this.#back = false
    // Not published, not missed: that the command connection is gone is noticed elsewhere.
    Promise.resolve()
      .then(() => publish(String(this.#flight)))
      .catch((error) => {
        this.#back = true
        if (!isReply(error)) return
        this.stop()
        // No canary says any more what has arrived: the pings have to.
        this.aliveAt = 0
        this.#options.refused(error)
      })
  }
}
