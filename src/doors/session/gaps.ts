import type { Connection } from '../../connection/connection.ts'
import { frameOf } from '../../sessions/frames.ts'

/** Sockets that get their notice in one turn of the event loop. A send takes about 5 us. */
const SLICE_SOCKETS = 200
/** More of a larger crowd: this share of those that wait. */
const SLICE_SHARE = 0.02
/** Behind the first slice. A message takes the notice of its socket along, in one send. */
const FIRST_PAUSE_MS = 150
/** Between two later slices. Messages are delivered meanwhile. */
const PAUSE_MS = 10

export interface GapNoticesParts {
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  /** Calls `work`, and ends the connection when it throws. */
  readonly guard: (connection: Connection, work: () => void) => void
}

/**
 * Says to sockets that messages between two moments may be missing. When Redis is back, ten
 * thousand notices take 80 ms, for which every message of every socket would wait. So up to 200
 * sockets get theirs at once, and the others with their next message or in slices. Holds one entry
 * for each socket at most.
 */
export class GapNotices {
  readonly #parts: GapNoticesParts
  readonly #waiting = new Map<Connection, Notice>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: GapNoticesParts) {
    this.#parts = parts
  }

  /** @param from @param to in ms since the epoch. */
  say(connections: readonly Connection[], from: number, to: number): void {
    const notice = new Notice(from, to)
    for (const connection of connections)
      this.#waiting.set(connection, this.#waiting.get(connection)?.and(notice) ?? notice)
    if (this.#timer === undefined) this.#slice(FIRST_PAUSE_MS)
  }

  /** Says what waits for these sockets, in front of the message that is for them. */
  sayBefore(members: readonly Connection[]): void {
    if (this.#waiting.size === 0) return
    // A notice may fill the send buffer of its socket, which then leaves the list.
    for (const member of members.slice()) this.sayNow(member)
  }

  /** Says at once what waits for a socket that is about to be closed. */
  sayNow(connection: Connection): void {
    const notice = this.#waiting.get(connection)
    if (notice === undefined) return
    this.#waiting.delete(connection)
    this.#parts.guard(connection, () => this.#parts.enqueue(connection, notice.frame))
  }

  #slice(pauseMs: number): void {
    let room = Math.max(SLICE_SOCKETS, Math.ceil(this.#waiting.size * SLICE_SHARE))
    for (const connection of this.#waiting.keys()) {
      if (room-- === 0) break
      this.sayNow(connection)
    }
    const next = () => this.#slice(PAUSE_MS)
    this.#timer = this.#waiting.size > 0 ? setTimeout(next, pauseMs).unref() : undefined
  }
}

/** One interval. All its sockets share one frame. */
class Notice {
  readonly #from: number
  readonly #to: number
  #frame: Buffer | undefined

  constructor(from: number, to: number) {
    this.#from = from
    this.#to = to
  }

  /** Returns the interval that contains this one and another. */
  and(other: Notice): Notice {
    return new Notice(Math.min(this.#from, other.#from), Math.max(this.#to, other.#to))
  }

  get frame(): Buffer {
    this.#frame ??= frameOf({
      type: 'control',
      command: 'gap',
      from: new Date(this.#from),
      to: new Date(this.#to),
    })
    return this.#frame
  }
}
