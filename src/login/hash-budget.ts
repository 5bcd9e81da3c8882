import { cpusOfProcess } from '../platform/cpus.ts'

/** Hashes that take this time in total may run without a pause. */
const BURST_MS = 300

/**
 * Returns the part of one processor that the hashes of each of `workers` processes may take: all
 * together a twentieth of the processors, at least a tenth of one and at most one (bench/NOTES.md).
 */
export const hashShare = (workers = 1, cpus = cpusOfProcess()): number =>
  Math.min(1, Math.max(0.1, cpus / 20)) / workers

/**
 * The time of processors that hashes of passwords may take: a burst, then a share. A flood of
 * logins would keep a core busy with them, or use up the CPU limit of a container.
 */
export class HashBudget {
  readonly share: number
  readonly #now: () => number
  #creditMs = BURST_MS
  #at: number
  /** The shortest hash of known cost: others have waited for a processor as well. */
  #costMs = Number.POSITIVE_INFINITY

  /** @param share as `hashShare` returns it. @param now ms of a monotonic clock. */
  constructor(share: number, now = () => performance.now()) {
    this.#now = now
    this.share = share
    this.#at = now()
  }

  /** Returns when the next hash may begin, in ms from now. */
  waitMs(): number {
    return Math.max(0, -this.#credit() / this.share)
  }

  /**
   * A hash has taken this long.
   * @param isUsual whether its parameters are those of today for certain. A stored text may be a
   * hash with cheaper ones, or no hash at all, and says nothing about the cost of others.
   */
  took(ms: number, isUsual: boolean): void {
    if (isUsual) this.#costMs = Math.min(this.#costMs, ms)
    this.#creditMs = this.#credit() - Math.min(this.#costMs, ms)
  }

  #credit(): number {
    const now = this.#now()
    this.#creditMs = Math.min(BURST_MS, this.#creditMs + (now - this.#at) * this.share)
    this.#at = now
    return this.#creditMs
  }
}
