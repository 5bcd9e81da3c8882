/**
 * A soak: the gateway with its defaults serves a slow, steady traffic for hours, loses Redis now
 * and then, and is sampled. It must not grow, and no socket may stay deaf.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from '../stage/redis.ts'
import { startSubject } from '../stage/start-subject.ts'
import type { Subject } from '../subject.ts'
import { type Growth, growthOf } from './growth.ts'
import { sampleOf, type Values, WATCHED } from './sample.ts'
import { type Load, RUNS, Traffic } from './traffic.ts'

export interface SoakOptions extends Load {
  lengthMs: number
  everyMs: number
  /** The time between two outages of Redis. */
  outageMs: number
  subject: Subject
  /** Called with each sample. */
  onSample(atMs: number, values: Values): void
}

export interface SoakResult {
  growths: Growth[]
  complaints: string[]
  samples: number
  outages: number
  /** CPU of the gateway, as a share of a core. */
  cpuShare: number
  counts: { opened: number; refused: number; received: number; sent: number; published: number }
}

/** The length of an outage of Redis. */
const AWAY_MS = 3000
/** Each socket is due a message within seconds. */
const DEAF_MS = 60_000
/** One or two sockets are always on their way back. */
const OPEN_SHARE = 0.5
const BACK_SHARE = 0.8
const BACK_MS = 60_000
const LOOK_MS = 500

/** Runs a soak. Throws when the gateway ends or does not answer. */
export async function runSoak(options: SoakOptions, aborted?: AbortSignal): Promise<SoakResult> {
  const endings: (() => unknown)[] = []
  try {
    const redis = await startRedis()
    endings.unshift(() => redis.end())
    await redis.seedRuns(RUNS)
    const { child, port } = await startSubject(options.subject, redis.url)
    endings.unshift(() => child.end('SIGKILL'))
    const traffic = await Traffic.start(redis.url, port, options)
    endings.unshift(() => traffic.end())
    const outage = async () => {
      await redis.restart(AWAY_MS)
      await redis.seedRuns(RUNS)
    }
    const look = () => sampleOf(child.pid, port, () => traffic.channels())
    return await watch(options, traffic, { outage, look, aborted })
  } finally {
    for (const end of endings) await end()
  }
}

/**
 * Whether the channels of the last sample are back in time. A sample before that would be a low of
 * the outage, and hide what grows.
 */
async function isBack(look: () => Promise<Values>, before: Values | undefined): Promise<boolean> {
  const until = performance.now() + BACK_MS
  while (performance.now() < until) {
    const now = await look().catch(() => undefined) // Redis still loads, or the agent still dials
    const isThere = (key: string) => now !== undefined && now[key]! >= (before?.[key] ?? 0) * BACK_SHARE
    if (isThere('channels') && isThere('confirmed')) return true
    await sleep(LOOK_MS)
  }
  return false
}

interface Ways {
  outage(): Promise<void>
  look(): Promise<Values>
  aborted: AbortSignal | undefined
}

async function watch(options: SoakOptions, traffic: Traffic, { outage, look, aborted }: Ways): Promise<SoakResult> {
  const { lengthMs, everyMs, outageMs, onSample } = options
  await traffic.whenOpen(OPEN_SHARE, BACK_MS)
  const begun = performance.now()
  const age = () => performance.now() - begun
  const samples: [number, Values][] = []
  const complaints: string[] = []
  let outages = 0
  while (age() < lengthMs && !aborted?.aborted) {
    await sleep(everyMs)
    if (age() > (outages + 1) * outageMs) {
      outages++
      await outage()
      if (!(await isBack(look, samples.at(-1)?.[1]))) complaints.push(`outage ${outages}: channels were missing`)
    }
    const values = await look()
    samples.push([age(), values])
    onSample(age(), values)
    const { deaf, open, all } = traffic.sockets(DEAF_MS)
    const when = `after ${(age() / 60_000).toFixed(1)} min`
    if (deaf > 0) complaints.push(`${when} ${deaf} open sockets had no message for ${DEAF_MS / 1000} s`)
    if (open < all * OPEN_SHARE) complaints.push(`${when} only ${open} of ${all} sockets were open`)
  }
  const { published, counts } = traffic
  const [first, last] = [samples[0]?.[1].cpuSeconds ?? 0, samples.at(-1)?.[1].cpuSeconds ?? 0]
  return {
    growths: WATCHED.map((series) =>
      growthOf(
        series,
        samples.map(([at, values]) => [at, values[series.key]!]),
      ),
    ),
    complaints,
    samples: samples.length,
    outages,
    cpuShare: (last - first) / (age() / 1000),
    counts: { ...counts, published },
  }
}
