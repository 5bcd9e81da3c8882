import { type ChildProcess, fork } from 'node:child_process'
import type { Ports, Question, WorkerResponse } from '../contract/workers.ts'
import type { Begin, Order, Word } from './messages.ts'

/** How a worker ended. */
export interface Ended {
  /** Null: a signal ended it. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

export interface WorkerEvents {
  readonly prepared: () => void
  readonly listening: (ports: Ports) => void
  readonly asks: (id: number, question: Question) => void
  readonly answers: (id: number, response: WorkerResponse | undefined) => void
  /** It has given its last page, and answers no question any more. */
  readonly done: () => void
  readonly ended: (how: Ended) => void
}

/** One worker, as the supervisor sees it. */
export class WorkerProcess {
  readonly number: number
  readonly #child: ChildProcess
  /** When it began to listen; undefined before. */
  listeningSince: number | undefined
  /** Whether the supervisor wants it to end. */
  isLeaving = false
  /** Whether it has given its last page. */
  isDone = false
  /** Its newest page of metrics that the supervisor has seen. */
  page = ''
  /** Pings in a row without an answer. */
  unanswered = 0
  readonly ended: Promise<Ended>

  constructor(number: number, begin: Begin, events: WorkerEvents) {
    this.number = number
    // Its log and its complaints go where those of the supervisor go.
    this.#child = fork(process.argv[1]!, ['worker', String(number)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.order({ order: 'begin', begin })
    this.#child.on('message', (word: Word) => this.#hear(word, events))
    this.ended = new Promise((resolve) => {
      let hasEnded = false
      const end = (how: Ended) => {
        if (hasEnded) return
        hasEnded = true
        resolve(how)
        events.ended(how)
      }
      // `exit` does not follow when no process could be made; `close` may.
      this.#child.once('error', () => this.#child.pid === undefined && end({ status: 1, signal: null }))
      // Not `exit`: its last words may still be in the channel.
      this.#child.once('close', (status, signal) => end({ status, signal }))
    })
  }

  /** Undefined: the system had no room for another process. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Stops or retires it: it ends by itself. */
  leave(order: 'stop' | 'retire'): void {
    this.isLeaving = true
    this.order({ order })
  }

  order(order: Order): void {
    // It may have ended, or be about to end.
    if (this.#child.connected) this.#child.send(order, () => {})
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  #hear(word: Word, events: WorkerEvents): void {
    this.unanswered = 0
    switch (word.word) {
      case 'prepared':
        return events.prepared()
      case 'listening':
        this.listeningSince = performance.now()
        return events.listening(word.ports)
      case 'ask':
        if (word.question.page !== undefined) this.page = word.question.page
        return events.asks(word.id, word.question)
      case 'answer':
        return events.answers(word.id, word.response)
      case 'last':
        this.page = word.page
        this.isDone = true
        return events.done()
    }
  }
}
