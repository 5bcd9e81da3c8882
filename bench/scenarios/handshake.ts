/**
 * Authenticated upgrades: token check and confirmed subscription before the 101, 200 under way at a
 * time. The first burst to a fresh process is cold, because its code is not compiled yet. The last
 * one is warm and is the figure to compare.
 */

import { connectSome, IN_FLIGHT, refuseUnless } from '../acts/crowd.ts'
import type { ConnectResult } from '../load/fleet.ts'
import { refuseIfBound, refuseIfTooLittle, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'

const COLD_SHARE = 0.2
/** V8 has compiled the code after this many handshakes. */
const WARM_AFTER = 4000

/** The number of handshakes of each kind: cold, to warm up, and measured. */
function bursts({ sockets }: Settings) {
  const few = Math.max(1, Math.round(sockets * COLD_SHARE))
  const more = Math.min(sockets, Math.max(0, WARM_AFTER - few))
  return { few, more, all: few + more + sockets }
}

async function round(stage: Stage, settings: Settings): Promise<Values> {
  const { sockets } = settings
  const { few, more, all } = bursts(settings)
  await stage.redis.seedTokens(all)
  const cold = await burst(stage, 0, few)
  await burst(stage, few, more)
  const { result, cpu } = await burst(stage, few + more, sockets)
  refuseIfTooLittle(cpu)
  await refuseUnless(stage, { sockets: all, channels: all })
  return {
    perCoreSecond: sockets / cpu,
    cpuUs: (cpu * 1e6) / sockets,
    perSecond: sockets / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    p999Ms: result.p999Ms,
    coldCpuUs: (cold.cpu * 1e6) / few,
    coldP50Ms: cold.result.p50Ms,
    coldP99Ms: cold.result.p99Ms,
    peakMb: peakBytes(stage.pid) / 1e6,
    subjectBusy: (cpu / result.seconds) * 100,
    receiverBusy: result.generatorShare * 100,
  }
}

/**
 * Connects sessions and measures the CPU. Throws `Faulty` unless all could connect, and `Refused`
 * when the generator was too busy.
 */
async function burst(stage: Stage, first: number, count: number): Promise<{ result: ConnectResult; cpu: number }> {
  const before = cpuSeconds(stage.pid)
  const result = await connectSome(stage, first, count)
  const cpu = cpuSeconds(stage.pid) - before
  refuseIfBound('generator', result)
  return { result, cpu }
}

export const handshake: Scenario = {
  name: 'handshake',
  about: `authenticated and subscribed upgrades, ${IN_FLIGHT} under way at a time; the first burst of a fresh process (a fifth as many) is cold`,
  uses: ['sockets'],
  defaults: { sockets: 10_000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  open: (settings) => bursts(settings).all,
  quick: { sockets: 4000, rounds: 1 },
  metrics: [
    { key: 'perCoreSecond', label: 'handshakes per core-second', digits: 0, better: 'higher' },
    { key: 'cpuUs', label: 'CPU per handshake, us', digits: 1, better: 'lower' },
    { key: 'perSecond', label: 'handshakes per second', digits: 0, better: 'higher' },
    { key: 'p50Ms', label: 'handshake p50, ms', digits: 1, better: 'lower' },
    { key: 'p99Ms', label: 'handshake p99, ms', digits: 1, better: 'lower' },
    { key: 'p999Ms', label: 'handshake p99.9, ms', digits: 1, better: 'lower' },
    { key: 'coldCpuUs', label: 'CPU per handshake, cold, us', digits: 1, better: 'lower' },
    { key: 'coldP50Ms', label: 'handshake p50, cold, ms', digits: 1, better: 'lower' },
    { key: 'coldP99Ms', label: 'handshake p99, cold, ms', digits: 1, better: 'lower' },
    { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
    { key: 'subjectBusy', label: 'subject busy, % of a core', digits: 0, better: 'context' },
    { key: 'receiverBusy', label: 'generator busy, % of a core', digits: 0, better: 'context' },
  ],
  round,
}
