/** What an authenticated, subscribed socket costs while nothing happens. */
import { sleep } from '../load/clock.ts'
import type { Scenario, Settings, Values } from '../scenario.ts'
import { anonymousBytes, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { connectAll } from './crowd.ts'

const FIRST_SHARE = 0.1
const LOOK_MS = 500
const CALM_LOOKS = 6
const CALM_BYTES = 512 * 1024
const MOST_LOOKS = 40

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  const few = Math.round(sockets * FIRST_SHARE)
  await stage.redis.seedTokens(sockets)
  await connectAll(stage, 0, few)
  const low = await settledBytes(stage.pid)
  await connectAll(stage, few, sockets - few)
  const high = await settledBytes(stage.pid)
  return {
    bytesPerSocket: (high - low) / (sockets - few),
    fewMb: low / 1e6,
    allMb: high / 1e6,
    peakMb: peakBytes(stage.pid) / 1e6,
  }
}

/** RssAnon once it has moved by less than 512 KiB for 3 s, or as it is after 20 s. No garbage collection is forced. */
async function settledBytes(pid: number): Promise<number> {
  const looks: number[] = []
  while (looks.length < MOST_LOOKS) {
    await sleep(LOOK_MS)
    looks.push(anonymousBytes(pid))
    const last = looks.slice(-CALM_LOOKS)
    if (last.length === CALM_LOOKS && Math.max(...last) - Math.min(...last) < CALM_BYTES) break
  }
  return looks.at(-1)!
}

export const idle: Scenario = {
  name: 'idle',
  about: 'memory with all sockets open and subscribed; the slope from a tenth of them to all',
  uses: ['sockets'],
  defaults: { sockets: 10_000, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  quick: { sockets: 3000, rounds: 1 },
  metrics: [
    { key: 'bytesPerSocket', label: 'bytes per socket (RssAnon slope)', digits: 0, better: 'lower' },
    { key: 'fewMb', label: 'RssAnon with a tenth, MB', digits: 1, better: 'lower' },
    { key: 'allMb', label: 'RssAnon with all, MB', digits: 1, better: 'lower' },
    { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
  ],
  round,
}
