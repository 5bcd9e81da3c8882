import { Counter, type Registry } from './prometheus.ts'

const PREFIX = 'wsproxy_'

/**
 * Registers a counter without labels that asks `read` for its value at each scrape: what rises with
 * every message is a plain number.
 */
export function scrapedCounter(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name: PREFIX + name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}
