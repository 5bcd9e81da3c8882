/** Counts since the start of the process. */
export interface Totals {
  readonly accepted: number
  readonly refused: number
  readonly sent: number
  readonly dropped: number
}

const SAMPLE_MS = 10_000
const SAMPLES = 30
/** Without a sample for this time, the sampling has stopped. */
const SAMPLE_LATE_MS = 2 * SAMPLE_MS
/** The halves of the window may differ by this much and still count as stable. */
const STEADY = 0.01

/** The success rate of upgrades and deliveries over the last five minutes. */
export class Coordination {
  readonly #read: () => Promise<Totals>
  readonly #samples: Totals[] = []
  readonly #timer: NodeJS.Timeout
  #sampledAt = performance.now()

  constructor(read: () => Promise<Totals>) {
    this.#read = read
    this.#timer = setInterval(() => void this.sample(), SAMPLE_MS).unref()
    void this.sample()
  }

  /** Takes a sample, and drops the oldest one when the window is full. */
  async sample(): Promise<void> {
    this.#samples.push(await this.#read())
    this.#sampledAt = performance.now()
    if (this.#samples.length > SAMPLES + 1) this.#samples.shift()
  }

  /** Whether the sampling runs, measured by the time of the last sample. */
  get sampling(): boolean {
    return performance.now() - this.#sampledAt < SAMPLE_LATE_MS
  }

  /**
   * Returns the data of `coordination_metrics`. Without any upgrade or delivery `success_rate` is
   * 1.
   */
  async metrics() {
    const now = await this.#read()
    const first = this.#samples[0] ?? now
    const middle = this.#samples[this.#samples.length >> 1] ?? now
    const all = between(first, now)
    return {
      success_rate: rate(all),
      trend: trendOf(rate(between(first, middle)), rate(between(middle, now))),
      window_seconds: (SAMPLES * SAMPLE_MS) / 1000,
      upgrades: { accepted: all.accepted, refused: all.refused },
      deliveries: { sent: all.sent, dropped: all.dropped },
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

const between = (from: Totals, to: Totals): Totals => ({
  accepted: to.accepted - from.accepted,
  refused: to.refused - from.refused,
  sent: to.sent - from.sent,
  dropped: to.dropped - from.dropped,
})

function rate({ accepted, refused, sent, dropped }: Totals): number {
  const tried = accepted + refused + sent + dropped
  return tried === 0 ? 1 : Math.round(((accepted + sent) / tried) * 10_000) / 10_000
}

function trendOf(before: number, after: number): 'improving' | 'stable' | 'declining' {
  if (Math.abs(after - before) < STEADY) return 'stable'
  return after > before ? 'improving' : 'declining'
}
