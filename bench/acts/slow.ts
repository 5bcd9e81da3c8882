/** What scenarios with clients that stop reading have in common. */
import { createClient } from 'redis'
import { sessionDown } from '../../src/contract/names.ts'
import { sleep } from '../load/clock.ts'
import type { Arrivals } from '../load/receiver.ts'
import { sessionId } from '../load/sessions.ts'
import { type Metric, refuseIfBound, type Settings } from '../scenario.ts'
import { anonymousBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { refuseFaults } from './exchange.ts'

export const SLOW_SHARE = 0.1
/** 60 MB a second in messages to the slow readers in turn, so that all fill in the same moment. */
const FLOOD_BYTES = 32 * 1024
const FLOOD_PER_SECOND = 1830
const FLOOD_STEP_MS = 10
const LOOK_MS = 50
export const CALL_MS = 5000
const QUIET_MS = 5000
const PUBLISH_MS = 150_000
export const WARM_UP_S = 2

/** What the others noticed, before and during. */
export const LATENCIES: readonly Metric[] = [
  { key: 'p50BeforeMs', label: 'p50 before, ms', digits: 2, better: 'context' },
  { key: 'p50DuringMs', label: 'p50 during, ms', digits: 2, better: 'lower' },
  { key: 'p99BeforeMs', label: 'p99 before, ms', digits: 2, better: 'context' },
  { key: 'p99DuringMs', label: 'p99 during, ms', digits: 2, better: 'lower' },
]

export const latencies = (before: Arrivals, during: Arrivals) => ({
  p50BeforeMs: before.latencyMs.p50,
  p50DuringMs: during.latencyMs.p50,
  p99BeforeMs: before.latencyMs.p99,
  p99DuringMs: during.latencyMs.p99,
  p99Ratio: during.latencyMs.p99 / before.latencyMs.p99,
})

const published = new WeakMap<Stage, number>()

/**
 * Publishes to the fast readers and waits for all messages. Throws `Faulty` when one is missing or
 * out of order.
 */
export async function phase(stage: Stage, { perSecond }: Settings, count: number): Promise<Arrivals> {
  const total = (published.get(stage) ?? 0) + count
  published.set(stage, total)
  const publishing = stage.publisher.call('paced', { count, perSecond }, PUBLISH_MS)
  publishing.catch(() => {}) // awaited below, unless a loss is found first
  const arrivals = await stage.receiver.call('arrivals', { delivered: total, quietMs: QUIET_MS }, PUBLISH_MS)
  // The slow readers are closed and must not be read any more.
  refuseFaults({ ...arrivals, lostSockets: {} }, total)
  refuseIfBound('publisher', await publishing)
  return arrivals
}

/** Fails when Redis is gone, and does not wait for it. */
const clientOf = (url: string) => createClient({ url, socket: { reconnectStrategy: false } })

/** How a flood writes a message to a session. */
export type Flood = (
  client: ReturnType<typeof clientOf>,
) => Promise<(session: string, payload: Buffer) => Promise<unknown>>

const toChannels: Flood = async (client) => (session, payload) => client.publish(sessionDown(session), payload)

/** Sends large messages to some sessions in turn. */
export function floodSessions(
  url: string,
  first: number,
  count: number,
  by: Flood = toChannels,
): { stop(): Promise<void> } {
  const client = clientOf(url)
  client.on('error', () => {})
  const payload = Buffer.alloc(FLOOD_BYTES, 'x')
  let over = false
  const done = (async () => {
    await client.connect()
    const write = await by(client)
    const startedAt = performance.now()
    for (let sent = 0; !over; await sleep(FLOOD_STEP_MS)) {
      const due = ((performance.now() - startedAt) / 1000) * FLOOD_PER_SECOND
      const batch: Promise<unknown>[] = []
      for (; sent < due; sent++) batch.push(write(sessionId(first + (sent % count)), payload))
      await Promise.all(batch)
    }
  })()
  done.catch(() => {}).finally(() => client.destroy()) // stop() reports whether it failed
  const stop = () => {
    over = true
    return done
  }
  return { stop }
}

/** A value on the page of metrics; 0 when it is not there. */
export async function metricOf({ port }: Stage, series: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const line = page.split('\n').find((each) => each.startsWith(`${series} `))
  return Number(line?.slice(series.length + 1) ?? 0)
}

/** Samples the memory of a process from now on. */
export class Watch {
  readonly base: number
  peak: number
  readonly #timer: NodeJS.Timeout

  constructor(pid: number) {
    this.base = anonymousBytes(pid)
    this.peak = this.base
    this.#timer = setInterval(() => {
      this.peak = Math.max(this.peak, bytesWhileThere(pid))
    }, LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** Returns nothing when the process has ended; the wait for its messages reports that. */
function bytesWhileThere(pid: number): number {
  try {
    return anonymousBytes(pid)
  } catch {
    return 0
  }
}
