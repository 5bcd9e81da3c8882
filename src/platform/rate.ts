/**
 * The generic cell rate algorithm (ITU-T I.371). It admits the same events as a bucket of `burst`
 * tokens that gains one every `intervalMs`, and needs one number: the time at which the bucket is
 * full again.
 * @returns that time after `events` more at `now`, or undefined when the event is over the limit.
 */
export function admit(fullAt: number, now: number, intervalMs: number, burst: number, events = 1): number | undefined {
  const next = Math.max(fullAt, now) + intervalMs * events
  // The tolerance covers rounding: the sum of many intervals differs slightly from their product.
  return next - now > (burst + 1e-3) * intervalMs ? undefined : next
}

/** One event in `intervalMs` on average (0: no limit), `burst` at once. */
export interface Rate {
  readonly intervalMs: number
  readonly burst: number
}

/** A rate from events a second. 0 a second is no limit, and then `intervalMs` is 0. */
export const rateOf = (perSecond: number, burst: number): Rate => ({
  intervalMs: perSecond === 0 ? 0 : 1000 / perSecond,
  burst,
})

/** The most keys of a `KeyedRate`; beyond, the key that came first is forgotten. */
const MAX_KEYS = 50_000

/** The same rate for each key, in bounded memory. Times are ms of one clock. */
export class KeyedRate {
  readonly #rate: Rate
  readonly #maxKeys: number
  readonly #fullAt = new Map<string, number>()

  constructor(rate: Rate, maxKeys = MAX_KEYS) {
    this.#rate = rate
    this.#maxKeys = maxKeys
  }

  /** Whether one more event of this key is within the rate. Counts nothing. */
  allows(key: string, now: number): boolean {
    return this.#rate.intervalMs === 0 || this.#next(key, now) !== undefined
  }

  /** Counts an event. Returns false, and counts nothing, when it is over the rate. */
  take(key: string, now: number): boolean {
    if (this.#rate.intervalMs === 0) return true
    const next = this.#next(key, now)
    if (next === undefined) return false
    this.#fullAt.set(key, next)
    if (this.#fullAt.size > this.#maxKeys) this.#fullAt.delete(this.#fullAt.keys().next().value!)
    return true
  }

  /** Forgets the keys whose bucket is full again. */
  sweep(now: number): void {
    for (const [key, fullAt] of this.#fullAt) if (fullAt <= now) this.#fullAt.delete(key)
  }

  get size(): number {
    return this.#fullAt.size
  }

  #next(key: string, now: number): number | undefined {
    return admit(this.#fullAt.get(key) ?? 0, now, this.#rate.intervalMs, this.#rate.burst)
  }
}

/** So many seconds of a byte rate may come at once. */
const BYTE_BURST_S = 2

/**
 * A rate of bytes for `admit`, which takes each byte for an event. The burst has room for
 * `largestBytes`, the largest frame that is allowed.
 */
export const byteRateOf = (bytesPerSecond: number, largestBytes: number): Rate =>
  rateOf(bytesPerSecond, Math.max(bytesPerSecond * BYTE_BURST_S, largestBytes))
