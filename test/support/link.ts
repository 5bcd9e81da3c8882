import { redisAddressOf } from '../../src/config/redis-address.ts'
import { Link, type LinkOptions } from '../../src/redis/servers/link.ts'
import type { RunAtKey } from '../../src/redis/servers/topology.ts'
import { RedisConnection } from '../../src/redis/wire/connection.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from './wait.ts'

/** A logger that keeps its lines in memory, parsed. */
export function keptLog() {
  const lines: Record<string, unknown>[] = []
  return { lines, log: createLogger('debug', { write: (line: string) => void lines.push(JSON.parse(line)) }) }
}

/** A link to Redis with its metrics and log. */
export interface TestLink<C extends RedisConnection = RedisConnection> {
  readonly link: Link<C>
  readonly metrics: Metrics
  readonly log: Record<string, unknown>[]
  /** How often the link became ready and was lost. */
  readonly seen: { ready: number; lost: number }
  close(): void
}

/** Sends the command of every key to the server of this link. */
export const atLink =
  (link: Link): RunAtKey =>
  async (_key, command) =>
    command(link.client)

/** Makes a link, by default for commands, and does not wait for it. */
export function newLink<C extends RedisConnection = RedisConnection>(
  url: string,
  options: Partial<LinkOptions<C>> = {},
): TestLink<C> {
  const metrics = options.metrics ?? new Metrics()
  const { log, lines } = keptLog()
  const seen = { ready: 0, lost: 0 }
  const link = new Link<C>({
    name: 'test',
    open: ((target, name) => new RedisConnection(target, name)) as LinkOptions<C>['open'],
    target: async () => redisAddressOf(url),
    metrics,
    log,
    ...options,
    ready: () => {
      seen.ready++
      options.ready?.()
    },
    lost: () => {
      seen.lost++
      options.lost?.()
    },
  })
  const close = () => {
    link.close()
    metrics.stop()
  }
  return { link, metrics, log: lines, seen, close }
}

/** Makes a link and waits until it is ready. */
export async function openLink<C extends RedisConnection = RedisConnection>(
  url: string,
  options: Partial<LinkOptions<C>> = {},
): Promise<TestLink<C>> {
  const made = newLink<C>(url, options)
  await eventually(() => made.link.state === 'ready', 'the link to be ready')
  return made
}

/** The sum of a counter or gauge over all series that have these labels. */
export async function total(metrics: Metrics, name: string, labels: Record<string, string> = {}): Promise<number> {
  const metric = await metrics.registry.getSingleMetric(name)?.get()
  return (metric?.values ?? [])
    .filter((each) => Object.entries(labels).every(([label, value]) => each.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0)
}
