/**
 * Runs whose hashes change: many runs with a few sockets each, and one run with many sockets. Only
 * ours: the peer has no runs.
 */

import { everyone, IN_FLIGHT } from '../acts/crowd.ts'
import type { RunArrivals } from '../load/receiver.ts'
import { Faulty, type Metric, refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CALL_MS = 5000
const CONNECT_MS = 90_000
const CHANGE_MS = 150_000
const QUIET_MS = 500
const WARM_UP_S = 2

async function round(stage: Stage, settings: Settings, runCount: number): Promise<Values> {
  const { sockets, messages, perSecond } = settings
  await prepare(stage, sockets, runCount)
  await change(stage, perSecond * WARM_UP_S, perSecond)
  await stage.receiver.call('restartRuns', {}, CALL_MS)
  const [cpuBefore, readsBefore] = [cpuSeconds(stage.pid), await stage.redis.hashReads()]
  const { published, arrivals } = await change(stage, messages, perSecond)
  const cpu = cpuSeconds(stage.pid) - cpuBefore
  const reads = (await stage.redis.hashReads()) - readsBefore
  // Each run changes once a lap, so every socket must have shown a change of the last lap.
  const lastLapUs = published.startedUs + ((messages - runCount + 0.5) / perSecond) * 1e6
  refuseFaults(arrivals, sockets, lastLapUs)
  refuseIfBound('receiver', arrivals)
  refuseIfBound('publisher', published)
  const { latencyMs, lastSocketMs, delivered } = arrivals
  const frames = (messages * sockets) / runCount
  return {
    p50Ms: latencyMs.p50,
    p99Ms: latencyMs.p99,
    p999Ms: latencyMs.p999,
    lastP50Ms: lastSocketMs.p50,
    lastMaxMs: lastSocketMs.max,
    readsPerChange: reads / messages,
    shown: (delivered / frames) * 100,
    cpuPerChangeUs: (cpu * 1e6) / messages,
    cpuPerFrameUs: (cpu * 1e6) / delivered,
    subjectBusy: (cpu / published.seconds) * 100,
    receiverBusy: arrivals.generatorShare * 100,
    publisherLagMs: published.lagP99Ms,
    peakMb: peakBytes(stage.pid) / 1e6,
  }
}

async function prepare(stage: Stage, sockets: number, runCount: number): Promise<void> {
  await stage.redis.seedRuns(runCount)
  await stage.publisher.call('openRuns', { redisPort: stage.redis.port, runs: runCount }, CALL_MS)
  const order = { port: stage.port, first: 0, count: sockets, inFlight: IN_FLIGHT, runs: runCount }
  everyone(await stage.receiver.call('connectRuns', order, CONNECT_MS))
}

/** Changes runs in turn and waits until no more frames come. */
async function change(stage: Stage, count: number, perSecond: number) {
  const published = await stage.publisher.call('paced', { count, perSecond }, CHANGE_MS)
  const arrivals = await stage.receiver.call('runArrivals', { quietMs: QUIET_MS }, CALL_MS)
  return { published, arrivals }
}

function refuseFaults(arrivals: RunArrivals, expected: number, lastLapUs: number): void {
  const { outOfOrder, lostSockets, sockets, leastSeenUs } = arrivals
  if (sockets !== expected) throw new Faulty(`sockets were lost: ${JSON.stringify(lostSockets)}`)
  if (leastSeenUs < lastLapUs) throw new Faulty('a socket was not shown the last change of its run')
  if (outOfOrder > 0) throw new Faulty(`${outOfOrder} frames were not newer than the one before them on their socket`)
}

const METRICS: Metric[] = [
  { key: 'p50Ms', label: 'HSET to frame p50, ms', digits: 2, better: 'lower' },
  { key: 'p99Ms', label: 'HSET to frame p99, ms', digits: 2, better: 'lower' },
  { key: 'p999Ms', label: 'HSET to frame p99.9, ms', digits: 2, better: 'lower' },
  { key: 'lastP50Ms', label: 'HSET to the last socket p50, ms', digits: 2, better: 'lower' },
  { key: 'lastMaxMs', label: 'HSET to the last socket, worst, ms', digits: 2, better: 'lower' },
  { key: 'readsPerChange', label: 'HGETALL per change', digits: 3, better: 'lower' },
  { key: 'shown', label: 'changes shown by a frame of their own, %', digits: 1, better: 'higher' },
  { key: 'cpuPerChangeUs', label: 'CPU per change, us', digits: 1, better: 'lower' },
  { key: 'cpuPerFrameUs', label: 'CPU per frame, us', digits: 2, better: 'lower' },
  { key: 'subjectBusy', label: 'subject busy, % of a core', digits: 1, better: 'context' },
  { key: 'receiverBusy', label: 'receiver busy, % of a core', digits: 0, better: 'context' },
  { key: 'publisherLagMs', label: 'publisher late p99, ms', digits: 2, better: 'context' },
  { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
]

const RUNS = 40

export const runsMany: Scenario = {
  name: 'runs-many',
  about: `${RUNS} runs that change in turn; every socket gets a frame for each change of its run`,
  subjects: [OURS.name],
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 200, messages: 16_000, perSecond: RUNS * 20, window: 0, rounds: 3 },
  quick: { messages: 1600, rounds: 1 },
  metrics: METRICS,
  round: (stage, settings) => round(stage, settings, RUNS),
}

export const runsCrowd: Scenario = {
  name: 'runs-crowd',
  about: 'one run that changes, and all sockets look at it',
  subjects: [OURS.name],
  long: true,
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 5000, messages: 50, perSecond: 5, window: 0, rounds: 3 },
  quick: { messages: 10, rounds: 1 },
  metrics: METRICS,
  round: (stage, settings) => round(stage, settings, 1),
}
