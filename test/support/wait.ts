/** How long a test waits for an event: far longer than it takes on a slow machine. */
const PATIENCE_MS = 30_000
const LOOK_MS = 5
/**
 * Or so many times as long as a look took. One at a page of metrics takes 5 ms of CPU, and one each
 * 5 ms would take half of a processor from other test files.
 */
const LOOKS_PER_PAUSE = 5
const LONGEST_PAUSE_MS = 50

/**
 * PREFLIGHT_CHECK_TIMEOUT for tests: the maximum of the setting. With the default of 500 ms a check
 * fails on a slow machine.
 */
export const AMPLE_CHECK_TIMEOUT = '2s'

/** Polls `look` and returns its first truthy value. @throws an error with `what` after 30 s. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    const lookedAt = performance.now()
    const found = await look()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain for ${what}`)
    const pauseMs = (performance.now() - lookedAt) * LOOKS_PER_PAUSE
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(LOOK_MS, pauseMs), LONGEST_PAUSE_MS)))
  }
}

/** Resolves with `promise`. @throws an error with `what` after 30 s. */
export async function within<T>(promise: Promise<T>, what: string, patienceMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms in vain for ${what}`)), patienceMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Blocks this thread, and with it the event loop, without using the CPU. */
export function blockThread(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
