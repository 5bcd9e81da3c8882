import {
  COUNTERS,
  METRICS,
  type Question,
  type WorkerAnswer,
  type WorkerResponse,
  type WorkersState,
} from '../contract/workers.ts'
import type { Logger } from '../telemetry/log.ts'
import { countersOf, mergePages } from '../telemetry/merged-pages.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Whether the answers to a question hold counters. */
export const hasCounters = ({ call }: Question): boolean => COUNTERS.has(call.route)

/** A question that not all workers have answered. */
interface Open {
  readonly answers: WorkerAnswer[]
  readonly missing: Set<WorkerProcess>
  readonly isMetrics: boolean
  /** The counters of workers that had ended, and of those that ended instead of an answer. */
  readonly former: string[]
  readonly done: () => void
}

/** Passes the questions of one worker on to the others, and their answers back. */
export class Exchange {
  readonly #log: Logger
  readonly #open = new Map<number, Open>()
  /** Workers whose silence was logged. */
  readonly #silent = new WeakSet<WorkerProcess>()
  /** The counters of all workers that have ended. */
  #former = ''
  #nextId = 0

  constructor(log: Logger) {
    this.#log = log
  }

  /** Asks `others`. `from` gets the answers when all have answered or ended, or in time. */
  ask(
    from: WorkerProcess,
    id: number,
    { call, withinMs }: Question,
    { others, ...state }: Omit<WorkersState, 'former'> & { readonly others: readonly WorkerProcess[] },
  ): void {
    const own = this.#nextId++
    const isMetrics = call.route === METRICS
    const answers: WorkerAnswer[] = []
    const missing = new Set(others)
    const former = [this.#former]
    const done = () => {
      clearTimeout(timer)
      this.#open.delete(own)
      for (const worker of missing) this.#isSilent(worker, call.route, withinMs)
      const silent = [...missing].map(({ number }): WorkerAnswer => ({ worker: number }))
      const pages = [...former, ...[...missing].map(({ page }) => countersOf(page))]
      const lacking = [...missing].filter(({ isLeaving }) => !isLeaving).length
      const known = { ...state, missing: state.missing + lacking, former: COUNTERS.has(call.route) ? pages : [] }
      from.order({ order: 'answers', id, all: { answers: [...answers, ...silent], state: known } })
    }
    const timer = setTimeout(done, withinMs)
    this.#open.set(own, { answers, missing, isMetrics, former, done })
    for (const worker of others) worker.order({ order: 'answer', id: own, call })
    if (missing.size === 0) done()
  }

  answered(worker: WorkerProcess, id: number, response: WorkerResponse | undefined): void {
    this.#silent.delete(worker)
    const open = this.#open.get(id)
    // Without a response it could not answer.
    if (!open?.missing.has(worker) || response === undefined) return
    open.missing.delete(worker)
    if (open.isMetrics) worker.page = response.body
    open.answers.push({ worker: worker.number, response })
    if (open.missing.size === 0) open.done()
  }

  /**
   * A worker has ended, or has said its last: no question waits for it, and its counters stay in
   * the sums.
   */
  ended(worker: WorkerProcess): void {
    const counters = countersOf(worker.page)
    this.#former = mergePages([this.#former, counters])
    worker.page = ''
    for (const { missing, former, done } of [...this.#open.values()]) {
      if (!missing.delete(worker)) continue
      former.push(counters)
      if (missing.size === 0) done()
    }
  }

  #isSilent(worker: WorkerProcess, route: string, withinMs: number): void {
    if (this.#silent.has(worker)) return
    this.#silent.add(worker)
    const { number, pid } = worker
    this.#log.warn({ event: 'worker-silent', worker: number, pid, route, withinMs }, 'a worker did not answer in time')
  }
}
