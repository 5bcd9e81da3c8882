import { readdirSync, readFileSync, statSync } from 'node:fs'

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

/** The settings that decide it. */
interface Settings {
  readonly maxConnections: number | undefined
  readonly trustProxy: string
}

/** How many files a client takes: with the relay also both ends of its connection to the doors. */
export const filesPerSocket = ({ trustProxy }: Pick<Settings, 'trustProxy'>): number =>
  trustProxy === 'proxy-protocol' ? 3 : 1

/** Returns how many sockets the limit of open files allows. */
export const socketsWithin = (limit: number, perSocket: number): number =>
  Math.max(1, Math.floor((limit - RESERVED_FILES) / perSocket))

/** Returns MAX_CONNECTIONS, or where it is not set what the limit of open files allows. */
export const mostSockets = (settings: Settings, limit: number = openFilesLimit() ?? Infinity): number =>
  settings.maxConnections ?? Math.min(MOST_SOCKETS, socketsWithin(limit, filesPerSocket(settings)))

const OPEN_FILES = '/proc/self/fd'
/** Where only a list says how many files are open, it is read again after this time, in ms. */
const LISTED_FOR_MS = 60_000
let listed = { count: 0, at: Number.NEGATIVE_INFINITY }

/**
 * Returns how many files this process has open. Linux 6.2 and later give the number as the size of
 * the folder. Before, all entries are listed, so the number may be a minute old.
 */
export function openFiles(): number {
  const { size } = statSync(OPEN_FILES)
  if (size > 0) return size
  const now = performance.now()
  if (now - listed.at >= LISTED_FOR_MS) listed = { count: readdirSync(OPEN_FILES).length, at: now }
  return listed.count
}
