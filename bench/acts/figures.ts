/** What a round comes to: CPU, pace and latency of whatever was counted. */
import type { Latency } from '../load/latencies.ts'
import type { Metric, Values } from '../scenario.ts'

/** @param cpu of the subject, in seconds. */
export function figuresOf(
  count: number,
  {
    startedUs,
    lastArrivalUs,
    cpu,
    latencyMs,
  }: { startedUs: number; lastArrivalUs: number; cpu: number; latencyMs: Latency },
): Values {
  const seconds = (lastArrivalUs - startedUs) / 1e6
  return {
    cpuUs: (cpu * 1e6) / count,
    perCoreSecond: count / cpu,
    perSecond: count / seconds,
    p50Ms: latencyMs.p50,
    p99Ms: latencyMs.p99,
    p999Ms: latencyMs.p999,
    subjectBusy: (cpu / seconds) * 100,
  }
}

/** How those are shown: what is counted, what `perSecond` says of it, and from where to where it takes its time. */
export const figureMetrics = (one: string, perSecond: string, way: string): Metric[] => [
  { key: 'cpuUs', label: `CPU per ${one}, us`, digits: 2, better: 'lower' },
  {
    key: 'perCoreSecond',
    label: `${one === 'delivery' ? 'deliveries' : `${one}s`} per core-second`,
    digits: 0,
    better: 'higher',
  },
  { key: 'perSecond', label: perSecond, digits: 0, better: 'higher' },
  { key: 'p50Ms', label: `${way} p50, ms`, digits: 2, better: 'lower' },
  { key: 'p99Ms', label: `${way} p99, ms`, digits: 2, better: 'lower' },
  { key: 'p999Ms', label: `${way} p99.9, ms`, digits: 2, better: 'lower' },
  { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
  { key: 'subjectBusy', label: 'subject busy, % of a core', digits: 0, better: 'context' },
]
