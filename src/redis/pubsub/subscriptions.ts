/**
 * Which channels are wanted and which ones Redis has confirmed: pure state that says what to send.
 * At most one command per channel is in flight, so the order of the answers does not matter. When a
 * client leaves while another one arrives, only the wish changes; the next command follows from the
 * difference between wish and confirmation.
 */

const Actual = { off: 0, subscribing: 1, on: 2, unsubscribing: 3 } as const
const ACTUAL_BITS = 3
const WANTED = 4

/** Channels to send to Redis now. */
export interface PendingCommands {
  readonly subscribe: string[]
  readonly unsubscribe: string[]
}

export class ChannelSubscriptions {
  /**
   * Channel to `Actual` plus `WANTED`. A small integer each, because there are as many channels as
   * sockets.
   */
  readonly #states = new Map<string, number>()
  /** Channels whose state differs from the wish, with no command in flight. */
  #pending = new Set<string>()
  #confirmed = 0

  /** How many channels Redis has confirmed. */
  get confirmed(): number {
    return this.#confirmed
  }

  isConfirmed(channel: string): boolean {
    return this.#actual(channel) === Actual.on
  }

  isWanted(channel: string): boolean {
    return ((this.#states.get(channel) ?? 0) & WANTED) !== 0
  }

  want(channel: string): void {
    this.#set(channel, this.#actual(channel), true)
  }

  unwant(channel: string): void {
    this.#set(channel, this.#actual(channel), false)
  }

  /**
   * Returns what to send now, at most `max` channels, and counts it as sent. Empty lists: nothing
   * to send.
   */
  take(max: number): PendingCommands {
    const commands: PendingCommands = { subscribe: [], unsubscribe: [] }
    let room = max
    for (const channel of this.#pending) {
      if (room-- === 0) break
      this.#pending.delete(channel)
      const wanted = this.isWanted(channel)
      commands[wanted ? 'subscribe' : 'unsubscribe'].push(channel)
      this.#set(channel, wanted ? Actual.subscribing : Actual.unsubscribing, wanted)
    }
    return commands
  }

  /** Redis has confirmed a SUBSCRIBE. */
  subscribed(channels: readonly string[]): void {
    for (const channel of channels) this.#set(channel, Actual.on, this.isWanted(channel))
  }

  /** Redis has refused a SUBSCRIBE. It is sent again on the next connection. */
  refused(channel: string): void {
    this.#set(channel, Actual.off, this.isWanted(channel))
    this.#pending.delete(channel)
  }

  /** Redis has confirmed an UNSUBSCRIBE. */
  unsubscribed(channels: readonly string[]): void {
    for (const channel of channels) this.#set(channel, Actual.off, this.isWanted(channel))
  }

  /**
   * The connection was lost: nothing is subscribed any more, and every wanted channel has to be
   * sent again.
   */
  lost(): void {
    this.#confirmed = 0
    for (const [channel, state] of this.#states) this.#states.set(channel, state & WANTED)
    this.#pending = new Set()
    for (const [channel, state] of this.#states) this.#set(channel, Actual.off, state !== 0)
  }

  #actual(channel: string): number {
    return (this.#states.get(channel) ?? 0) & ACTUAL_BITS
  }

  #set(channel: string, actual: number, wanted: boolean): void {
    this.#confirmed += Number(actual === Actual.on) - Number(this.#actual(channel) === Actual.on)
    if (actual === Actual.off && !wanted) this.#states.delete(channel)
    else this.#states.set(channel, actual + (wanted ? WANTED : 0))
    const differs = actual === (wanted ? Actual.off : Actual.on)
    if (differs) this.#pending.add(channel)
    else this.#pending.delete(channel)
  }
}
