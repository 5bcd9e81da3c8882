import { reasonOf } from '../platform/reason.ts'
import type { Logger } from '../telemetry/log.ts'
import { SAY_CODE, SAY_LIBRARY } from './session-say.ts'
import { isReply } from './wire/errors.ts'

/** Asks a server for the library. */
export const LIBRARY_QUESTION: readonly string[] = ['FUNCTION', 'LIST', 'LIBRARYNAME', SAY_LIBRARY, 'WITHCODE']
/** Loads the library, in the place of another one of its name. */
export const LIBRARY_LOAD: readonly string[] = ['FUNCTION', 'LOAD', 'REPLACE', SAY_CODE]

export type LibraryState = 'same' | 'absent' | 'differs'

/** Reads an answer to `LIBRARY_QUESTION`, of RESP2 or RESP3. */
export function libraryIn(answer: unknown): LibraryState {
  if (holdsCode(answer)) return 'same'
  return Array.isArray(answer) && answer.length > 0 ? 'differs' : 'absent'
}

function holdsCode(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsCode)
  if (value instanceof Map) return [...value.values()].some(holdsCode)
  if (Buffer.isBuffer(value) || typeof value === 'string') return String(value) === SAY_CODE
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsCode)
}

export interface LibraryParts {
  /** Load the library where it is absent or differs. */
  readonly install: boolean
  /** Sends a command to every server that has keys. */
  readonly everyNode: (args: readonly string[]) => Promise<readonly unknown[]>
  readonly log: Logger
}

/**
 * Compares the library of the servers with that of this version. Agents may use another one, or
 * none, so the outcome is only logged.
 */
export class SessionLibrary {
  readonly #parts: LibraryParts
  #isChecking = false
  /** A server has become ready during a check, which may have missed it. */
  #isStale = false
  #logged = ''

  constructor(parts: LibraryParts) {
    this.#parts = parts
  }

  /** Compares once more. Redis has become ready: it may be another server. Never rejects. */
  async check(): Promise<void> {
    this.#isStale = true
    if (this.#isChecking) return
    this.#isChecking = true
    while (this.#isStale) {
      this.#isStale = false
      try {
        await this.#compare()
      } catch (error) {
        // Redis 6 has no functions, the user may lack the right, and a lost link comes back.
        if (isReply(error) && this.#parts.install) this.#say('refused', reasonOf(error))
      }
    }
    this.#isChecking = false
  }

  async #compare(): Promise<void> {
    const { everyNode, install } = this.#parts
    const states = (await everyNode(LIBRARY_QUESTION)).map(libraryIn)
    if (install && states.some((state) => state !== 'same')) {
      await everyNode(LIBRARY_LOAD)
      return this.#say('installed')
    }
    if (states.includes('differs')) this.#say('differs')
    else this.#logged = ''
  }

  #say(state: keyof typeof MESSAGES, reason?: string): void {
    // An outage of Redis brings the same state again.
    if (this.#logged === state) return
    this.#logged = state
    const { log } = this.#parts
    if (state === 'differs') log.warn({ event: 'session-log-library', state }, MESSAGES[state])
    else log.info({ event: 'session-log-library', state, reason }, MESSAGES[state])
  }
}

const MESSAGES = {
  installed: 'the library for logs of sessions was loaded into Redis (SESSION_LOG_INSTALL)',
  refused: 'the library for logs of sessions cannot be loaded into Redis: agents use EVALSHA',
  differs:
    'the library for logs of sessions in Redis is of another version of wsproxy: run "wsproxy redis install", or ' +
    'upgrade this instance',
} as const
