/**
 * An open loop: sends a fixed number each millisecond, at the moment at which they are due. So
 * every wait counts as latency, also a wait of the generator itself (no coordinated omission).
 */
import { createHistogram } from 'node:perf_hooks'
import { nowUs } from './clock.ts'

const TICK_US = 1000

export interface Pace {
  count: number
  perSecond: number
  /** Send in whole bursts of this size; 1 by default. */
  burst?: number
}

/**
 * Calls `write(count, dueUs)` until all are written, whenever some are due and `ready()`. Resolves
 * with the p99 of the delay behind the schedule, in ms.
 */
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

/** The number that is due in the first `ticks` milliseconds. */
export function dueAfter({ count, perSecond, burst = 1 }: Pace, ticks: number): number {
  return Math.min(count, Math.floor((ticks * perSecond * TICK_US) / 1e6 / burst) * burst)
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/**
 * Puts this thread to sleep. Timers of the event loop have a resolution of a millisecond; this is
 * exact to about 50 us.
 */
function sleepUntil(us: number): void {
  const ms = (us - nowUs()) / 1000
  if (ms > 0) Atomics.wait(NEVER, 0, 0, ms)
}
