/** What other sockets notice while something happens to the gateway. */
import { refuseIfBound, type Settings } from '../scenario.ts'
import { cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { exchange, paced } from './exchange.ts'

const CALL_MS = 5000

export interface Noticed {
  p99Ms: number
  maxMs: number
  /** Of the subject, as a percentage of a core. */
  busy: number
}

/**
 * The latencies while `settings.messages` are published at a given pace. `total` counts those of
 * earlier calls as well.
 */
export async function latenciesOfOthers(stage: Stage, settings: Settings, total: number): Promise<Noticed> {
  await stage.receiver.call('restart', {}, CALL_MS)
  const [startedAt, cpu] = [performance.now(), cpuSeconds(stage.pid)]
  const { published, arrivals } = await exchange(stage, paced, settings.messages, total, settings)
  const seconds = (performance.now() - startedAt) / 1000
  refuseIfBound('receiver', arrivals)
  refuseIfBound('publisher', published)
  const { p99, max } = arrivals.latencyMs
  return { p99Ms: p99, maxMs: max, busy: ((cpuSeconds(stage.pid) - cpu) / seconds) * 100 }
}
