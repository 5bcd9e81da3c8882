import { randomBytes } from 'node:crypto'
import { ticketSecrets } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import type { RunAtKey } from './servers/topology.ts'

const DAY_MS = 86_400_000
/** After this long the secrets are read again, in case that the hash was deleted meanwhile. */
const TRUST_MS = 60_000
/** How long the hash outlives the last new secret. */
const HASH_MS = 3 * DAY_MS
/** 32 bytes in base64url. */
const SECRET = /^[A-Za-z0-9_-]{43}$/

/** The secrets that all instances share. */
export interface TicketSecrets {
  /** The one of today, which signs. */
  readonly signing: string
  /** The ones of yesterday and today, and of tomorrow if the clock of another instance is fast. */
  readonly accepted: readonly string[]
}

/** The secrets cannot be used: Redis forbids it, or the key holds something else. */
export class SecretsUnusable extends Error {
  override readonly name = 'SecretsUnusable'
}

/**
 * Reads the secrets of resume tickets, and makes the one of a new day: the first instance that asks
 * writes it.
 */
export class RedisTicketSecrets {
  readonly #at: RunAtKey
  #read: { readonly day: number; readonly until: number; readonly secrets: Promise<TicketSecrets> } | undefined

  constructor(at: RunAtKey) {
    this.#at = at
  }

  /** The server of the hash may be another one now: the next call reads it. */
  forget(): void {
    this.#read = undefined
  }

  /**
   * Returns the secrets at `now` (ms since the epoch), from memory for a minute. @throws
   * RedisUnavailable without an answer; SecretsUnusable.
   */
  current(now: number): Promise<TicketSecrets> {
    const day = Math.floor(now / DAY_MS)
    const known = this.#read
    if (known !== undefined && known.day === day && now < known.until && now >= known.until - TRUST_MS)
      return known.secrets
    const read = { day, until: now + TRUST_MS, secrets: this.#load(day) }
    this.#read = read
    read.secrets.catch(() => {
      if (this.#read === read) this.#read = undefined
    })
    return read.secrets
  }

  #load(day: number): Promise<TicketSecrets> {
    return guarded(
      () => this.#loadOf(day),
      SecretsUnusable,
      'Redis did not answer while the secrets of tickets were read',
    )
  }

  async #loadOf(day: number): Promise<TicketSecrets> {
    const key = ticketSecrets()
    const fields = [day - 1, day, day + 1].map(String)
    const found = await this.#at(key, async (client) => {
      const read = () => client.sendCommand<(string | null)[]>(['HMGET', key, ...fields])
      // A server that is full or cannot save refuses HSETNX, also for a secret that is there.
      const known = await read()
      if (typeof known[1] === 'string') return known
      const fresh = randomBytes(32).toString('base64url')
      const made = client.sendCommand<number>(['HSETNX', key, String(day), fresh])
      const [isNew, all] = await Promise.all([made, read()])
      if (isNew === 1) {
        const old = [day - 2, day - 3, day - 4].map(String)
        const cleaned = client.sendCommand(['HDEL', key, ...old])
        await Promise.all([cleaned, client.sendCommand(['PEXPIRE', key, String(HASH_MS)])])
      }
      return all
    })
    const accepted = found.filter((each): each is string => each !== null && SECRET.test(each))
    const signing = found[1] ?? ''
    if (!SECRET.test(signing)) throw new SecretsUnusable(`the field ${day} of the hash ${key} is no secret: delete it`)
    return { signing, accepted }
  }
}
