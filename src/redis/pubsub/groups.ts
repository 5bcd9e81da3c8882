import { isPattern, isSessionChannel } from '../../contract/names.ts'
import { slotOf } from '../slots.ts'

/**
 * The channels of one command: any number of plain ones, sharded ones of one slot, or a single
 * pattern.
 */
export interface Group {
  readonly kind: 'plain' | 'sharded' | 'pattern'
  readonly channels: string[]
}

/**
 * Splits channels into groups, one per command. `sharded`: session channels use sharded pub/sub.
 */
export function groups(channels: string[], sharded: boolean): Group[] {
  if (channels.length === 0) return []
  const plain: string[] = []
  const patterns: Group[] = []
  const slots = new Map<number, string[]>()
  for (const channel of channels) {
    if (isPattern(channel)) patterns.push({ kind: 'pattern', channels: [channel] })
    else if (!sharded || !isSessionChannel(channel)) plain.push(channel)
    else {
      const slot = slotOf(channel)
      const sameSlot = slots.get(slot)
      if (sameSlot) sameSlot.push(channel)
      else slots.set(slot, [channel])
    }
  }
  return [
    ...(plain.length > 0 ? [{ kind: 'plain', channels: plain } as const] : []),
    ...Array.from(slots.values(), (sameSlot) => ({ kind: 'sharded', channels: sameSlot }) as const),
    ...patterns,
  ]
}
