/** What an authenticated, subscribed socket costs while nothing happens. */
import { sleep } from '../load/clock.ts'
import type { Scenario, Settings, Values } from '../scenario.ts'
import { anonymousBytes, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { connectAll } from './crowd.ts'

const FIRST_SHARE = 0.1
const BURST_MS = 3000
/**
 * V8 begins to give back what a burst has left when a process has been calm for 8 s, and often only at its third try (its memory reducer).
 * So the look is taken when memory has fallen and stood still since, or else after a minute.
 */
const LOOK_MS = 1000
const MOST_LOOKS = 60
const STILL_LOOKS = 10
const FALLEN = 0.8

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const few = Math.round(sockets * FIRST_SHARE)
  await stage.redis.seedTokens(sockets)
  await connectAll(stage, 0, few)
  const low = await calmBytes(stage.pid)
  await connectAll(stage, few, sockets - few)
  await sleep(BURST_MS)
  const burst = anonymousBytes(stage.pid)
  const high = await calmBytes(stage.pid)
  return {
    bytesPerSocket: (high - low) / (sockets - few),
    fewMb: low / 1e6,
    burstMb: burst / 1e6,
    allMb: high / 1e6,
    peakMb: peakBytes(stage.pid) / 1e6,
  }
}

async function calmBytes(pid: number): Promise<number> {
  const looks = [anonymousBytes(pid)]
  while (looks.length < MOST_LOOKS) {
    await sleep(LOOK_MS)
    looks.push(anonymousBytes(pid))
    if (looks.slice(-STILL_LOOKS).every((bytes) => bytes < Math.max(...looks) * FALLEN)) break
  }
  return looks.at(-1)!
}

export const idle: Scenario = {
  name: 'idle',
  about: 'memory with all sockets open and subscribed, in a calm process; the slope from a tenth of them to all',
  uses: ['sockets'],
  defaults: { sockets: 10_000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 3000, rounds: 1 },
  metrics: [
    { key: 'bytesPerSocket', label: 'bytes per socket (RssAnon slope)', digits: 0, better: 'lower' },
    { key: 'fewMb', label: 'RssAnon with a tenth, MB', digits: 1, better: 'lower' },
    { key: 'allMb', label: 'RssAnon with all, MB', digits: 1, better: 'lower' },
    { key: 'burstMb', label: 'RssAnon 3 s after the last upgrade, MB', digits: 1, better: 'lower' },
    { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
  ],
  round,
}
