/** The one clock of the bench: CLOCK_MONOTONIC, which all processes of a machine share. */

const LOOKS = 50

/**
 * The offset between `performance.now()` and that clock. The two cannot be read at the same moment,
 * and a starting process may be interrupted in between for milliseconds, so the quickest of several
 * readings counts.
 */
function offsetUs(): number {
  let best = { tookNs: Number.POSITIVE_INFINITY, offsetUs: 0 }
  for (let i = 0; i < LOOKS; i++) {
    const before = process.hrtime.bigint()
    const ms = performance.now()
    const tookNs = Number(process.hrtime.bigint() - before)
    if (tookNs < best.tookNs) best = { tookNs, offsetUs: (Number(before) + tookNs / 2) / 1000 - ms * 1000 }
  }
  return best.offsetUs
}

const OFFSET_US = offsetUs()

/**
 * Microseconds since the machine booted. Comparable between processes, to about a microsecond.
 * Costs about 40 ns.
 */
export const nowUs = (): number => OFFSET_US + performance.now() * 1000

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Rejects with `what` when `work` takes longer than `ms`. The work itself is not cancelled. */
export function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what}: not done within ${ms / 1000} s`)), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
