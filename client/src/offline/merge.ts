import type { Envelope } from '../live.gen.ts'

/** Which of two changes of one thing counts, and why. */
export interface Verdict {
  readonly winner: 'local' | 'remote'
  /**
   * `newer`: the higher `ts`. `tie-break`: the same `ts`, and the larger correlation id.
   * `tombstone`: the newer one is a delete. `duplicate`: both are the same change.
   */
  readonly reason: 'newer' | 'tie-break' | 'tombstone' | 'duplicate'
}

/**
 * Compares two changes of one thing: the last write wins. The order is total, so any number of
 * changes leads to one result, in whatever order and however often they come.
 */
export function decide(local: Envelope | undefined, remote: Envelope): Verdict {
  if (local?.correlation_id === remote.correlation_id) return { winner: 'local', reason: 'duplicate' }
  const isTie = local?.ts === remote.ts
  const isRemote = !local || (isTie ? local.correlation_id < remote.correlation_id : local.ts < remote.ts)
  const { op } = isRemote ? remote : local
  return {
    winner: isRemote ? 'remote' : 'local',
    reason: isTie ? 'tie-break' : op === 'delete' ? 'tombstone' : 'newer',
  }
}

/** The change that counts of two. */
export const merge = (local: Envelope | undefined, remote: Envelope): Envelope =>
  decide(local, remote).winner === 'remote' ? remote : local!

/** A UUID of version 7 (RFC 9562): the ids of one page sort by time. */
export function uuid(now: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, now / 2 ** 32)
  view.setUint32(2, now)
  bytes[6] = (bytes[6]! & 15) | 112
  bytes[8] = (bytes[8]! & 63) | 128
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
