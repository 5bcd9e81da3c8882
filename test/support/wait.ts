/** How long a test waits for what must happen; far more than it takes, so that a slow machine does not fail it. */
const PATIENCE_MS = 15_000
const LOOK_MS = 5

/**
 * PREFLIGHT_CHECK_TIMEOUT for tests, the longest that it may be. With its default of 500 ms a check fails on a slow machine.
 */
export const AMPLE_CHECK_TIMEOUT = '2s'

/** Resolves with the first truthy value of `look`. @throws when there is none in 15 s, naming what was waited for. */
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

/** `promise`, or an error that names what did not come. */
export async function within<T>(promise: Promise<T>, what: string, patienceMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patienceMs} ms in vain for ${what}`)), patienceMs)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
