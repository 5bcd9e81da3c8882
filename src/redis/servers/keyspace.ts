import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RedisConnection } from '../wire/connection.ts'
import { isReply } from '../wire/errors.ts'

const SETTING = 'notify-keyspace-events'

/**
 * Flags of notify-keyspace-events that the run door needs: keyspace channels (K), hash commands
 * (h), generic commands such as DEL and RENAME (g), expiry (x) and eviction (e). The flag A stands
 * for all event classes (Redis: keyspace notifications).
 */
const NEEDED = ['K', 'h', 'g', 'x', 'e'] as const
const CLASSES_IN_A = 'g$lshzxetd'

/** Returns the flags of `NEEDED` that `flags` lacks. */
export function missingFlags(flags: string): string {
  const effective = flags.includes('A') ? flags + CLASSES_IN_A : flags
  return NEEDED.filter((flag) => !effective.includes(flag)).join('')
}

export interface KeyspaceCheck {
  /** Add the missing flags in Redis. */
  readonly set: boolean
  readonly metrics: Metrics
  readonly log: Logger
}

/** Watches the flags of one server: another program may change them at any time. */
export class KeyspaceFlags {
  readonly #parts: KeyspaceCheck
  /** What was logged last. The same state is not logged again. */
  #logged = ''

  constructor(parts: KeyspaceCheck) {
    this.#parts = parts
  }

  /**
   * Checks the flags and, with `set`, adds the missing ones. A server that forbids CONFIG is not an
   * error: then the flags are unknown.
   * @throws when the connection is lost.
   */
  async check(client: RedisConnection): Promise<void> {
    const { set, metrics } = this.#parts
    let missing = ''
    try {
      const [, flags = ''] = await client.sendCommand<string[]>(['CONFIG', 'GET', SETTING])
      missing = missingFlags(flags)
      metrics.keyspaceMissing.set(missing === '' ? 0 : 1)
      if (missing === '') {
        this.#logged = ''
        return
      }
      if (set) {
        await client.sendCommand(['CONFIG', 'SET', SETTING, flags + missing])
        metrics.keyspaceMissing.set(0)
      }
      const done = set ? 'added' : 'until it is set, runs are only read every RUN_RESYNC_INTERVAL'
      this.#log('warn', { flags, missing }, `notify-keyspace-events lacks ${missing}: ${done}`)
      // Flags that were added and are gone again are news.
      if (set) this.#logged = ''
    } catch (error) {
      if (!isReply(error)) throw error
      const { message: reason } = error
      if (missing === '')
        return this.#log('info', { reason }, 'Redis forbids CONFIG GET notify-keyspace-events: its flags are unknown')
      const lacks = `notify-keyspace-events lacks ${missing}, and Redis forbids CONFIG SET: set it in redis.conf`
      this.#log('warn', { missing, reason }, lacks)
    }
  }

  #log(level: 'info' | 'warn', fields: object, message: string): void {
    if (message === this.#logged) return
    this.#logged = message
    const { log } = this.#parts
    if (level === 'warn') log.warn({ event: 'keyspace-events', ...fields }, message)
    else log.info({ event: 'keyspace-events', ...fields }, message)
  }
}
