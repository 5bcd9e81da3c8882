/** Authenticated upgrades: token check and confirmed subscription before the 101, 200 under way at a time. */
import type { Scenario, Settings, Values } from '../scenario.ts'
import { cpuSeconds, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { connectAll, connectSome } from './crowd.ts'

const WARM_UP_SHARE = 0.2
const CALL_MS = 5000

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const warmUp = Math.round(sockets * WARM_UP_SHARE)
  await stage.redis.seedTokens(warmUp + sockets)
  await connectAll(stage, 0, warmUp)
  const before = cpuSeconds(stage.pid)
  const result = await connectSome(stage, warmUp, sockets)
  const cpu = cpuSeconds(stage.pid) - before
  const { open } = await stage.receiver.call('sockets', {}, CALL_MS)
  return {
    perCoreSecond: result.opened / cpu,
    cpuUs: (cpu * 1e6) / result.opened,
    perSecond: result.opened / result.seconds,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    failed: result.failed,
    dropped: warmUp + result.opened - open,
    peakMb: peakBytes(stage.pid) / 1e6,
    subjectBusy: (cpu / result.seconds) * 100,
    receiverBusy: result.generatorShare * 100,
  }
}

export const handshake: Scenario = {
  name: 'handshake',
  about: 'authenticated and subscribed upgrades, 200 under way at a time',
  uses: ['sockets'],
  defaults: { sockets: 10_000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  quick: { sockets: 2000, rounds: 1 },
  metrics: [
    { key: 'perCoreSecond', label: 'handshakes per core-second', digits: 0, better: 'higher' },
    { key: 'cpuUs', label: 'CPU per handshake, us', digits: 1, better: 'lower' },
    { key: 'perSecond', label: 'handshakes per second', digits: 0, better: 'higher' },
    { key: 'p50Ms', label: 'handshake p50, ms', digits: 1, better: 'lower' },
    { key: 'p99Ms', label: 'handshake p99, ms', digits: 1, better: 'lower' },
    { key: 'failed', label: 'failed', digits: 0, better: 'context' },
    { key: 'dropped', label: 'dropped after the 101', digits: 0, better: 'context' },
    { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
    { key: 'subjectBusy', label: 'subject busy, % of a core', digits: 0, better: 'context' },
    { key: 'receiverBusy', label: 'generator busy, % of a core', digits: 0, better: 'context' },
  ],
  round,
}
