import calculateSlot from 'cluster-key-slot'
import type { Place } from '../config/redis-servers.ts'
import { bracketed } from '../platform/address.ts'

/** Slots of a Redis Cluster. */
export const SLOT_COUNT = 16384

/**
 * The slot of a key or sharded channel: CRC16 of the name or of its hash tag (Redis Cluster
 * specification).
 */
export const slotOf = (name: string): number => calculateSlot(name)

/** What a node says in place of a host that it does not know. */
const UNKNOWN = '?'

/** A range of slots and the address (`host:port`) of its primary. */
export interface SlotRange {
  readonly first: number
  readonly last: number
  readonly address: string
}

/**
 * Parses a reply to `CLUSTER SLOTS`. Each entry lists the primary first. A node that does not know
 * its own address leaves the host empty or says `?`; then it is the address in its metadata, else
 * `askedHost`, the host that was asked.
 * @throws when the reply has no slots.
 */
export function parseSlots(reply: unknown, askedHost: string): SlotRange[] {
  const entries = reply as [number, number, [string | null, number, string?, unknown?]][]
  if (!Array.isArray(entries) || entries.length === 0) throw new Error('the cluster has assigned no slots yet')
  return entries.map(([first, last, [host, port, , metadata]]) => ({
    first,
    last,
    address: `${bracketed(hostIn(host, metadata) ?? askedHost)}:${port}`,
  }))
}

/**
 * The host of a node; undefined where it does not say one. A node that prefers its host name and
 * has none says `?`, and gives its IP address in the metadata (redis.io: CLUSTER SLOTS).
 */
function hostIn(host: string | null, metadata: unknown): string | undefined {
  if (host && host !== UNKNOWN) return host
  const pairs = Array.isArray(metadata) ? metadata.map(String) : []
  const of = (name: string) => pairs[pairs.findIndex((each, i) => i % 2 === 0 && each === name) + 1]
  const found = pairs.includes('ip') ? of('ip') : pairs.includes('hostname') ? of('hostname') : undefined
  return found && found !== UNKNOWN ? found : undefined
}

/** Splits the address of a slot map, where an IPv6 host may stand in brackets. */
export function endpointOf(address: string): Place {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}
