import { RedisUnavailable } from '../platform/unavailable.ts'
import type { RunAtKey } from './servers/topology.ts'
import { isReply, isUnable } from './wire/errors.ts'

/** Reads whole hashes. */
export class RedisHashes {
  readonly #at: RunAtKey

  constructor(at: RunAtKey) {
    this.#at = at
  }

  /**
   * Returns all fields of the hash at `key` as text (bytes that are not UTF-8 become U+FFFD). An
   * absent key has no fields; a key of another type returns undefined.
   * @throws RedisUnavailable without an answer; Redis' own error otherwise.
   */
  async read(key: string): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      const flat = await this.#at(key, (client) => client.sendCommand<string[]>(['HGETALL', key]))
      const fields = new Map<string, string>()
      for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!)
      return fields
    } catch (error) {
      if (isReply(error) && error.message.startsWith('WRONGTYPE')) return undefined
      if (isReply(error) && !isUnable(error)) throw error
      throw new RedisUnavailable('Redis did not answer while a hash was read', { cause: error })
    }
  }
}
