import type { Ports, Question, WorkerAnswers, WorkerCall, WorkerResponse } from '../contract/workers.ts'
import type { Begin, Order, Word } from './messages.ts'

/** What the supervisor can ask of a running worker. */
export interface Orders {
  readonly stop: () => void
  readonly retire: () => void
}

/** What the supervisor may take beyond the time of a question, in ms. */
const ANSWERS_MARGIN_MS = 500

/** The supervisor, as a worker sees it. */
export class Parent {
  readonly begin: Promise<Begin>
  /** Resolves when this worker shall listen, with the ports of the others. */
  readonly due: Promise<Ports | undefined>
  #begin: (begin: Begin) => void = () => {}
  #isDue: (ports: Ports | undefined) => void = () => {}
  #orders: Orders | undefined
  #isLeaving = false
  /** Orders that came before the worker could follow them. */
  readonly #early: ('stop' | 'retire')[] = []
  #answer: ((call: WorkerCall) => Promise<WorkerResponse | undefined>) | undefined
  readonly #asked = new Map<number, (all: WorkerAnswers | undefined) => void>()
  #nextId = 0

  constructor() {
    this.begin = new Promise((resolve) => {
      this.#begin = resolve
    })
    this.due = new Promise((resolve) => {
      this.#isDue = resolve
    })
    process.on('message', (order: Order) => this.#take(order))
    // The supervisor was killed, so that this worker would go on without one. One that drains
    // already goes on with that: a second order would cut its sockets.
    process.on('disconnect', () => {
      if (!this.#isLeaving) this.#take({ order: 'stop' })
      for (const id of this.#asked.keys()) this.#answered(id, undefined)
    })
  }

  /** Says what follows the orders; those that came before are followed now. */
  follow(orders: Orders): void {
    this.#orders = orders
    for (const order of this.#early.splice(0)) orders[order]()
  }

  /** Says what answers the calls that other workers pass on. */
  serve(answer: (call: WorkerCall) => Promise<WorkerResponse | undefined>): void {
    this.#answer = answer
  }

  /** Asks all other workers. Undefined: the supervisor is gone, or does not answer in time. */
  ask(question: Question): Promise<WorkerAnswers | undefined> {
    if (!process.connected) return Promise.resolve(undefined)
    const id = this.#nextId++
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#answered(id, undefined), question.withinMs + ANSWERS_MARGIN_MS)
      this.#asked.set(id, (all) => {
        clearTimeout(late)
        resolve(all)
      })
      this.#say({ word: 'ask', id, question })
    })
  }

  /** Says that all is loaded: nothing but the listener is missing. */
  prepared(): void {
    this.#say({ word: 'prepared' })
  }

  listening(ports: Ports): void {
    this.#say({ word: 'listening', ports })
  }

  /** Hands the counters over, so that their sums do not fall when this worker ends. */
  last(page: string): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected)
        process.send?.({ word: 'last', page } satisfies Word, undefined, undefined, () => resolve())
      else resolve()
    })
  }

  /** Lets this process end: the channel would keep it alive. */
  leave(): void {
    if (process.connected) process.disconnect()
  }

  #take(order: Order): void {
    switch (order.order) {
      case 'begin':
        return this.#begin(order.begin)
      case 'listen':
        return this.#isDue(order.ports)
      case 'ping':
        return this.#say({ word: 'pong' })
      case 'answer':
        return void this.#reply(order.id, order.call)
      case 'answers':
        return this.#answered(order.id, order.all)
      default:
        this.#isLeaving = true
        if (this.#orders) this.#orders[order.order]()
        else this.#early.push(order.order)
    }
  }

  async #reply(id: number, call: WorkerCall): Promise<void> {
    const response = await this.#answer?.(call).catch(() => undefined)
    this.#say({ word: 'answer', id, response })
  }

  #answered(id: number, all: WorkerAnswers | undefined): void {
    this.#asked.get(id)?.(all)
    this.#asked.delete(id)
  }

  #say(word: Word): void {
    // The supervisor may have been killed meanwhile.
    if (process.connected) process.send?.(word, undefined, undefined, () => {})
  }
}
