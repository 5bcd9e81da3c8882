/** A line with the same key is written once in this time. */
const PERIOD_MS = 60_000
/** Keys that are counted apart. Lines of all further keys count as one key. */
const MAX_KEYS = 1000

interface Line {
  nextAt: number
  skipped: number
}

/** Chooses which of many equal log lines to write: one a minute for each key, with a count. */
export class LineSampler {
  readonly #lines = new Map<string, Line>()

  /**
   * Returns undefined when the line is to be skipped, else how many lines of this key were skipped
   * since the last one that was written.
   */
  take(key: string, now = performance.now()): number | undefined {
    const line = this.#lineOf(key, now)
    if (now < line.nextAt) {
      line.skipped++
      return undefined
    }
    const { skipped } = line
    line.nextAt = now + PERIOD_MS
    line.skipped = 0
    return skipped
  }

  #lineOf(key: string, now: number): Line {
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    if (this.#lines.size >= MAX_KEYS) this.#forget(now)
    if (this.#lines.size >= MAX_KEYS && key !== '') return this.#lineOf('', now)
    const line = { nextAt: Number.NEGATIVE_INFINITY, skipped: 0 }
    this.#lines.set(key, line)
    return line
  }

  /** Forgets the keys whose next line is written anyway and that skipped none. */
  #forget(now: number): void {
    for (const [key, { nextAt, skipped }] of this.#lines) if (nextAt <= now && skipped === 0) this.#lines.delete(key)
  }
}
