import { readFileSync } from 'node:fs'

/** Files beside the sockets: Redis, the log, the listeners, and those of Node itself. */
export const RESERVED_FILES = 64
/** Sockets of one process where nothing smaller limits them. */
const MOST_SOCKETS = 50_000

/**
 * Returns how many files this process may have open: the soft limit, which Node raises to the hard
 * one when it starts. Undefined where the system does not publish it.
 */
export function openFilesLimit(): number | undefined {
  let limits = ''
  try {
    limits = readFileSync('/proc/self/limits', 'latin1')
  } catch {
    return undefined
  }
  // The line is `Max open files <soft> <hard> files`.
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? []
  if (soft === 'unlimited') return Number.MAX_SAFE_INTEGER
  return soft === undefined ? undefined : Number(soft)
}

/** Returns MAX_CONNECTIONS, or where it is not set what the limit of open files allows. */
export const mostSockets = (setting: number | undefined, limit: number = openFilesLimit() ?? Infinity): number =>
  setting ?? Math.max(1, Math.min(MOST_SOCKETS, limit - RESERVED_FILES))
