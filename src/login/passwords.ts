import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { reasonOf } from '../platform/reason.ts'
import { HashBudget, hashShare } from './hash-budget.ts'
import { HashPlace } from './hash-place.ts'
import type { HashJob, HashResult } from './hash-threads.ts'

/** OWASP, "Password Storage Cheat Sheet": 19 MiB, 2 passes, 1 lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** Hashes that are computed at once, each with 19 MiB. */
const AT_ONCE = availableParallelism() <= 2 ? 1 : 2
/** Logins that hash a password, or wait for that. */
const MAX_PLACES = 52
/** For each processor of the budget. Hashes of 30 ms then let the last one wait for 16 s. */
const PLACES_PER_PROCESSOR = 520
const MIN_CHARACTERS = 8
const MAX_BYTES = 1024

/** Returns why a text may not be a password; undefined when it may. */
export function passwordProblem(password: string): string | undefined {
  if ([...password].length < MIN_CHARACTERS) return `must have at least ${MIN_CHARACTERS} characters`
  return Buffer.byteLength(password) > MAX_BYTES ? `must have at most ${MAX_BYTES} bytes` : undefined
}

/** How each hash of these parameters begins (PHC string). */
const PREFIX = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=${PARAMETERS.parallelism}$`

/** Whether a hash was made with other parameters than those of today. */
export const isOutdated = (hash: string): boolean => !hash.startsWith(PREFIX)

/** Hashes passwords with argon2id, a few at once. */
export class Passwords {
  readonly #free: HashPlace[]
  readonly #budget: HashBudget
  /** Of a password that is not known. A login without a user is compared with it. */
  #noUser = ''
  readonly #waiting: ((place: HashPlace) => void)[] = []
  readonly #places: number
  #placesTaken = 0

  private constructor(places: HashPlace[], budget: HashBudget) {
    this.#free = places
    this.#budget = budget
    this.#places = Math.max(1, Math.min(MAX_PLACES, Math.round(PLACES_PER_PROCESSOR * budget.share)))
  }

  /** Loads the native library. @throws Error on a platform for which it has none. */
  static async load(budget = new HashBudget(hashShare())): Promise<Passwords> {
    try {
      const places = await Promise.all(Array.from({ length: AT_ONCE }, () => HashPlace.open()))
      const passwords = new Passwords(places, budget)
      passwords.#noUser = await passwords.hash(randomBytes(16).toString('hex'))
      return passwords
    } catch (error) {
      throw new Error(`the library for passwords (@node-rs/argon2) does not load: ${reasonOf(error)}`)
    }
  }

  /** Whether `inPlace` runs nothing now. */
  get isFull(): boolean {
    return this.#placesTaken >= this.#places
  }

  /**
   * Runs the work of a login, which hashes a password at some time. Returns undefined, without
   * running it, while too many others run. So a flood of logins costs no call to Redis.
   */
  inPlace<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.isFull) return undefined
    this.#placesTaken++
    return work().finally(() => this.#placesTaken--)
  }

  /** Returns a PHC string. */
  async hash(password: string): Promise<string> {
    const result = await this.#inTurn({ password: normal(password), parameters: PARAMETERS })
    if ('hash' in result) return result.hash
    throw new Error('the thread for passwords has compared instead of hashed')
  }

  /** Whether the hash is that of the password. Without a hash it takes as long and is false. */
  async matches(hash: string | undefined, password: string): Promise<boolean> {
    const job = { hash: hash ?? this.#noUser, password: normal(password), parameters: PARAMETERS }
    const result = await this.#inTurn(job)
    return 'isEqual' in result && result.isEqual && hash !== undefined
  }

  async #inTurn(job: HashJob): Promise<HashResult> {
    const free = this.#free.pop()
    // The hash that ends lets the next one run.
    const place = free ?? (await new Promise<HashPlace>((resolve) => this.#waiting.push(resolve)))
    try {
      const waitMs = this.#budget.waitMs()
      if (waitMs > 0) await sleep(waitMs)
      const startedAt = performance.now()
      const result = await place.run(job)
      this.#budget.took(performance.now() - startedAt, job.hash === undefined || job.hash === this.#noUser)
      return result
    } finally {
      const next = this.#waiting.shift()
      if (next) next(place)
      else this.#free.push(place)
    }
  }
}

/** Keyboards compose letters with accents in two ways (RFC 8265, section 4.2). */
const normal = (password: string): string => password.normalize('NFC')
