/** The one clock of the bench: CLOCK_MONOTONIC, which all processes of a machine share. */

const OFFSET_US = Number(process.hrtime.bigint()) / 1000 - performance.now() * 1000

/** Microseconds since the machine booted; comparable between processes, to about a microsecond. Costs about 40 ns. */
export const nowUs = (): number => OFFSET_US + performance.now() * 1000

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Rejects with `what` when `work` takes longer than `ms`. The work itself is not stopped by it. */
export function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${what}: not done within ${ms / 1000} s`)), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
