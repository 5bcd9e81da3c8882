import type { Config } from './table.ts'

/** Limits of an instance of which each worker gets an equal part. */
const PARTS = [
  'maxConnections',
  'reservedConnections',
  'connectRate',
  'refusedOpenMax',
  'maxBufferedBytes',
  'upstreamBufferMessages',
  'upstreamBufferBytes',
  'preflightExpectedRateBytes',
] as const satisfies readonly (keyof Config)[]
/** Limits of one client address, whose sockets the kernel spreads over the workers unevenly. */
const BY_ADDRESS = ['maxConnectionsPerIp', 'connectRatePerIp', 'refusedRatePerIp'] as const

type Key = (typeof PARTS)[number] | (typeof BY_ADDRESS)[number]

/** What one worker has of each limit that is set. */
export type Shares = Partial<Record<Key, number>>

/**
 * Returns the part of one of `workers` of each limit. 0 and limits that are not set stay as they
 * are, so they are missing. All parts together are at most the limit, or up to `workers` - 1 more
 * where it is small: each worker has at least 1. RESERVED_CONNECTIONS leaves a worker at least one
 * place for clients without a token where it leaves the instance one.
 *
 * A limit of an address gets more than its part, by twice the standard deviation of what the kernel
 * gives a worker: a client within its limit is hardly ever refused, and one that is over it gets up
 * to `workers` times these shares.
 */
export function sharesOf(config: Pick<Config, Key>, workers: number): Shares {
  const shares: Shares = {}
  for (const key of PARTS) {
    const limit = config[key]
    if (limit) shares[key] = Math.max(1, Math.floor(limit / workers))
  }
  const { reservedConnections: reserved, maxConnections: places } = shares
  if (reserved !== undefined && places !== undefined && config.reservedConnections! < config.maxConnections!)
    shares.reservedConnections = Math.min(reserved, places - 1)
  for (const key of BY_ADDRESS) {
    const limit = config[key]
    if (limit) shares[key] = Math.min(limit, Math.ceil(limit / workers + 2 * Math.sqrt(limit / workers)))
  }
  return shares
}

/** Returns the limits that all parts together exceed: those below the number of workers. */
export const exceeded = (config: Pick<Config, Key>, workers: number): readonly Key[] => {
  const shares = sharesOf(config, workers)
  return PARTS.filter((key) => (shares[key] ?? 0) * workers > (config[key] ?? 0))
}
