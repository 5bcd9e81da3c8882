import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { SubscriberConnection } from '../pubsub/subscriber.ts'
import { isReply } from '../wire/errors.ts'
import type { OnMessage } from '../wire/resp.ts'
import { KeyspaceProbe } from './keyspace-probe.ts'

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

/**
 * Whether changes of fields are lost without these flags: K and h carry them. The others are
 * advice: without them a run that is deleted, renamed, expired or evicted waits for the re-sync.
 */
export const losesChanges = (missing: string): boolean => /[Kh]/.test(missing)

/** What waits for RUN_RESYNC_INTERVAL without these flags. */
export const lateWithout = (missing: string): string =>
  losesChanges(missing)
    ? 'runs are only read every RUN_RESYNC_INTERVAL'
    : 'changes of fields arrive; only DEL, EXPIRE, RENAME and evictions of a run wait for RUN_RESYNC_INTERVAL'

/** The fields of a log line. */
interface Found {
  readonly flags?: string
  readonly missing?: string
  readonly reason?: string
}

export interface KeyspaceParts {
  /** Add the missing flags in Redis. */
  readonly set: boolean
  /** Time between two checks in ms; 0: only when `check` is called. */
  readonly intervalMs: number
  /** The connection for the checks by interval; undefined while it is lost. */
  readonly client: () => SubscriberConnection | undefined
  readonly metrics: Metrics
  readonly log: Logger
}

/** Watches the flags of one server: another program may change them at any time. */
export class KeyspaceFlags {
  readonly #parts: KeyspaceParts
  readonly #timer: NodeJS.Timeout | undefined
  readonly #probe = new KeyspaceProbe()
  #isProbing = false
  #probed: Promise<string | undefined> = Promise.resolve(undefined)
  /** What was logged last, and the refusal of CONFIG. The same state is not logged again. */
  #logged = ''
  #loggedRefusal = ''

  constructor(parts: KeyspaceParts) {
    this.#parts = parts
    if (parts.intervalMs > 0) this.#timer = setInterval(() => this.#checkAgain(), parts.intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Every message of the connection that `check` gets: only the probe subscribes there. */
  readonly heard: OnMessage = (channel, event) => this.#probe.heard(channel, event)

  /**
   * Resolves with the flags that the last probe missed, of K, h, g and x. Undefined when it could
   * not find out, or CONFIG is allowed and no probe was made.
   */
  get probed(): Promise<string | undefined> {
    return this.#probed
  }

  /**
   * Checks the flags and, with `set`, adds the missing ones. A server that forbids CONFIG is not an
   * error: then a probe finds the flags, for which the caller does not wait.
   * @throws when the connection is lost.
   */
  async check(client: SubscriberConnection): Promise<void> {
    const { set, metrics } = this.#parts
    let missing = ''
    try {
      const [, flags = ''] = await client.sendCommand<string[]>(['CONFIG', 'GET', SETTING])
      missing = missingFlags(flags)
      this.#found(missing)
      if (missing === '') return
      if (set) {
        await client.sendCommand(['CONFIG', 'SET', SETTING, flags + missing])
        metrics.keyspaceMissing.set(0)
      }
      const done = set ? 'added' : `until it is set (REDIS_SET_KEYSPACE_EVENTS=true), ${lateWithout(missing)}`
      this.#say({ flags, missing }, `notify-keyspace-events lacks ${missing}: ${done}`)
      // Flags that were added and are gone again are news.
      if (set) this.#logged = ''
    } catch (error) {
      if (!isReply(error)) throw error
      const { message: reason } = error
      if (missing === '') return this.#startProbe(client, reason)
      const lacks = `notify-keyspace-events lacks ${missing}, and Redis forbids CONFIG SET: set it in redis.conf`
      this.#say({ missing, reason }, lacks)
    }
  }

  #checkAgain(): void {
    // A lost connection checks them again when it is back.
    const client = this.#parts.client()
    if (client) this.check(client).catch(() => {})
  }

  #startProbe(client: SubscriberConnection, reason: string): void {
    if (this.#loggedRefusal !== reason) {
      this.#loggedRefusal = reason
      const message = 'Redis forbids CONFIG GET notify-keyspace-events: a probe looks for its flags'
      this.#parts.log.info({ event: 'keyspace-events', reason }, message)
    }
    // A connection that speaks RESP2 takes no other command while it is subscribed.
    if (this.#isProbing || client.greeting.protocol === 2) return
    this.#isProbing = true
    const lost = () => undefined
    this.#probed = this.#runProbe(client)
      .catch(lost)
      .finally(() => {
        this.#isProbing = false
      })
  }

  async #runProbe(client: SubscriberConnection): Promise<string | undefined> {
    const missing = await this.#probe.missing(client)
    if (missing === undefined) {
      this.#say({}, 'Redis refuses the probe of notify-keyspace-events: give its user what wsproxy redis acl prints')
      return undefined
    }
    this.#found(missing)
    const until = `set it in redis.conf; until then ${lateWithout(missing)}`
    if (missing !== '') this.#say({ missing }, `notify-keyspace-events lacks ${missing}, as a probe found: ${until}`)
    return missing
  }

  #found(missing: string): void {
    this.#parts.metrics.keyspaceMissing.set(losesChanges(missing) ? 1 : 0)
    if (missing === '') this.#logged = ''
  }

  /** Logs a state once: as info where the missing flags are advice only. */
  #say(fields: Found, message: string): void {
    if (message === this.#logged) return
    this.#logged = message
    const { log } = this.#parts
    if (fields.missing === undefined || losesChanges(fields.missing))
      log.warn({ event: 'keyspace-events', ...fields }, message)
    else log.info({ event: 'keyspace-events', ...fields }, message)
  }
}
