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

/**
 * Checks the flags and, with `set`, adds the missing ones. A server that forbids CONFIG is not an
 * error: then the flags are unknown.
 * @throws when the connection is lost.
 */
export async function checkKeyspaceEvents(
  client: RedisConnection,
  { set, metrics, log }: KeyspaceCheck,
): Promise<void> {
  let missing = ''
  try {
    const [, flags = ''] = await client.sendCommand<string[]>(['CONFIG', 'GET', SETTING])
    missing = missingFlags(flags)
    metrics.keyspaceMissing.set(missing === '' ? 0 : 1)
    if (missing === '') return
    if (set) {
      await client.sendCommand(['CONFIG', 'SET', SETTING, flags + missing])
      metrics.keyspaceMissing.set(0)
    }
    const done = set ? 'added' : 'until it is set, runs are only read every RUN_RESYNC_INTERVAL'
    log.warn({ event: 'keyspace-events', flags, missing }, `notify-keyspace-events lacks ${missing}: ${done}`)
  } catch (error) {
    if (!isReply(error)) throw error
    if (missing !== '') {
      log.warn(
        { event: 'keyspace-events', missing, reason: error.message },
        `notify-keyspace-events lacks ${missing}, and Redis forbids CONFIG SET: set it in redis.conf`,
      )
      return
    }
    log.info(
      { event: 'keyspace-events', reason: error.message },
      'Redis forbids CONFIG GET notify-keyspace-events: its flags are unknown',
    )
  }
}
