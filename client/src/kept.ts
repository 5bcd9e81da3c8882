import { parsed } from './frames.ts'
import { SAVE_MS } from './limits.ts'
import type { KeyValueStore } from './platform.ts'

/** What a session comes back with: the cursor of a message, and the ticket of the gateway. */
interface Entry {
  readonly cursor?: unknown
  readonly ticket?: string | undefined
  /** Until when the ticket is surely valid, in ms since the epoch. */
  readonly until?: number
}

/** The cursor and the ticket of a session, kept over a reload of the page. */
export class Kept {
  readonly #store: KeyValueStore | null | undefined
  readonly #key: string
  #timer: ReturnType<typeof setTimeout> | undefined
  #isForgotten = false
  /** The cursor of the newest message that the page has dealt with: a reload begins behind it. */
  declare cursor: string | undefined
  declare ticket: string | undefined
  #until = 0

  /** Without a store it keeps nothing. */
  constructor(store: KeyValueStore | null | undefined, key: string) {
    this.#store = store
    this.#key = key
  }

  /** Returns epoch and offset of the kept cursor; undefined and 0 without a cursor. */
  restore(): readonly [epoch: string | undefined, offset: number] {
    const kept = parsed(this.#store?.getItem(this.#key) ?? '') as Entry | null
    this.ticket = kept?.ticket
    this.#until = Number(kept?.until)
    const [cursor, epoch, offset] = /^([0-9a-z]+)\.(\d+)$/.exec(String(kept?.cursor)) ?? []
    this.cursor = cursor
    return [epoch, Number(offset ?? 0)]
  }

  /** The page has dealt with the message at `cursor`. The store gets it a moment later. */
  move(cursor: string): void {
    this.cursor = cursor
    this.#saveSoon()
  }

  /** The ticket, while it is surely valid by the clock of the page. */
  get validTicket(): string | undefined {
    if (Date.now() < this.#until) return this.ticket
    return undefined
  }

  /** The gateway has sent a ticket. */
  renew(ticket: string, expiresInMs: number | undefined): void {
    this.ticket = ticket
    // Without a time the ticket is never surely valid.
    this.#until = Date.now() + expiresInMs!
    this.#saveSoon()
  }

  #saveSoon(): void {
    if (this.#store && !this.#isForgotten) this.#timer ??= setTimeout(() => this.save(), SAVE_MS)
  }

  save(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.cursor && (!this.ticket || this.#isForgotten)) return
    const entry: Entry = { cursor: this.cursor, ticket: this.ticket, until: this.#until }
    try {
      this.#store?.setItem(this.#key, JSON.stringify(entry))
    } catch {
      // The store is full or forbidden: a reload begins again, and the session goes on.
    }
  }

  forget(): void {
    clearTimeout(this.#timer)
    this.cursor = undefined
    // A loop may still read what has arrived, and must not keep a cursor for it.
    this.#isForgotten = true
    try {
      this.#store?.removeItem(this.#key)
    } catch {
      // A store that refuses must not keep the socket open.
    }
  }
}
