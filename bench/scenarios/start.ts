/**
 * From the start of the process until it is ready, with Redis running: what a deployment waits for.
 */
import { nowUs } from '../load/clock.ts'
import type { Scenario, Values } from '../scenario.ts'
import { anonymousBytes, cpuSeconds } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'

/** The first start, with the process of the stage itself, has warmed the page cache. */
const STARTS = 5

async function round(stage: Stage): Promise<Values> {
  let child = stage.subject
  const starts: { readyMs: number; cpuMs: number; readyMb: number }[] = []
  for (let i = 0; i < STARTS; i++) {
    await child.end('SIGKILL')
    const startedUs = nowUs()
    child = await stage.startAgain()
    const readyMs = (nowUs() - startedUs) / 1000
    starts.push({ readyMs, cpuMs: cpuSeconds(child.pid) * 1000, readyMb: anonymousBytes(child.pid) / 1e6 })
  }
  return starts.sort((a, b) => a.readyMs - b.readyMs)[Math.floor(STARTS / 2)]!
}

export const start: Scenario = {
  name: 'start',
  about: `from the start of the process until it is ready, Redis running; the median of ${STARTS} starts`,
  uses: [],
  defaults: { sockets: 0, messages: 0, perSecond: 0, window: 0, rounds: 3 },
  quick: { rounds: 1 },
  metrics: [
    { key: 'readyMs', label: 'until ready, ms', digits: 0, better: 'lower' },
    { key: 'cpuMs', label: 'CPU until ready, ms', digits: 0, better: 'lower' },
    { key: 'readyMb', label: 'RssAnon when ready, MB', digits: 1, better: 'lower' },
  ],
  round,
}
