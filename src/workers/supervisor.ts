import type { Ports, Question } from '../contract/workers.ts'
import type { Logger } from '../telemetry/log.ts'
import { Exchange, hasCounters } from './exchange.ts'
import type { Begin, ListenWhen } from './messages.ts'
import { Slot } from './slot.ts'
import { AFTER_ROLL_TEXT, AFTER_START_TEXT, CRASH_LOOP_TEXT, NOT_STARTED_TEXT } from './texts.ts'
import { type Ended, WorkerProcess } from './worker-process.ts'

export interface SupervisorOptions {
  readonly count: number
  readonly begin: Pick<Begin, 'redisUrl' | 'secret'>
  /** How long a worker may take to drain, in ms. */
  readonly graceMs: number
  readonly log: Logger
  /** Called once, when all workers listen for the first time. */
  readonly listening: (ports: Ports) => void
  /** Called once, when no worker runs any more, with the status for this process. */
  readonly ended: (status: number) => void
}

/** A worker that does not listen after this time is killed, in ms. */
const LISTEN_MS = 30_000
/** How often each worker is asked whether its event loop runs, in ms. */
const PING_MS = 10_000
/** Pings in a row without an answer after which a worker is killed: those of the livenessProbe. */
const MOST_UNANSWERED = 6
/** What a drain may take beyond its grace, in ms. */
const DRAIN_MARGIN_MS = 10_000

