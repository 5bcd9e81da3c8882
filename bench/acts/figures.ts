/** The figures of a round: CPU, pace and latency of whatever was counted. */

import { availableParallelism } from 'node:os'
import type { Latency } from '../load/latencies.ts'
import { type Metric, refuseIfTooLittle, type Values } from '../scenario.ts'
import { cpuSeconds, idleSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'

/** Measures the CPU of the subject and of the other processes of a stage from now on. */
export class Measure {
  readonly #stage: Stage
  readonly #before: { cpu: number; redis: number; idle: number; atMs: number }

  constructor(stage: Stage) {
    this.#stage = stage
    this.#before = this.#look()
  }

  /** @returns `cpu` of the subject in seconds, and how busy the other processes were, in %. */
  end(): { cpu: number; redisBusy: number; machineIdle: number } {
    const [before, after] = [this.#before, this.#look()]
    const seconds = (after.atMs - before.atMs) / 1000
    return {
      cpu: after.cpu - before.cpu,
      redisBusy: ((after.redis - before.redis) / seconds) * 100,
      machineIdle: ((after.idle - before.idle) / seconds / availableParallelism()) * 100,
    }
  }

  #look() {
    const { pid, redis } = this.#stage
    return { cpu: cpuSeconds(pid), redis: cpuSeconds(redis.pid), idle: idleSeconds(), atMs: performance.now() }
  }
}

/** @param cpu of the subject, in seconds. Throws `Refused` when it is too little to measure. */
export function figuresOf(
  count: number,
  {
    startedUs,
    lastArrivalUs,
    cpu,
    latencyMs,
  }: { startedUs: number; lastArrivalUs: number; cpu: number; latencyMs: Latency },
): Values {
  refuseIfTooLittle(cpu)
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

/**
 * The metrics of a paced scenario: what is counted, what `perSecond` means, and between which
 * points latency is measured.
 */
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

export const OTHERS: Metric[] = [
  { key: 'redisBusy', label: 'Redis busy, % of a core', digits: 0, better: 'context' },
  { key: 'machineIdle', label: 'machine idle, %', digits: 0, better: 'context' },
]
