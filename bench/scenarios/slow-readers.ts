/**
 * Some clients stop reading while the others go on: what that costs in memory, and what the others
 * notice. Only ours: the peer buffers without a bound.
 */
import { createClient } from 'redis'
import { sessionDown } from '../../src/contract/names.ts'
import { connectAll } from '../acts/crowd.ts'
import { refuseFaults } from '../acts/exchange.ts'
import { sleep } from '../load/clock.ts'
import type { Arrivals } from '../load/receiver.ts'
import { sessionId } from '../load/sessions.ts'
import { refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { anonymousBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

export const SLOW_SHARE = 0.1
const MIB = 1024 ** 2
/** 60 MB a second in messages to the slow readers in turn, so that all fill in the same moment. */
const FLOOD_BYTES = 32 * 1024
const FLOOD_PER_SECOND = 1830
const FLOOD_STEP_MS = 10
const LOOK_MS = 50
export const CALL_MS = 5000
const QUIET_MS = 5000
const PUBLISH_MS = 150_000
export const WARM_UP_S = 2
const MOST_PHASES = 10
/** SLOW_CLOSE_GRACE plus some garbage collections. */
const AFTER_MS = 12_000

async function round(stage: Stage, settings: Settings, boundBytes: number): Promise<Values> {
  const slow = Math.max(1, Math.round(settings.sockets * SLOW_SHARE))
  const fast = settings.sockets - slow
  await stage.publisher.call('open', { redisPort: stage.redis.port, sessions: fast }, CALL_MS)
  await stage.redis.seedTokens(settings.sockets)
  await connectAll(stage, 0, fast)
  await connectAll(stage, fast, slow)
  await phase(stage, settings, settings.perSecond * WARM_UP_S)
  await stage.receiver.call('restart', {}, CALL_MS)
  const before = await phase(stage, settings, settings.messages)
  const memory = new Watch(stage.pid)
  await stage.receiver.call('restart', {}, CALL_MS)
  await stage.receiver.call('pauseLast', { count: slow }, CALL_MS)
  const flood = floodSessions(stage.redis.url, fast, slow)
  const phases: Arrivals[] = []
  let closed = 0
  try {
    // Until the last one is full, and at least as long as the measurement before.
    while (phases.length < MOST_PHASES && (phases.length === 0 || (await tooSlow(stage)) < slow)) {
      await stage.receiver.call('restart', {}, CALL_MS)
      phases.push(await phase(stage, settings, settings.messages))
    }
    await flood.stop()
    closed = await tooSlow(stage)
    await sleep(AFTER_MS)
  } finally {
    memory.stop()
    await flood.stop().catch(() => {}) // an earlier failure is the reason to report
  }
  const after = anonymousBytes(stage.pid)
  for (const arrivals of [before, ...phases]) refuseIfBound('receiver', arrivals)
  const during = phases.reduce((worst, each) => (each.latencyMs.p99 > worst.latencyMs.p99 ? each : worst))
  return {
    growthMb: (memory.peak - memory.base) / 1e6,
    boundMb: (slow * boundBytes) / 1e6,
    aboveMb: (memory.peak - memory.base - slow * boundBytes) / 1e6,
    keptMb: (after - memory.base) / 1e6,
    p50BeforeMs: before.latencyMs.p50,
    p50DuringMs: during.latencyMs.p50,
    p999BeforeMs: before.latencyMs.p999,
    p999DuringMs: during.latencyMs.p999,
    p99BeforeMs: before.latencyMs.p99,
    p99DuringMs: during.latencyMs.p99,
    p99Ratio: during.latencyMs.p99 / before.latencyMs.p99,
    closed,
  }
}

let published = new WeakMap<Stage, number>()

/**
 * Publishes to the fast readers and waits for all messages. Throws `Faulty` when one is missing or
 * out of order.
 */
export async function phase(stage: Stage, { perSecond }: Settings, count: number): Promise<Arrivals> {
  const total = (published.get(stage) ?? 0) + count
  published = published.set(stage, total)
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

/** The number of sockets that were full and closed for it. */
const tooSlow = (stage: Stage): Promise<number> => metricOf(stage, 'wsproxy_backpressure_events_total{stage="full"}')

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

const scenario = (name: string, boundMib: number): Scenario => ({
  name,
  about:
    `a tenth of the sockets stop reading 60 MB/s, each may hold ${boundMib} MiB, ` +
    'while the others get messages at a given pace',
  subjects: [OURS.name],
  env: { MAX_BUFFER_SIZE_BYTES: `${boundMib}MiB` },
  long: true,
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 200_000, perSecond: 20_000, window: 0, rounds: 3 },
  quick: { sockets: 200, messages: 60_000, rounds: 1 },
  metrics: [
    { key: 'growthMb', label: 'growth of RssAnon at its peak, MB', digits: 1, better: 'lower' },
    { key: 'p99Ratio', label: 'p99 of the others, worst phase/before', digits: 2, better: 'lower' },
    { key: 'aboveMb', label: 'growth above the sum of the bounds, MB', digits: 1, better: 'lower' },
    { key: 'boundMb', label: 'sum of the bounds of the slow ones, MB', digits: 1, better: 'context' },
    { key: 'keptMb', label: 'growth left 12 s after the last, MB', digits: 1, better: 'lower' },
    { key: 'p50BeforeMs', label: 'p50 before, ms', digits: 2, better: 'context' },
    { key: 'p50DuringMs', label: 'p50 during, ms', digits: 2, better: 'lower' },
    { key: 'p99BeforeMs', label: 'p99 before, ms', digits: 2, better: 'context' },
    { key: 'p99DuringMs', label: 'p99 during, ms', digits: 2, better: 'lower' },
    { key: 'p999BeforeMs', label: 'p99.9 before, ms', digits: 2, better: 'context' },
    { key: 'p999DuringMs', label: 'p99.9 during, ms', digits: 2, better: 'lower' },
    { key: 'closed', label: 'closed with 1008', digits: 0, better: 'context' },
  ],
  round: (stage, settings) => round(stage, settings, boundMib * MIB),
})

export const slowReaders = scenario('slow-readers', 1)
/** With the largest bound that our guides name. */
export const slowReadersRoomy = scenario('roomy-slow-readers', 10)
