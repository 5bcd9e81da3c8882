import { RedisUnavailable } from '../platform/unavailable.ts'
import type { RunAtKey } from './servers/topology.ts'
import { isForbidden, isWrongType } from './wire/errors.ts'

/** A hash has more fields than one read may return. */
class TooManyFields extends Error {
  override readonly name = 'TooManyFields'
}

/** Reads whole hashes. */
export class RedisHashes {
  readonly #at: RunAtKey
  readonly #maxFields: number

  /** @param maxFields a hash with more fields is not read; 0: no limit and no HLEN. */
  constructor(at: RunAtKey, maxFields = 0) {
    this.#at = at
    this.#maxFields = maxFields
  }

  /**
   * Returns all fields of the hash at `key` as text (bytes that are not UTF-8 become U+FFFD). An
   * absent key has no fields; a key of another type returns undefined.
   * @throws TooManyFields; Redis' own error when its user may not read the key; RedisUnavailable
   * for every other error.
   */
  async read(key: string): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      if (this.#maxFields > 0) await this.#checkSize(key)
      const flat = await this.#at(key, (client) => client.sendCommand<string[]>(['HGETALL', key]))
      const fields = new Map<string, string>()
      for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!)
      return fields
    } catch (error) {
      if (error instanceof TooManyFields) throw error
      if (isWrongType(error)) return undefined
      if (isForbidden(error)) throw error
      throw new RedisUnavailable('Redis cannot read hashes now', { cause: error })
    }
  }

  /** HLEN costs the same for each size. HGETALL of a million fields blocks Redis. */
  async #checkSize(key: string): Promise<void> {
    const fields = Number(await this.#at(key, (client) => client.sendCommand<number>(['HLEN', key])))
    if (fields > this.#maxFields)
      throw new TooManyFields(`the hash has ${fields} fields, and RUN_MAX_FIELDS is ${this.#maxFields}: it is not read`)
  }
}
