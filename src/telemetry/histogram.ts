/**
 * A histogram with fixed buckets and no labels. An observation costs a loop over the bounds and no
 * allocation. prom-client's histogram hashes labels at every call, which at a million calls a
 * second costs more than the message itself. `get` returns the shape that prom-client prints.
 */
export class FixedHistogram {
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly name: string
  readonly help: string
  readonly #bounds: readonly number[]
  readonly #collect: ((histogram: FixedHistogram) => void) | undefined
  readonly #counts: number[]
  #sum = 0

  /** `collect` is called at each scrape, before the values are read. */
  constructor(name: string, help: string, bounds: readonly number[], collect?: (histogram: FixedHistogram) => void) {
    this.name = name
    this.help = help
    this.#bounds = bounds
    this.#collect = collect
    this.#counts = new Array(bounds.length + 1).fill(0)
  }

  /** Counts `value` `times` times. */
  observe(value: number, times: number): void {
    let i = 0
    while (i < this.#bounds.length && value > this.#bounds[i]!) i++
    this.#counts[i]! += times
    this.#sum += value * times
  }

  async get() {
    const { name, help, type, aggregator } = this
    this.#collect?.(this)
    let below = 0
    const values = [...this.#bounds, '+Inf'].map((le, i) => {
      below += this.#counts[i]!
      return { metricName: `${name}_bucket`, labels: { le }, value: below }
    })
    const totals = [
      { metricName: `${name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${name}_count`, labels: {}, value: below },
    ]
    return { name, help, type, aggregator, values: [...values, ...totals] }
  }

  reset(): void {
    this.#counts.fill(0)
    this.#sum = 0
  }
}
