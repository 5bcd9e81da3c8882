import { type Hasher, type HashJob, type HashResult, HashThread } from './hash-threads.ts'

/** A hash takes 5 to 30 ms of a processor. */
const PATIENCE_MS = 250

/**
 * Hashes one password at a time, in a thread that gets only the time that nothing else wants: it
 * keeps no message waiting. Where that is too little, a second thread makes the same hash with a
 * share of the processors, so that a loaded gateway does not keep its users out.
 */
export class HashPlace {
  readonly #idle: Hasher
  readonly #openLow: () => Promise<Hasher>
  readonly #patienceMs: number
  #low: Hasher | undefined
  #lastInLow: Promise<unknown> = Promise.resolve()
  /** Whether the first thread hashes. Its caller may have the result of the second one already. */
  #isBusy = false

  constructor(idle: Hasher, openLow: () => Promise<Hasher>, patienceMs = PATIENCE_MS) {
    this.#idle = idle
    this.#openLow = openLow
    this.#patienceMs = patienceMs
  }

  /** @throws Error when the library for passwords does not load. */
  static async open(): Promise<HashPlace> {
    return new HashPlace(await HashThread.open('idle'), () => HashThread.open('low'))
  }

  /** The caller waits for the result before the next call. @throws Error when a thread ends. */
  async run(job: HashJob): Promise<HashResult> {
    // First: a thread that is started again may have lost its priority before it ends this hash.
    if (this.#isBusy) return this.#inLow(job)
    if (this.#idle.priority !== 'idle') return this.#idle.run(job)
    const result = this.#inIdle(job)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#patienceMs)
    })
    const soon = await Promise.race([result, late])
    clearTimeout(timer)
    return soon ?? Promise.race([result, this.#inLow(job)])
  }

  async #inIdle(job: HashJob): Promise<HashResult> {
    this.#isBusy = true
    try {
      return await this.#idle.run(job)
    } finally {
      this.#isBusy = false
    }
  }

  /** The job before may run there yet, since the first thread had its result sooner. */
  #inLow(job: HashJob): Promise<HashResult> {
    const result = this.#lastInLow.then(async () => {
      this.#low ??= await this.#openLow()
      return this.#low.run(job)
    })
    this.#lastInLow = result.catch(() => {})
    return result
  }
}
