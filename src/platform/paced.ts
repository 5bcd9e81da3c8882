/** The clock and the schedule. Tests replace them. */
export interface PaceLoop {
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Calls `run` in the next turn of the event loop. */
  soon(run: () => void): void
  /** Calls `run` after so many milliseconds. */
  later(run: () => void, ms: number): void
}

const LOOP: PaceLoop = {
  now: () => performance.now(),
  soon: (run) => void setImmediate(run),
  later: (run, ms) => void setTimeout(run, ms).unref(),
}

/** Work in one turn of the event loop. A message that arrives meanwhile waits for this time. */
const STEP_MS = 0.3
/** A few items are spread over as many milliseconds. */
const MS_PER_ITEM = 1

/**
 * Does the same work for many items without stopping the event loop: each turn does a short step,
 * and the steps are spread over a window. The first item is done at once. When the work takes
 * longer than the window, the steps go on in turn with everything else until all of it is done.
 */
export class Paced<Item, Detail> {
  readonly #work: (item: Item, detail: Detail) => void
  readonly #windowMs: number
  readonly #loop: PaceLoop
  readonly #waiting = new Map<Item, Detail>()
  /** Kept from step to step: a new one would pass over all deleted entries. */
  #rest: MapIterator<[Item, Detail]> | undefined
  #endsAt = 0
  #steppedAt = 0

  /** @param work must not throw. */
  constructor(work: (item: Item, detail: Detail) => void, windowMs: number, loop = LOOP) {
    this.#work = work
    this.#windowMs = windowMs
    this.#loop = loop
  }

  /** Items whose work is to be done. */
  get size(): number {
    return this.#waiting.size
  }

  /** Returns false when the item waits already: its first detail counts. */
  add(item: Item, detail: Detail): boolean {
    if (this.#waiting.has(item)) return false
    this.#waiting.set(item, detail)
    if (this.#rest !== undefined) return true
    this.#rest = this.#waiting.entries()
    this.#steppedAt = this.#loop.now()
    this.#endsAt = this.#steppedAt + this.#windowMs
    this.#step()
    return true
  }

  has(item: Item): boolean {
    return this.#waiting.has(item)
  }

  readonly #step = (): void => {
    const { now, soon, later } = this.#loop
    if (this.#waiting.size === 0) {
      this.#rest = undefined
      return
    }
    const startedAt = now()
    let share = this.#share(startedAt)
    this.#steppedAt = startedAt
    while (share-- > 0 && this.#waiting.size > 0) {
      const [item, detail] = this.#rest!.next().value!
      // The work may add it again.
      this.#waiting.delete(item)
      this.#work(item, detail)
      if (now() - startedAt >= STEP_MS) return soon(this.#step)
    }
    later(this.#step, 1)
  }

  /** How many items the time since the last step is worth, at least one. */
  #share(now: number): number {
    const elapsedMs = now - this.#steppedAt
    const leftMs = Math.min(this.#endsAt - this.#steppedAt, this.#waiting.size * MS_PER_ITEM)
    if (elapsedMs >= leftMs) return Number.POSITIVE_INFINITY
    return Math.max(1, Math.ceil((this.#waiting.size * elapsedMs) / leftMs))
  }
}

/** Items that are looked at between two looks at the clock. */
const PER_LOOK = 16
/** Of a walk that is spread. */
const PAUSE_MS = 10

/**
 * Looks at all items of a set without stopping the event loop: each turn looks at some. `again`
 * while it is under way makes it begin anew behind its end.
 */
export class PacedWalk<Item> {
  readonly #items: Iterable<Item>
  readonly #look: (item: Item, now: number) => void
  readonly #loop: PaceLoop
  #rest: Iterator<Item> | undefined
  #perPause = Number.POSITIVE_INFINITY
  #isAgain = false

  /**
   * @param items may change meanwhile, as a Set may.
   * @param look must not throw. Its second argument is when the turn began.
   */
  constructor(items: Iterable<Item>, look: (item: Item, now: number) => void, loop = LOOP) {
    this.#items = items
    this.#look = look
    this.#loop = loop
  }

  /**
   * Looks at all items, those first that fit in this turn.
   * @param perPause the walk pauses for 10 ms after so many items.
   */
  again(perPause = Number.POSITIVE_INFINITY): void {
    this.#perPause = perPause
    if (this.#rest !== undefined) {
      this.#isAgain = true
      return
    }
    this.#rest = this.#items[Symbol.iterator]()
    this.#step()
  }

  readonly #step = (): void => {
    const { now, soon, later } = this.#loop
    const startedAt = now()
    for (let count = 1; ; count++) {
      const next = this.#rest!.next()
      if (next.done) break
      this.#look(next.value, startedAt)
      if (count >= this.#perPause) return later(this.#step, PAUSE_MS)
      if (count % PER_LOOK === 0 && now() - startedAt >= STEP_MS) return soon(this.#step)
    }
    this.#rest = undefined
    if (!this.#isAgain) return
    this.#isAgain = false
    this.again(this.#perPause)
  }
}
