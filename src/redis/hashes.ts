import { RESP_TYPES } from 'redis'
import { RedisUnavailable } from '../contract/codes.ts'
import { isReply, type Link } from './link.ts'

/** Hashes, read whole. */
export class RedisHashes {
  readonly #link: Link

  constructor(link: Link) {
    this.#link = link
  }

  /**
   * All fields of the hash at `key` as text (bytes that are not UTF-8 become U+FFFD); none when there is no such key; undefined when something else is kept there.
   * @throws RedisUnavailable when there is no connection or it is lost before the answer.
   */
  async read(key: string): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      // As a Map: in an object a field named __proto__ would be lost.
      return await this.#link.client.sendCommand<Map<string, string>>(['HGETALL', key], {
        typeMapping: { [RESP_TYPES.MAP]: Map },
      })
    } catch (error) {
      if (isReply(error) && error.message.startsWith('WRONGTYPE')) return undefined
      throw isReply(error) ? error : new RedisUnavailable('lost while reading a hash', { cause: error })
    }
  }
}