/**
 * Starts workers that share a port, starts one again that ends, replaces all of them one by one,
 * and stops them together. It has no socket of a client.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #slots: readonly Slot[]
  /** All processes, also those that are being replaced. */
  readonly #running = new Set<WorkerProcess>()
  /** Undefined until the first worker listens. */
  #ports: Ports | undefined
  #hasServed = false
  #isStopping = false
  #rolling: 'no' | 'yes' | 'again' = 'no'
  #status = 0
  readonly #startedAt = Date.now()
  #restarts = 0
  readonly #exchange: Exchange

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#exchange = new Exchange(options.log)
    this.#slots = Array.from({ length: options.count }, (_, i) => new Slot(i + 1))
  }

  /**
   * Starts the workers one after the other, so that one line says why none can start. When all are
   * prepared they listen, the first one before the others: they share its ports.
   */
  start(): void {
    if (this.#isStopping) return
    this.#startIn(this.#slots[0]!)
    setInterval(() => this.#ping(), PING_MS).unref()
  }

  /** Drains all workers. The second call cuts their sockets. */
  stop(): void {
    const { log, graceMs } = this.#options
    const isFirst = !this.#isStopping
    if (isFirst) {
      log.info({ event: 'workers-stop', workers: this.#running.size }, 'stopping all workers')
      setTimeout(() => this.#kill(), graceMs + DRAIN_MARGIN_MS).unref()
    }
    this.#isStopping = true
    for (const { timer } of this.#slots) clearTimeout(timer)
    // A replaced worker drains already: another order would cut its sockets.
    for (const worker of this.#running) if (!isFirst || !worker.isLeaving) worker.leave('stop')
    this.#endIfAlone()
  }

  /** Replaces the workers one by one: the new one is ready before the old one drains. */
  async roll(): Promise<void> {
    const { log } = this.#options
    if (this.#isStopping) return
    if (!this.#hasServed || this.#rolling !== 'no') {
      // What starts now may have read the old files already, so a roll follows.
      this.#rolling = 'again'
      log.info({ event: 'roll-later' }, this.#hasServed ? AFTER_ROLL_TEXT : AFTER_START_TEXT)
      return
    }
    do {
      this.#rolling = 'yes'
      log.info({ event: 'roll-start', workers: this.#slots.length }, 'replacing the workers one by one')
      const failed = await this.#rollOnce()
      if (this.#isStopping) break
      if (failed === undefined) log.info({ event: 'roll-end' }, 'all workers were replaced')
      else
        log.error(
          { event: 'roll-failed', worker: failed },
          'the new worker did not become ready: the old ones stay. Its own lines say why; send SIGHUP again',
        )
    } while (this.#rolling === ('again' as string))
    this.#rolling = 'no'
  }

  /** Returns the number of the worker whose successor did not become ready. */
  async #rollOnce(): Promise<number | undefined> {
    for (const slot of this.#slots) {
      // Without a worker, the next start of this slot brings a new one anyway.
      if (slot.current === undefined) continue
      const successor = await this.#successor(slot)
      if (this.#isStopping) return undefined
      if (successor === undefined) return slot.number
      const old = slot.replace(successor)
      if (old === undefined) continue
      old.leave('retire')
      const late = setTimeout(
        () => this.#killOne(old, 'did not drain in time'),
        this.#options.graceMs + DRAIN_MARGIN_MS,
      )
      await old.ended
      clearTimeout(late)
      if (this.#isStopping) return undefined
    }
    return undefined
  }

  /** Resolves with a worker that listens, or with undefined when it ended before. */
  #successor(slot: Slot): Promise<WorkerProcess | undefined> {
    return new Promise((resolve) => {
      const next: WorkerProcess = this.#fork(slot, 'ready', {
        listening: () => resolve(next),
        ended: () => {
          resolve(undefined)
          // It may have ended just after it took its place.
          if (slot.current === next) this.#lost(slot, { status: null, signal: null })
        },
      })
    })
  }

  #startIn(slot: Slot): void {
    slot.current = this.#fork(slot, this.#ports === undefined ? 'together' : 'soon', {
      listening: (ports) => this.#listens(ports),
      ended: (how) => this.#lost(slot, how),
    })
  }

  #fork(slot: Slot, listen: ListenWhen, events: { listening(ports: Ports): void; ended(how: Ended): void }) {
    const { begin, count, log } = this.#options
    const worker: WorkerProcess = new WorkerProcess(
      slot.number,
      { ...begin, workers: count, ports: this.#ports, listen },
      {
        prepared: () => {
          clearTimeout(late)
          this.#prepared(slot)
        },
        listening: (ports) => {
          clearTimeout(late)
          events.listening(ports)
        },
        asks: (id, question) => this.#ask(worker, id, question),
        answers: (id, response) => this.#exchange.answered(worker, id, response),
        done: () => this.#exchange.ended(worker),
        ended: (how) => {
          clearTimeout(late)
          this.#running.delete(worker)
          this.#exchange.ended(worker)
          if (this.#isStopping || worker.isLeaving) this.#left(how)
          else events.ended(how)
        },
      },
    )
    const late = setTimeout(() => this.#killOne(worker, `did not listen within ${LISTEN_MS / 1000} s`), LISTEN_MS)
    this.#running.add(worker)
    log.info({ event: 'worker-start', worker: slot.number, pid: worker.pid }, 'a worker starts')
    return worker
  }

  /** Starts the worker behind this one, or after the last one lets all of them listen. */
  #prepared(slot: Slot): void {
    if (this.#isStopping) return
    const next = this.#slots[slot.number]
    if (next) this.#startIn(next)
    else this.#slots[0]!.current?.order({ order: 'listen' })
  }

  #listens(ports: Ports): void {
    if (this.#ports === undefined) {
      this.#ports = ports
      for (const { current } of this.#slots.slice(1)) current?.order({ order: 'listen', ports })
    }
    if (this.#hasServed || this.#slots.some(({ current }) => current?.listeningSince === undefined)) return
    this.#hasServed = true
    this.#options.listening(this.#ports)
    if (this.#rolling === 'no') return
    this.#rolling = 'no'
    void this.roll()
  }

  /** A worker has ended that should have gone on. */
  #lost(slot: Slot, { status, signal }: Ended): void {
    const { log } = this.#options
    const { failures, retryMs, isCrashLoop } = slot.lost()
    const { number: worker } = slot
    if (this.#ports === undefined) {
      // One that ended by itself has printed why it cannot start.
      if (status === null) log.fatal({ event: 'workers-not-started', worker, signal }, NOT_STARTED_TEXT)
      return this.#options.ended(status || 1)
    }
    this.#restarts++
    if (this.#slots.every(({ isHopeless }) => isHopeless)) {
      log.fatal({ event: 'workers-hopeless', failures }, 'no worker can run: their own lines say why')
      this.#status = 1
      this.stop()
      return
    }
    const how = { worker, status, signal, failures, retryMs }
    if (isCrashLoop) log.error({ event: 'worker-crash-loop', ...how }, CRASH_LOOP_TEXT)
    else log.error({ event: 'worker-ended', ...how }, 'a worker ended, and is started again')
    slot.timer = setTimeout(() => this.#startIn(slot), retryMs)
  }

  /** A worker has ended as it should. */
  #left({ status, signal }: Ended): void {
    // A service manager may send SIGTERM to every process, also to one too young to hold it.
    if (status !== 0 && signal !== 'SIGTERM') this.#status = 1
    if (this.#isStopping) this.#endIfAlone()
  }

  /** The workers that take new clients. */
  #serving(): WorkerProcess[] {
    return this.#slots.flatMap(({ current }) => (current?.listeningSince !== undefined ? [current] : []))
  }

  #ask(from: WorkerProcess, id: number, question: Question): void {
    const serving = this.#serving()
    const wanted = this.#options.count
    // Counters of a worker that drains must not be missing in the sums.
    const isAsked = ({ listeningSince, isDone }: WorkerProcess) => listeningSince !== undefined && !isDone
    const asked = hasCounters(question) ? [...this.#running].filter(isAsked) : serving
    this.#exchange.ask(from, id, question, {
      others: asked.filter((each) => each !== from),
      wanted,
      missing: wanted - serving.length,
      isCurrent: serving.includes(from),
      startedAt: this.#startedAt,
      restarts: this.#restarts,
    })
  }

  /** Kills workers whose event loop is blocked for good: no probe sees one of several. */
  #ping(): void {
    for (const worker of this.#serving()) {
      if (worker.unanswered >= MOST_UNANSWERED)
        this.#killOne(worker, `did not answer for ${(MOST_UNANSWERED * PING_MS) / 1000} s`)
      worker.unanswered++
      worker.order({ order: 'ping' })
    }
  }

  #endIfAlone(): void {
    if (this.#running.size === 0) this.#options.ended(this.#status)
  }

  #killOne(worker: WorkerProcess, why: string): void {
    const { number, pid } = worker
    this.#options.log.error({ event: 'worker-killed', worker: number, pid, why }, 'a worker is killed')
    worker.signal('SIGKILL')
  }

  #kill(): void {
    for (const worker of this.#running) this.#killOne(worker, 'did not drain in time')
  }
}
