/**
 * Authenticated upgrades: token check and confirmed subscription before the 101, 200 under way at a time. The first burst that a fresh
 * process gets is cold: its code is not compiled yet. The second one is warm, and is the figure to compare.
 */
import type { ConnectResult } from '../load/fleet.ts'
import { Refused, refuseIfGeneratorBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { connectSome } from './crowd.ts'

const COLD_SHARE = 0.2
const CALL_MS = 5000

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const few = Math.max(1, Math.round(sockets * COLD_SHARE))
  await stage.redis.seedTokens(few + sockets)
  const cold = await burst(stage, 0, few)
  const { result, cpu } = await burst(stage, few, sockets)
  const { open } = await stage.receiver.call('sockets', {}, CALL_MS)
  return {
    perCoreSecond: result.opened / cpu,
    cpuUs: (cpu * 1e6) / result.opened,
    perSecond: result.opened / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    p999Ms: result.p999Ms,
    coldCpuUs: (cold.cpu * 1e6) / cold.result.opened,
    coldP50Ms: cold.result.p50Ms,
    coldP99Ms: cold.result.p99Ms,
    failed: cold.result.failed + result.failed,
    dropped: cold.result.opened + result.opened - open,
    peakMb: peakBytes(stage.pid) / 1e6,
    subjectBusy: (cpu / result.seconds) * 100,
    receiverBusy: result.generatorShare * 100,
  }
}

/** Connects some sessions, and how much CPU that was. Throws `Refused` when none could, or the generator had no time for it. */
async function burst(stage: Stage, first: number, count: number): Promise<{ result: ConnectResult; cpu: number }> {
  const before = cpuSeconds(stage.pid)
  const result = await connectSome(stage, first, count)
  const cpu = cpuSeconds(stage.pid) - before
  if (result.opened === 0)
    throw new Refused(`none of ${count} sockets could connect: ${JSON.stringify(result.reasons)}`)
  refuseIfGeneratorBound('generator', result.generatorShare)
  return { result, cpu }
}

export const handshake: Scenario = {
  name: 'handshake',
  about:
    'authenticated and subscribed upgrades, 200 under way at a time; the first burst of a fresh process (a fifth as many) is cold',
  uses: ['sockets'],
  defaults: { sockets: 10_000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  quick: { sockets: 2000, rounds: 1 },
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
    { key: 'failed', label: 'failed, both', digits: 0, better: 'context' },
    { key: 'dropped', label: 'dropped after the 101', digits: 0, better: 'context' },
    { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
    { key: 'subjectBusy', label: 'subject busy, % of a core', digits: 0, better: 'context' },
    { key: 'receiverBusy', label: 'generator busy, % of a core', digits: 0, better: 'context' },
  ],
  round,
}
