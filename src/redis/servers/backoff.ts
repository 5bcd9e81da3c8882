const FIRST_RETRY_MS = 50
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 5000
/** A pause is at most this share of the outage so far, and so is what it adds to the outage. */
const RETRY_SHARE = 0.1

/**
 * Returns the pause in ms before the next attempt: at most 50 ms after the first failure, then a
 * tenth of the time since that failure, from 100 ms to 5 s. Jitter over the upper half keeps
 * instances from reconnecting together.
 */
export function backoffMs(failures: number, awayMs: number, random: () => number): number {
  if (failures <= 1) return FIRST_RETRY_MS * random()
  const longest = Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, awayMs * RETRY_SHARE))
  return longest * (0.5 + random() / 2)
}
