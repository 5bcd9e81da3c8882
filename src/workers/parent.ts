import type { Begin, Order, Ports, Word } from './messages.ts'

/** What the supervisor can ask of a running worker. */
export interface Orders {
  readonly stop: () => void
  readonly retire: () => void
}

/** The supervisor, as a worker sees it. */
export class Parent {
  readonly begin: Promise<Begin>
  #begin: (begin: Begin) => void = () => {}
  #orders: Orders | undefined
  /** Orders that came before the worker could follow them. */
  readonly #early: Order[] = []

  constructor() {
    this.begin = new Promise((resolve) => {
      this.#begin = resolve
    })
    process.on('message', (order: Order) => this.#take(order))
    // The supervisor was killed, so that this worker would go on without one.
    process.on('disconnect', () => this.#take({ order: 'stop' }))
  }

  /** Says what follows the orders; those that came before are followed now. */
  follow(orders: Orders): void {
    this.#orders = orders
    for (const order of this.#early.splice(0)) this.#take(order)
  }

  listening(ports: Ports): void {
    this.#say({ word: 'listening', ports })
  }

  /** Lets this process end: the channel would keep it alive. */
  leave(): void {
    if (process.connected) process.disconnect()
  }

  #take(order: Order): void {
    if (order.order === 'begin') this.#begin(order.begin)
    else if (!this.#orders) this.#early.push(order)
    else this.#orders[order.order]()
  }

  #say(word: Word): void {
    // The supervisor may have been killed meanwhile.
    if (process.connected) process.send?.(word, undefined, undefined, () => {})
  }
}
