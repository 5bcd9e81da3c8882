import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RedisConnection } from '../wire/connection.ts'
import { isReply } from '../wire/errors.ts'

const SETTING = 'notify-keyspace-events'

/**
 * Flags of notify-keyspace-events that the run door lives on: keyspace channels (K), changes of hashes (h), deletion and renaming (g), expiry (x),
 * eviction (e). See Redis' page on keyspace notifications; A stands for all classes but the keyspace and keyevent ones.
 */
const NEEDED = ['K', 'h', 'g', 'x', 'e'] as const
const CLASSES_IN_A = 'g$lshzxetd'

/** The flags among `NEEDED` that `flags` lacks. */
export function missingFlags(flags: string): string {
  const effective = flags.includes('A') ? flags + CLASSES_IN_A : flags
  return NEEDED.filter((flag) => !effective.includes(flag)).join('')
}

export interface KeyspaceCheck {
  readonly set: boolean
  readonly metrics: Metrics
  readonly log: Logger
}

/** Looks at the flags and, if asked to, adds what is missing. A server that forbids CONFIG is no error: then nobody knows. */
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
    const done = set ? 'set what was missing' : 'runs are only read every RUN_RESYNC_INTERVAL until this is set'
    log.warn({ event: 'keyspace-events', flags, missing }, `notify-keyspace-events lacks ${missing}: ${done}`)
  } catch (error) {
    if (!isReply(error)) throw error
    if (missing !== '') {
      log.warn(
        { event: 'keyspace-events', missing, reason: error.message },
        `notify-keyspace-events lacks ${missing}, and may not be set`,
      )
      return
    }
    log.info({ event: 'keyspace-events', reason: error.message }, 'Redis does not tell notify-keyspace-events')
  }
}
