/** Pages of metrics of several processes in one, in the Prometheus text format. */

interface Family {
  readonly help: string
  readonly type: string
  /** By name and labels, as they are written. */
  readonly samples: Map<string, number>
}

type Combine = (one: number, other: number) => number

/** Gauges of which the worst, or the only, value counts. All others add up. */
const LARGEST: ReadonlySet<string> = new Set([
  'wsproxy_event_loop_delay_seconds',
  'wsproxy_redis_keyspace_events_missing',
  'wsproxy_revoked_entries',
  'wsproxy_revoked_limit',
  'wsproxy_revoked_age_seconds',
  'wsproxy_jwks_age_seconds',
  'nodejs_eventloop_lag_seconds',
  'nodejs_eventloop_lag_max_seconds',
  'nodejs_eventloop_lag_mean_seconds',
  'nodejs_eventloop_lag_stddev_seconds',
  'nodejs_eventloop_lag_p50_seconds',
  'nodejs_eventloop_lag_p90_seconds',
  'nodejs_eventloop_lag_p99_seconds',
  'nodejs_version_info',
])
const SMALLEST: ReadonlySet<string> = new Set([
  'wsproxy_redis_up',
  'process_start_time_seconds',
  'nodejs_eventloop_lag_min_seconds',
])
/** A histogram of what is so at this moment: it falls. */
const MOMENTARY: ReadonlySet<string> = new Set(['wsproxy_buffer_utilization_bytes'])

/** Returns how the values of a metric become one. */
export function combineOf(name: string): 'sum' | 'max' | 'min' {
  if (LARGEST.has(name)) return 'max'
  return SMALLEST.has(name) ? 'min' : 'sum'
}

const COMBINE: Readonly<Record<ReturnType<typeof combineOf>, Combine>> = {
  sum: (one, other) => one + other,
  max: Math.max,
  min: Math.min,
}

function familiesOf(page: string): Map<string, Family> {
  const families = new Map<string, Family>()
  let help = ''
  let samples = new Map<string, number>()
  for (const line of page.split('\n')) {
    if (line.startsWith('# HELP ')) help = line
    else if (line.startsWith('# TYPE ')) {
      samples = new Map()
      const [, , name = '', type = ''] = line.split(' ')
      families.set(name, { help, type, samples })
    } else if (line !== '') {
      const end = line.lastIndexOf(' ')
      const text = line.slice(end + 1)
      const value = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text)
      // A gauge that nothing has set.
      if (!Number.isNaN(value)) samples.set(line.slice(0, end), value)
    }
  }
  return families
}

function textOf(families: ReadonlyMap<string, Family>): string {
  const texts = Array.from(families, ([name, { help, type, samples }]) => {
    const lines = Array.from(samples, ([key, value]) => `${key} ${value === Number.POSITIVE_INFINITY ? '+Inf' : value}`)
    return [help, `# TYPE ${name} ${type}`, ...lines].join('\n')
  })
  return texts.length === 0 ? '' : `${texts.join('\n\n')}\n`
}

/**
 * Returns one page with the sums of all, and of some gauges the largest or smallest value.
 * @param former counters of processes that have ended: they count where the pages have that metric.
 */
export function mergePages(pages: readonly string[], former: readonly string[] = []): string {
  const merged = new Map<string, Family>()
  const add = (page: string, mayBeNew: boolean) => {
    for (const [name, { help, type, samples }] of familiesOf(page)) {
      const known = merged.get(name)
      if (known === undefined && !mayBeNew) continue
      const sums = known?.samples ?? new Map<string, number>()
      if (known === undefined) merged.set(name, { help, type, samples: sums })
      const combine = COMBINE[combineOf(name)]
      for (const [key, value] of samples) {
        const sum = sums.get(key)
        sums.set(key, sum === undefined ? value : combine(sum, value))
      }
    }
  }
  for (const page of pages) add(page, true)
  for (const page of former) add(page, false)
  return textOf(merged)
}

/** Returns the metrics of a page that only rise. A series that names its process is left out. */
export function countersOf(page: string): string {
  const families = familiesOf(page)
  for (const [name, { type, samples }] of families) {
    if ((type !== 'counter' && type !== 'histogram') || MOMENTARY.has(name)) families.delete(name)
    for (const key of samples.keys()) if (key.includes('instance_id="')) samples.delete(key)
  }
  return textOf(families)
}

/** Sets the value of a metric without labels, where the page has it. */
export const withValue = (page: string, name: string, value: number): string =>
  page.replace(new RegExp(`^${name} .*$`, 'm'), `${name} ${value}`)
