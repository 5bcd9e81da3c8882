import { Worker } from 'node:worker_threads'
import { PACKAGE_ROOT } from '../contract/root.ts'

/** What argon2id is given beside the password. */
interface HashParameters {
  readonly memoryCost: number
  readonly timeCost: number
  readonly parallelism: number
}

/** With a hash, the password is compared with it; without one, it is hashed. */
export interface HashJob {
  readonly hash?: string
  readonly password: string
  readonly parameters: HashParameters
}

/**
 * `idle`: the thread runs when nothing else wants a processor (SCHED_IDLE, sched(7)). `low`: it gets
 * a share, and may keep a core for some milliseconds from the event loop that wakes.
 */
export type Priority = 'idle' | 'low'

export type HashResult = { readonly hash: string } | { readonly isEqual: boolean }

/** Hashes one password at a time. */
export interface Hasher {
  readonly priority: Priority
  run(job: HashJob): Promise<HashResult>
}

interface Waiting {
  readonly resolve: (answer: HashResult | Priority) => void
  readonly reject: (error: Error) => void
}

const FILE = new URL('dist/src/login/hash-thread.js', PACKAGE_ROOT)

/**
 * A thread that hashes passwords, one at a time, with a low priority where the system has one
 * for threads. The pool of Node would have that of the event loop, and is also asked for DNS.
 */
export class HashThread implements Hasher {
  #worker: Worker | undefined
  #waiting: Waiting | undefined
  #priority: Priority

  private constructor(priority: Priority) {
    this.#priority = priority
  }

  /**
   * @param priority `idle` is `low` on a system without that class.
   * @throws Error when the library for passwords does not load.
   */
  static async open(priority: Priority): Promise<HashThread> {
    const thread = new HashThread(priority)
    await thread.#start()
    return thread
  }

  get priority(): Priority {
    return this.#priority
  }

  /** The caller waits for the result before the next call. @throws Error when the thread ends. */
  async run(job: HashJob): Promise<HashResult> {
    if (this.#worker === undefined) await this.#start()
    const worker = this.#worker!
    // The process does not end before the result, and does not wait for an idle thread.
    worker.ref()
    try {
      return (await this.#answerOf(() => worker.postMessage(job))) as HashResult
    } finally {
      worker.unref()
    }
  }

  async #start(): Promise<void> {
    // Settings may hold secrets, and options of the process such as `--import` are not for it.
    const worker = new Worker(FILE, { workerData: this.#priority, env: {}, execArgv: [], stderr: false })
    const lost = (error: Error) => {
      // The exit comes behind the error. By then the next thread may have the next job, and a job
      // that is rejected while it runs leaves its result to the job behind it.
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#waiting?.reject(error)
    }
    worker.on('message', (answer: HashResult | Priority) => this.#waiting?.resolve(answer))
    worker.on('error', lost)
    worker.on('exit', (code) => lost(new Error(`the thread for passwords has ended with ${code}`)))
    this.#worker = worker
    this.#priority = (await this.#answerOf(() => {})) as Priority
    worker.unref()
  }

  async #answerOf(ask: () => void): Promise<HashResult | Priority> {
    try {
      return await new Promise<HashResult | Priority>((resolve, reject) => {
        this.#waiting = { resolve, reject }
        ask()
      })
    } finally {
      this.#waiting = undefined
    }
  }
}
