/**
 * An open loop: a fixed number each millisecond, at the moment at which they are due, so that a wait anywhere counts as latency,
 * also one of the generator itself (no coordinated omission).
 */
import { createHistogram } from 'node:perf_hooks'
import { nowUs } from './clock.ts'

const TICK_US = 1000

export interface Pace {
  count: number
  perSecond: number
  /** So many at a time, never a part of them; 1 without it. */
  burst?: number
}

/** Calls `write(count, dueUs)` until all are written, whenever some are due and `ready()`. Resolves with the p99 of how late it was, in ms. */
export function keepPace(
  pace: Pace,
  ready: () => boolean,
  write: (count: number, dueUs: number) => void,
): Promise<number> {
  const lagUs = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 })
  const startUs = nowUs() + TICK_US
  return new Promise((resolve) => {
    let [tick, written] = [0, 0]
    const step = () => {
      sleepUntil(startUs + tick * TICK_US)
      while (startUs + tick * TICK_US <= nowUs() && ready()) {
        const due = dueAfter(pace, tick + 1) - written
        if (due > 0) write(due, startUs + tick * TICK_US)
        written += due
        lagUs.record(Math.max(1, Math.round(nowUs() - startUs - tick * TICK_US)))
        tick++
      }
      if (written >= pace.count) resolve(lagUs.percentile(99) / 1000)
      else setImmediate(step)
    }
    step()
  })
}

/** How many are due in the first `ticks` milliseconds, all together. */
export function dueAfter({ count, perSecond, burst = 1 }: Pace, ticks: number): number {
  return Math.min(count, Math.floor((ticks * perSecond * TICK_US) / 1e6 / burst) * burst)
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps this thread: timers of the event loop are a millisecond coarse, this one is exact to about 50 us. */
function sleepUntil(us: number): void {
  const ms = (us - nowUs()) / 1000
  if (ms > 0) Atomics.wait(NEVER, 0, 0, ms)
}
