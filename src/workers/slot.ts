import type { WorkerProcess } from './worker-process.ts'

/** The first pause before a worker is started again; it doubles up to the last one. */
const FIRST_PAUSE_MS = 100
const LAST_PAUSE_MS = 30_000
/** A worker that has listened so long starts again after the first pause. */
const STABLE_MS = 60_000
/** Ends in a row from which a line says that the worker cannot run. */
const CRASH_LOOP = 5
/** Ends in a row of every worker after which the supervisor ends too. */
const HOPELESS = 8

/** What follows the end of a worker that should have gone on. */
interface Retry {
  /** Ends in a row without a worker that was stable. */
  readonly failures: number
  /** The pause before the next start, in ms. */
  readonly retryMs: number
  readonly isCrashLoop: boolean
}

/** One of the places for a worker, and how often its workers have ended in a row. */
export class Slot {
  readonly number: number
  current: WorkerProcess | undefined
  /** Starts the next worker after a pause. */
  timer: NodeJS.Timeout | undefined
  #failures = 0

  constructor(number: number) {
    this.number = number
  }

  /** The worker has ended that should have gone on: the place is empty. */
  lost(now = performance.now()): Retry {
    const since = this.current?.listeningSince
    this.current = undefined
    this.#failures = since !== undefined && now - since >= STABLE_MS ? 1 : this.#failures + 1
    const retryMs = Math.min(LAST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1))
    return { failures: this.#failures, retryMs, isCrashLoop: this.#failures >= CRASH_LOOP }
  }

  /** Takes a worker that listens in place of the one before, and returns that. */
  replace(successor: WorkerProcess): WorkerProcess | undefined {
    // The old worker may have ended meanwhile: the successor is then in the place of its restart.
    clearTimeout(this.timer)
    const old = this.current
    this.current = successor
    this.#failures = 0
    return old
  }

  /** Whether no worker can run here, as far as its ends tell. */
  get isHopeless(): boolean {
    return this.#failures >= HOPELESS && this.current?.listeningSince === undefined
  }
}
