import type { Report } from '../check.ts'

export const HOUR_MS = 3600_000
export const DAY_MS = 24 * HOUR_MS

/** The counts of an hour or a day, by field. */
export type Count = ReadonlyMap<string, string>

/** Windows up to this length have hourly buckets. */
const BY_HOUR_MS = 2 * DAY_MS
const TOP = 10

/**
 * The pairs of field and value that one report adds. Durations are in microseconds, because Redis
 * adds whole numbers exactly.
 */
export function countsOf({ healthy, hasWarnings, durationMs, checks, createdAt }: Report): [string, number | string][] {
  const ran = checks.filter(({ status }) => status !== 'skipped')
  return [
    ['runs', 1],
    ['healthy', healthy ? 1 : 0],
    ['warned', healthy && hasWarnings ? 1 : 0],
    ['us', Math.round(durationMs * 1000)],
    ...ran.map(({ name }): [string, number] => [`ran:${name}`, 1]),
    ...ran
      .filter(({ status }) => status === 'fail')
      .flatMap(({ name }): [string, number | string][] => [
        [`fail:${name}`, 1],
        [`last:${name}`, createdAt],
      ]),
  ]
}

export interface Bucket {
  readonly unit: 'hour' | 'day'
  /** Hours or days since the epoch. */
  readonly number: number
  /** Ms since the epoch. */
  readonly from: number
}

/** Divides a window into hours, or a long window into whole days. It starts at a full hour. */
export function bucketsOf(windowMs: number, now: number): Bucket[] {
  const buckets: Bucket[] = []
  const byDay = windowMs > BY_HOUR_MS
  for (let from = Math.floor((now - windowMs) / HOUR_MS) * HOUR_MS; from <= now; ) {
    // Today counts as a whole day, too: its remaining hours have no counts yet.
    const unit = byDay && from % DAY_MS === 0 ? 'day' : 'hour'
    const ms = unit === 'day' ? DAY_MS : HOUR_MS
    buckets.push({ unit, number: from / ms, from })
    from += ms
  }
  return buckets
}

export interface Stats {
  readonly from: string
  readonly to: string
  readonly totalRuns: number
  /** From 0 to 1; null without runs. */
  readonly successRate: number | null
  readonly meanDurationMs: number | null
  /** The same, as older programs name it. */
  readonly averageDurationMs: number | null
  readonly eventTypes: readonly { readonly eventType: string; readonly runs: number }[]
  /** `rate` is the share of failures among the runs in which the check ran. */
  readonly topFailures: readonly Failure[]
  /** By hour, or by day in a long window. `warned` counts runs that passed with a warning. */
  readonly outcomes: readonly {
    readonly from: string
    readonly passed: number
    readonly warned: number
    readonly failed: number
  }[]
}

interface Failure {
  readonly check: string
  readonly count: number
  readonly rate: number
  readonly lastAt: string
  /** The first three again, as older programs name them. */
  readonly checkName: string
  readonly failureCount: number
  readonly failureRate: number
}

/** Sums up the counts; `counts[i]` belongs to `buckets[i]`. */
export function statsOf(buckets: readonly Bucket[], counts: readonly Count[], now: number): Stats {
  const sums = new Map<string, number>()
  const lastAt = new Map<string, string>()
  for (const count of counts) {
    for (const [field, value] of count) {
      if (!field.startsWith('last:')) sums.set(field, (sums.get(field) ?? 0) + numberIn(value))
      else if (!Number.isNaN(Date.parse(value))) lastAt.set(field.slice(5), later(lastAt.get(field.slice(5)), value))
    }
  }
  const sum = (field: string) => sums.get(field) ?? 0
  const named = (prefix: string) =>
    [...sums]
      .filter(([field]) => field.startsWith(prefix))
      .map(([field, n]) => [field.slice(prefix.length), n] as const)
  const most = (pairs: (readonly [string, number])[]) => pairs.sort(([, one], [, other]) => other - one).slice(0, TOP)
  const runs = sum('runs')
  const mean = runs === 0 ? null : round(sum('us') / 1000 / runs)
  const failureOf = (check: string, count: number): Failure => {
    const rate = round(count / Math.max(count, sum(`ran:${check}`)))
    const named = { checkName: check, failureCount: count, failureRate: rate }
    return { check, count, rate, lastAt: lastAt.get(check) ?? '', ...named }
  }
  return {
    from: new Date(buckets[0]?.from ?? now).toISOString(),
    to: new Date(now).toISOString(),
    totalRuns: runs,
    successRate: runs === 0 ? null : round(sum('healthy') / runs),
    meanDurationMs: mean,
    averageDurationMs: mean,
    eventTypes: most(named('type:')).map(([eventType, n]) => ({ eventType, runs: n })),
    topFailures: most(named('fail:')).map(([check, count]) => failureOf(check, count)),
    outcomes: buckets.map(({ from }, i) => {
      const [all, healthy, warned] = ['runs', 'healthy', 'warned'].map((field) => numberIn(counts[i]?.get(field)))
      return {
        from: new Date(from).toISOString(),
        passed: healthy! - warned!,
        warned: warned!,
        failed: all! - healthy!,
      }
    }),
  }
}

/** A count; 0 for what another program wrote instead, which would show as NaN for a day. */
const numberIn = (value = '0'): number => (/^\d{1,15}$/.test(value) ? Number(value) : 0)
const later = (one: string | undefined, other: string): string => (one !== undefined && one > other ? one : other)
const round = (value: number): number => Math.round(value * 10_000) / 10_000
