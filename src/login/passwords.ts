import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { reasonOf } from '../platform/reason.ts'

/** OWASP, "Password Storage Cheat Sheet": 19 MiB, 2 passes, 1 lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/**
 * Hashes that are computed at once. Each takes 19 MiB, and a thread that DNS and files use too. On
 * two cores, a second one would take the core on which messages are passed on.
 */
const MAX_AT_ONCE = availableParallelism() <= 2 ? 1 : 2
/** Logins that hash a password, or wait for that: up to a second of work. */
const MAX_PLACES = 52
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

type Argon2 = Pick<typeof import('@node-rs/argon2'), 'hash' | 'verify'>

/** Hashes passwords with argon2id, a few at once. */
export class Passwords {
  readonly #argon2: Argon2
  /** Of a password that is not known. A login without a user is compared with it. */
  readonly #noUser: string
  readonly #waiting: (() => void)[] = []
  #running = 0
  #placesTaken = 0

  private constructor(argon2: Argon2, noUser: string) {
    this.#argon2 = argon2
    this.#noUser = noUser
  }

  /** Loads the native library. @throws Error on a platform for which it has none. */
  static async load(): Promise<Passwords> {
    try {
      const argon2 = await import('@node-rs/argon2')
      return new Passwords(argon2, await argon2.hash(randomBytes(16).toString('hex'), PARAMETERS))
    } catch (error) {
      throw new Error(`the library for passwords (@node-rs/argon2) does not load: ${reasonOf(error)}`)
    }
  }

  /**
   * Runs the work of a login, which hashes a password at some time. Returns undefined, without
   * running it, while 52 others run. So a flood of logins costs no call to Redis.
   */
  inPlace<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#placesTaken >= MAX_PLACES) return undefined
    this.#placesTaken++
    return work().finally(() => this.#placesTaken--)
  }

  /** Returns a PHC string. */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => this.#argon2.hash(normal(password), PARAMETERS))
  }

  /** Whether the hash is that of the password. Without a hash it takes as long and is false. */
  matches(hash: string | undefined, password: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const isEqual = await this.#argon2.verify(hash ?? this.#noUser, normal(password)).catch(() => false)
      return isEqual && hash !== undefined
    })
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    // The hash that ends lets the next one run.
    if (this.#running >= MAX_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}

/** Keyboards compose letters with accents in two ways (RFC 8265, section 4.2). */
const normal = (password: string): string => password.normalize('NFC')
