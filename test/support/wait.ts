/** How long a test waits for an event: far longer than it takes on a slow machine. */
const PATIENCE_MS = 30_000
const LOOK_MS = 5

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
    const found = await look()
    if (found) return found
    if (Date.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
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
