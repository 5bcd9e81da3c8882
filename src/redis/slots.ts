import calculateSlot from 'cluster-key-slot'
import { bracketed } from '../platform/address.ts'

/** Slots of a Redis Cluster. */
export const SLOT_COUNT = 16384

/**
 * The slot of a key or sharded channel: CRC16 of the name or of its hash tag (Redis Cluster
 * specification).
 */
export const slotOf = (name: string): number => calculateSlot(name)

/** A range of slots and the address (`host:port`) of its primary. */
export interface SlotRange {
  readonly first: number
  readonly last: number
  readonly address: string
}

/**
 * Parses a reply to `CLUSTER SLOTS`. Each entry lists the primary first. A node that does not know
 * its own address leaves the host empty; then it is `askedHost`, the host that was asked.
 * @throws when the reply has no slots.
 */
export function parseSlots(reply: unknown, askedHost: string): SlotRange[] {
  const entries = reply as [number, number, [string | null, number, ...unknown[]]][]
  if (!Array.isArray(entries) || entries.length === 0) throw new Error('the cluster has assigned no slots yet')
  return entries.map(([first, last, [host, port]]) => ({
    first,
    last,
    address: `${bracketed(host || askedHost)}:${port}`,
  }))
}
