import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { keyEvents, keyspaceProbe } from '../../contract/names.ts'
import type { Group } from '../pubsub/groups.ts'
import type { SubscriberConnection } from '../pubsub/subscriber.ts'
import { isMoved, isReply } from '../wire/errors.ts'

/**
 * The event that the probe makes Redis publish for each flag. Evictions (e) cannot be provoked.
 */
const EVENTS = { h: 'hset', g: 'expire', x: 'expired' } as const

/** How long the key of the probe lives, and the wait after which it has expired, in ms. */
const LIFE_MS = 20
const EXPIRED_MS = 2 * LIFE_MS

/**
 * Random keys until one belongs to this server of a cluster. With 20 primaries, all of them miss it
 * once in 170 probes; then the flags stay unknown until the next one.
 */
const MAX_KEYS = 100

/**
 * Finds the flags of notify-keyspace-events where CONFIG is forbidden: writes a key of its own that
 * expires at once, and listens to its events on the same connection. Redis pushes them before it
 * confirms the UNSUBSCRIBE, so no event is waited for in vain.
 */
export class KeyspaceProbe {
  #channel = ''
  readonly #heard = new Set<string>()

  /** Every message of the connection that is passed to `missing`. */
  heard(channel: string, event: Buffer): void {
    if (channel === this.#channel) this.#heard.add(event.toString('latin1'))
  }

  /**
   * Returns the flags of K, h, g and x that are missing; undefined when Redis refuses the probe.
   * @throws when the connection is lost.
   */
  async missing(client: SubscriberConnection): Promise<string | undefined> {
    for (let keys = 0; keys < MAX_KEYS; keys++) {
      try {
        return await this.#try(client, keyspaceProbe(randomBytes(8).toString('hex')))
      } catch (error) {
        if (isMoved(error)) continue
        if (isReply(error)) return undefined
        throw error
      }
    }
    return undefined
  }

  async #try(client: SubscriberConnection, key: string): Promise<string> {
    this.#channel = keyEvents(client.database, key)
    this.#heard.clear()
    const group: Group = { kind: 'plain', channels: [this.#channel] }
    await client.subscribe(group)
    try {
      // Written together, so that the key gets its end of life whatever happens to the connection.
      const written = [client.sendCommand(['HSET', key, 'probe', '1'])]
      written.push(client.sendCommand(['PEXPIRE', key, String(LIFE_MS)]))
      await Promise.all(written)
      await pause(EXPIRED_MS)
      // Redis publishes "expired" when it finds the key too old, and any command makes it look.
      await client.sendCommand(['DEL', key])
    } finally {
      await client.unsubscribe(group)
    }
    return this.#missing()
  }

  #missing(): string {
    const flags = Object.entries(EVENTS).filter(([, event]) => !this.#heard.has(event))
    const missing = flags.map(([flag]) => flag).join('')
    return this.#heard.size === 0 ? `K${missing}` : missing
  }
}
