import { DeadlinePassed } from '../platform/deadline.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Metric, Registry } from './prometheus.ts'

/** A scrape waits this long for the metrics that ask other parts for their values, in ms. */
const COLLECT_MS = 2000

/**
 * The page of all metrics of a registry. A metric that cannot be collected is left out and
 * reported, once until it works again; prom-client would fail the whole scrape for it.
 */
export class Scrape {
  readonly #registry: Registry
  readonly #failing = new Set<string>()

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** @param failed is called with the name of a metric and the reason when it begins to fail. */
  async page(failed: (metric: string, reason: string) => void): Promise<string> {
    // One deadline for all: a metric that hangs costs the scrape 2 s, however many there are.
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new DeadlinePassed(`no value within ${COLLECT_MS} ms`)), COLLECT_MS)
    })
    late.catch(() => {})
    const metrics = this.#registry.getMetricsAsArray() as unknown as (Metric & { name: string })[]
    const texts = await Promise.all(
      metrics.map(async (metric) => {
        try {
          const text = await Promise.race([this.#registry.getSingleMetricAsString(metric.name), late])
          this.#failing.delete(metric.name)
          return text
        } catch (error) {
          if (!this.#failing.has(metric.name)) failed(metric.name, reasonOf(error))
          this.#failing.add(metric.name)
          return undefined
        }
      }),
    )
    clearTimeout(timer)
    return `${texts.filter((text) => text !== undefined).join('\n\n')}\n`
  }
}
