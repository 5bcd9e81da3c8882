/** What an authenticated, subscribed socket costs while nothing happens. */

import { connectAll, refuseUnless, seed } from '../acts/crowd.ts'
import { sleep } from '../load/clock.ts'
import { Refused, type Scenario, type Settings, type Values } from '../scenario.ts'
import { anonymousBytes, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'

const FIRST_SHARE = 0.1
const BURST_MS = 3000
/**
 * V8's memory reducer starts to give back what a burst left once a process has been calm for 8 s,
 * and often succeeds only at its third try. So memory is read when it has fallen and then stood
 * still, or after a minute.
 */
const LOOK_MS = 1000
const MOST_LOOKS = 60
const STILL_LOOKS = 10
const FALLEN = 0.8
const STILL = 0.02

async function round(stage: Stage, { sockets }: Settings): Promise<Values> {
  if (sockets < 2) throw new Refused('a slope needs two sockets at least')
  const few = Math.max(1, Math.round(sockets * FIRST_SHARE))
  await seed(stage, sockets)
  await connectAll(stage, 0, few)
  const low = await calmBytes(stage.pid)
  await connectAll(stage, few, sockets - few)
  await sleep(BURST_MS)
  const burst = anonymousBytes(stage.pid)
  const high = await calmBytes(stage.pid)
  await refuseUnless(stage, { sockets, channels: sockets }) // a socket that was closed meanwhile would cost nothing
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
  while (looks.length < MOST_LOOKS && !isCalm(looks)) {
    await sleep(LOOK_MS)
    looks.push(anonymousBytes(pid))
  }
  return looks.at(-1)!
}

/** Whether memory, read once a second, has fallen and then stood still. */
export function isCalm(looks: number[]): boolean {
  const last = looks.slice(-STILL_LOOKS)
  const [least, most] = [Math.min(...last), Math.max(...last)]
  return last.length === STILL_LOOKS && most < Math.max(...looks) * FALLEN && most - least <= most * STILL
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
