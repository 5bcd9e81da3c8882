import { RedisUnavailable } from '../platform/unavailable.ts'
import type { At } from './servers/topology.ts'
import { isReply, isUnable } from './wire/errors.ts'

/** Hashes, read whole. */
export class RedisHashes {
  readonly #at: At

  constructor(at: At) {
    this.#at = at
  }

  /**
   * All fields of the hash at `key` as text (bytes that are not UTF-8 become U+FFFD); none when there is no such key; undefined when something else is kept there.
   * @throws RedisUnavailable when there is no connection or it is lost before the answer.
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
      throw new RedisUnavailable('no answer while reading a hash', { cause: error })
    }
  }
}
