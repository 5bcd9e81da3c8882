/** Networks that are remembered: 2 MB. */
const MAX_NETWORKS = 10_000

/**
 * Networks that are over their limit of logins, and until when. Redis has counted them; their
 * further logins are refused without asking it.
 */
export class OverLimit {
  /** In the order in which they were added last. */
  readonly #until = new Map<string, number>()
  readonly #now: () => number

  /** @param now ms of a monotonic clock. */
  constructor(now = () => performance.now()) {
    this.#now = now
  }

  add(network: string, waitMs: number): void {
    // Logins that run at once add their network several times.
    this.#until.delete(network)
    if (this.#until.size >= MAX_NETWORKS) this.#until.delete(this.#until.keys().next().value!)
    this.#until.set(network, this.#now() + waitMs)
  }

  /** How long a network has to wait, in ms. 0: it is not known to be over the limit. */
  waitMs(network: string): number {
    const until = this.#until.get(network)
    if (until === undefined) return 0
    const leftMs = until - this.#now()
    if (leftMs <= 0) this.#until.delete(network)
    return Math.max(0, leftMs)
  }
}
