/**
 * Some clients stop reading while the others go on: what that costs in memory, and what the others
 * notice. The peers in Go and Rust hold up to 1,024 messages for a socket, however large, so they
 * close none of the slow ones in this time.
 */
import { connectAll } from '../acts/crowd.ts'
import {
  CALL_MS,
  floodSessions,
  LATENCIES,
  latencies,
  metricOf,
  phase,
  SLOW_SHARE,
  WARM_UP_S,
  Watch,
} from '../acts/slow.ts'
import { sleep } from '../load/clock.ts'
import type { Arrivals } from '../load/receiver.ts'
import { GO, RUST } from '../peers/native.ts'
import { refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { anonymousBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const MIB = 1024 ** 2
const MOST_PHASES = 10
/** SLOW_CLOSE_GRACE plus some garbage collections. */
const AFTER_MS = 12_000

async function round(stage: Stage, settings: Settings, boundBytes: number): Promise<Values> {
  const slow = Math.max(1, Math.round(settings.sockets * SLOW_SHARE))
  const fast = settings.sockets - slow
  const isOurs = stage.subject.name === OURS.name
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
    while (phases.length === 0 || (isOurs && phases.length < MOST_PHASES && (await tooSlow(stage)) < slow)) {
      await stage.receiver.call('restart', {}, CALL_MS)
      phases.push(await phase(stage, settings, settings.messages))
    }
    await flood.stop()
    if (isOurs) closed = await tooSlow(stage)
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
    ...latencies(before, during),
    p999BeforeMs: before.latencyMs.p999,
    p999DuringMs: during.latencyMs.p999,
    closed,
  }
}

/** The number of sockets that were full and closed for it. */
const tooSlow = (stage: Stage): Promise<number> => metricOf(stage, 'wsproxy_backpressure_events_total{stage="full"}')

const scenario = (name: string, boundMib: number): Scenario => ({
  name,
  about:
    `a tenth of the sockets stop reading 60 MB/s, each may hold ${boundMib} MiB, ` +
    'while the others get messages at a given pace',
  subjects: [OURS.name, GO.name, RUST.name],
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
    ...LATENCIES,
    { key: 'p999BeforeMs', label: 'p99.9 before, ms', digits: 2, better: 'context' },
    { key: 'p999DuringMs', label: 'p99.9 during, ms', digits: 2, better: 'lower' },
    { key: 'closed', label: 'closed with 1008', digits: 0, better: 'context' },
  ],
  round: (stage, settings) => round(stage, settings, boundMib * MIB),
})

export const slowReaders = scenario('slow-readers', 1)
/** With the largest bound that our guides name. */
export const slowReadersRoomy = scenario('roomy-slow-readers', 10)
