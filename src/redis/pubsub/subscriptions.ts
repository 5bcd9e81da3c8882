/**
 * Which channels are wanted and which Redis has confirmed, as pure state that says what to send. At most one command a channel is under way,
 * so what is right does not depend on the order in which answers come: whoever leaves while another arrives changes the wish, and the
 * next command follows from the difference.
 */

const Actual = { off: 0, subscribing: 1, on: 2, unsubscribing: 3 } as const
const WANTED = 4

export interface Commands {
  readonly subscribe: string[]
  readonly unsubscribe: string[]
}

export class Subscriptions {
  /** Channel to `Actual` plus `WANTED`: a small number each, since there are as many channels as sockets. */
  readonly #states = new Map<string, number>()
  #todo = new Set<string>()
  #confirmed = 0

  /** Channels that Redis has confirmed. */
  get confirmed(): number {
    return this.#confirmed
  }

  isConfirmed(channel: string): boolean {
    return this.#actual(channel) === Actual.on
  }

  /** Whether somebody wants the channel. */
  isWanted(channel: string): boolean {
    return ((this.#states.get(channel) ?? 0) & WANTED) !== 0
  }

  want(channel: string): void {
    this.#set(channel, this.#actual(channel), true)
  }

  unwant(channel: string): void {
    this.#set(channel, this.#actual(channel), false)
  }

  /** What to send now, at most `most` channels; it counts as sent. Empty lists: nothing to do. */
  take(most: number): Commands {
    const commands: Commands = { subscribe: [], unsubscribe: [] }
    let room = most
    for (const channel of this.#todo) {
      if (room-- === 0) break
      this.#todo.delete(channel)
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

  /** Redis has refused a SUBSCRIBE; it is asked again on the next connection. */
  refused(channel: string): void {
    this.#set(channel, Actual.off, this.isWanted(channel))
    this.#todo.delete(channel)
  }

  /** Redis has confirmed an UNSUBSCRIBE. */
  unsubscribed(channels: readonly string[]): void {
    for (const channel of channels) this.#set(channel, Actual.off, this.isWanted(channel))
  }

  /** The connection is gone: nothing is subscribed, everything wanted is to be sent again. */
  lost(): void {
    this.#confirmed = 0
    for (const [channel, state] of this.#states) this.#states.set(channel, state & WANTED)
    this.#todo = new Set()
    for (const [channel, state] of this.#states) this.#set(channel, Actual.off, state !== 0)
  }

  #actual(channel: string): number {
    return (this.#states.get(channel) ?? 0) & 3
  }

  #set(channel: string, actual: number, wanted: boolean): void {
    this.#confirmed += Number(actual === Actual.on) - Number(this.#actual(channel) === Actual.on)
    if (actual === Actual.off && !wanted) this.#states.delete(channel)
    else this.#states.set(channel, actual + (wanted ? WANTED : 0))
    const differs = actual === (wanted ? Actual.off : Actual.on)
    if (differs) this.#todo.add(channel)
    else this.#todo.delete(channel)
  }
}
