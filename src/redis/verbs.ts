import { isPattern, isSessionChannel } from '../contract/topics.ts'
import type { Client } from './link.ts'
import { slotOf } from './slots.ts'

export type Listener = (payload: Buffer, channel: Buffer) => void

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

/** SUBSCRIBE, SSUBSCRIBE or PSUBSCRIBE; resolves when Redis has confirmed all of it. */
export function subscribe(client: Client, { kind, channels }: Group, listener: Listener): Promise<void> {
  if (kind === 'pattern') return client.pSubscribe(channels, listener, true)
  return kind === 'sharded' ? client.sSubscribe(channels, listener, true) : client.subscribe(channels, listener, true)
}

/** The opposite. Without its listener node-redis forgets a channel that is subscribed again before the answer. */
export function unsubscribe(client: Client, { kind, channels }: Group, listener: Listener): Promise<void> {
  if (kind === 'pattern') return client.pUnsubscribe(channels, listener, true)
  return kind === 'sharded'
    ? client.sUnsubscribe(channels, listener, true)
    : client.unsubscribe(channels, listener, true)
}
