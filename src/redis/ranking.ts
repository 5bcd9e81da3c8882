/**
 * Which of many holders has most, as their numbers change: a binary heap with the largest on top.
 * A change costs the logarithm of their number.
 */
export class Ranking<T> {
  readonly #heap: T[] = []
  readonly #at = new Map<T, number>()
  readonly #amount: (each: T) => number

  /** @param amount of a holder, by which it is compared. Call `changed` when it has changed. */
  constructor(holders: Iterable<T>, amount: (each: T) => number) {
    this.#amount = amount
    for (const each of holders) this.changed(each)
  }

  /** The holder with the largest amount; undefined when no holder has anything. */
  get first(): T | undefined {
    return this.#heap[0]
  }

  /** Ranks a holder that is new, or whose amount is another one now. With nothing it leaves. */
  changed(each: T): void {
    if (this.#amount(each) === 0) return this.#remove(each)
    const at = this.#at.get(each) ?? this.#heap.length
    this.#sink(this.#rise(each, at), each)
  }

  #remove(each: T): void {
    const at = this.#at.get(each)
    if (at === undefined) return
    this.#at.delete(each)
    const last = this.#heap.pop()!
    if (last !== each) this.#sink(this.#rise(last, at), last)
  }

  /** Moves smaller parents of position `at` down. Returns the position that `each` gets. */
  #rise(each: T, at: number): number {
    let position = at
    while (position > 0) {
      const parent = (position - 1) >> 1
      if (this.#amount(this.#heap[parent]!) >= this.#amount(each)) break
      this.#place(this.#heap[parent]!, position)
      position = parent
    }
    this.#place(each, position)
    return position
  }

  #sink(at: number, each: T): void {
    let position = at
    for (let child = 2 * position + 1; child < this.#heap.length; child = 2 * position + 1) {
      const other = child + 1
      if (other < this.#heap.length && this.#amount(this.#heap[other]!) > this.#amount(this.#heap[child]!))
        child = other
      if (this.#amount(this.#heap[child]!) <= this.#amount(each)) break
      this.#place(this.#heap[child]!, position)
      position = child
    }
    this.#place(each, position)
  }

  #place(each: T, position: number): void {
    this.#heap[position] = each
    this.#at.set(each, position)
  }
}
