import { isPattern, isSessionChannel } from '../../contract/names.ts'
import { slotOf } from './slots.ts'

/** What one command carries: any number of plain channels, sharded ones of one slot, or one pattern. */
export interface Group {
  readonly kind: 'plain' | 'sharded' | 'pattern'
  readonly channels: string[]
}

/** Splits channels into what may go into one command each. `sharded`: session channels are. */
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
