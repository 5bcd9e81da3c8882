/** What a soak samples of the gateway: memory, files, handles and subscriptions. */
import { readdirSync } from 'node:fs'
import { anonymousBytes, cpuSeconds, residentBytes } from '../stage/procfs.ts'
import type { Series } from './growth.ts'

const MB = 1e6

/**
 * Limits for a constant number of sockets. Handles, channels and files go up and down by the
 * sockets that are just coming back, so their slack is a few of these.
 */
export const WATCHED: Series[] = [
  { key: 'anonymousMb', label: 'private memory (RssAnon), MB', digits: 1, perHour: 1, slack: 6 },
  { key: 'residentMb', label: 'resident memory (RSS), MB', digits: 1, perHour: 1, slack: 8 },
  { key: 'heapMb', label: 'heap of V8 in use, MB', digits: 1, perHour: 1, slack: 6 },
  { key: 'files', label: 'open files', digits: 0, perHour: 1, slack: 4 },
  { key: 'handles', label: 'active handles of Node', digits: 0, perHour: 1, slack: 4 },
  { key: 'resources', label: 'active resources of Node', digits: 0, perHour: 1, slack: 6 },
  { key: 'channels', label: 'channels that Redis serves', digits: 0, perHour: 1, slack: 4 },
  { key: 'confirmed', label: 'channels in the gateway', digits: 0, perHour: 1, slack: 4 },
]

export type Values = Record<string, number>

/** Samples a gateway. Throws when it does not answer: a scrape needs no Redis. */
export async function sampleOf(pid: number, port: number, channels: () => Promise<number>): Promise<Values> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(30_000) })
  const page = await response.text()
  const metric = (name: string) => {
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1]
    if (value === undefined) throw new Error(`/metrics has no ${name} (status ${response.status})`)
    return Number(value)
  }
  return {
    cpuSeconds: cpuSeconds(pid),
    anonymousMb: anonymousBytes(pid) / MB,
    residentMb: residentBytes(pid) / MB,
    heapMb: metric('nodejs_heap_size_used_bytes') / MB,
    files: readdirSync(`/proc/${pid}/fd`).length,
    handles: metric('nodejs_active_handles_total'),
    resources: metric('nodejs_active_resources_total'),
    channels: await channels(),
    confirmed: metric('wsproxy_redis_pubsub_channels_active'),
  }
}
