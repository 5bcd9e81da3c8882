/**
 * Whether a series of samples grows: a line by least squares through its lows, with a limit for
 * each series. The lows of equal spans of time, and not all samples, because the heap of V8 is a
 * sawtooth whose height says nothing, and because a leak lifts what remains after collections.
 */

/** A moment in milliseconds since the beginning, and the value at it. */
export type Sample = readonly [atMs: number, value: number]

/** What is watched. It grows when the line exceeds both limits. */
export interface Series {
  key: string
  label: string
  digits: number
  /** The steepest line that is still flat, per hour. */
  perHour: number
  /** The rise over the judged time that is still noise. */
  slack: number
}

export interface Growth {
  series: Series
  first: number
  last: number
  /** The slope of the line, and its rise over the judged time. */
  perHour: number
  rise: number
  grows: boolean
  /** Why there is no line. */
  why?: string
}

const HOUR_MS = 3_600_000
const SPANS = 24
const FEWEST = 6
/** What a process needs to load its code and to size its heap does not count. */
const WARM_UP_SHARE = 0.25
const WARM_UP_MS = 20 * 60_000

/** Judges one series. Without enough samples nothing is proved, so that counts as growth. */
export function growthOf(series: Series, samples: readonly Sample[]): Growth {
  const end = samples.at(-1)?.[0] ?? 0
  const from = Math.min(end * WARM_UP_SHARE, WARM_UP_MS)
  const lows = lowsOf(samples.filter(([atMs]) => atMs >= from))
  const [first, last] = [lows[0]?.[1] ?? Number.NaN, lows.at(-1)?.[1] ?? Number.NaN]
  if (lows.length < FEWEST) {
    const why = `${lows.length} spans with samples, and ${FEWEST} are needed`
    return { series, first, last, perHour: Number.NaN, rise: Number.NaN, grows: true, why }
  }
  const slope = slopeOf(lows)
  const rise = slope * (lows.at(-1)![0] - lows[0]![0])
  const perHour = slope * HOUR_MS
  return { series, first, last, perHour, rise, grows: perHour > series.perHour && rise > series.slack }
}

/** The lowest sample of each of 24 equal spans, or all samples when there are fewer. */
function lowsOf(samples: readonly Sample[]): Sample[] {
  if (samples.length <= SPANS) return [...samples]
  const [begin, end] = [samples[0]![0], samples.at(-1)![0]]
  const lows: Sample[] = []
  for (const sample of samples) {
    const span = Math.min(SPANS - 1, Math.floor(((sample[0] - begin) / (end - begin)) * SPANS))
    const low = lows[span]
    if (low === undefined || sample[1] < low[1]) lows[span] = sample
  }
  return lows.filter((low) => low !== undefined)
}

/** The slope of the line by least squares, per millisecond. */
export function slopeOf(samples: readonly Sample[]): number {
  const mean = (pick: 0 | 1) => samples.reduce((sum, sample) => sum + sample[pick], 0) / samples.length
  const [x, y] = [mean(0), mean(1)]
  const spread = samples.reduce((sum, [atMs]) => sum + (atMs - x) ** 2, 0)
  return samples.reduce((sum, [atMs, value]) => sum + (atMs - x) * (value - y), 0) / spread
}
