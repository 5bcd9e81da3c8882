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

export type HashResult = { readonly hash: string } | { readonly isEqual: boolean }

interface Waiting {
  readonly resolve: (result: HashResult) => void
  readonly reject: (error: Error) => void
}

const FILE = new URL('dist/src/login/hash-thread.js', PACKAGE_ROOT)

/**
 * A thread that hashes passwords, one at a time, with a low priority where the system has one
 * for threads. The pool of Node would have that of the event loop, and is also asked for DNS.
 */
export class HashThread {
  #worker: Worker | undefined
  #waiting: Waiting | undefined

  /** @throws Error when the library for passwords does not load. */
  static async open(): Promise<HashThread> {
    const thread = new HashThread()
    await thread.#start()
    return thread
  }

  /** The caller waits for the result before the next call. @throws Error when the thread ends. */
  async run(job: HashJob): Promise<HashResult> {
    if (this.#worker === undefined) await this.#start()
    const worker = this.#worker!
    // The process does not end before the result, and does not wait for an idle thread.
    worker.ref()
    try {
      return await this.#answerOf(() => worker.postMessage(job))
    } finally {
      worker.unref()
    }
  }

  async #start(): Promise<void> {
    // Settings may hold secrets, and options of the process such as `--import` are not for it.
    const worker = new Worker(FILE, { env: {}, execArgv: [], stderr: false })
    const lost = (error: Error) => {
      // The exit comes behind the error. By then the next thread may have the next job, and a job
      // that is rejected while it runs leaves its result to the job behind it.
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#waiting?.reject(error)
    }
    worker.on('message', (result: HashResult) => this.#waiting?.resolve(result))
    worker.on('error', lost)
    worker.on('exit', (code) => lost(new Error(`the thread for passwords has ended with ${code}`)))
    this.#worker = worker
    await this.#answerOf(() => {})
    worker.unref()
  }

  async #answerOf(ask: () => void): Promise<HashResult> {
    try {
      return await new Promise<HashResult>((resolve, reject) => {
        this.#waiting = { resolve, reject }
        ask()
      })
    } finally {
      this.#waiting = undefined
    }
  }
}
