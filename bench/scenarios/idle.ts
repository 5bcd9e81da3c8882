/** What an authenticated, subscribed socket costs while nothing happens. */
import { sleep } from '../load/clock.ts'
import type { Scenario, Settings, Values } from '../scenario.ts'
import { anonymousBytes, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { connectAll } from './crowd.ts'

const FIRST_SHARE = 0.1
const BURST_MS = 3000
/** V8 collects what a burst has left when a process has been calm for 8 s, and tries three times to begin (its memory reducer). */
const CALM_MS = 30_000

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const few = Math.round(sockets * FIRST_SHARE)
  await stage.redis.seedTokens(sockets)
  await connectAll(stage, 0, few)
  await sleep(CALM_MS)
  const low = anonymousBytes(stage.pid)
  await connectAll(stage, few, sockets - few)
  await sleep(BURST_MS)
  const burst = anonymousBytes(stage.pid)
  await sleep(CALM_MS - BURST_MS)
  const high = anonymousBytes(stage.pid)
  return {
    bytesPerSocket: (high - low) / (sockets - few),
    fewMb: low / 1e6,
    burstMb: burst / 1e6,
    allMb: high / 1e6,
    peakMb: peakBytes(stage.pid) / 1e6,
  }
}

export const idle: Scenario = {
  name: 'idle',
  about: 'memory with all sockets open and subscribed, after 30 s of calm; the slope from a tenth of them to all',
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
