import { type ChildProcess, fork } from 'node:child_process'
import type { Begin, Order, Ports, Word } from './messages.ts'

/** How a worker ended. */
export interface Ended {
  /** Null: a signal ended it. */
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

export interface WorkerEvents {
  readonly listening: (ports: Ports) => void
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
  readonly ended: Promise<Ended>

  constructor(number: number, begin: Begin, events: WorkerEvents) {
    this.number = number
    // Its log and its complaints go where those of the supervisor go.
    this.#child = fork(process.argv[1]!, ['worker', String(number)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.order({ order: 'begin', begin })
    this.#child.on('message', ({ word, ports }: Word) => {
      if (word !== 'listening') return
      this.listeningSince = performance.now()
      events.listening(ports)
    })
    this.ended = new Promise((resolve) => {
      const end = (how: Ended) => {
        resolve(how)
        events.ended(how)
      }
      // `exit` does not follow when no process could be made.
      this.#child.once('error', () => this.#child.pid === undefined && end({ status: 1, signal: null }))
      this.#child.once('exit', (status, signal) => end({ status, signal }))
    })
  }

  /** Undefined: the system had no room for another process. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  order(order: Order): void {
    if (order.order !== 'begin') this.isLeaving = true
    // It may have ended, or be about to end.
    if (this.#child.connected) this.#child.send(order, () => {})
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }
}
