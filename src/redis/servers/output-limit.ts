import type { RedisConnection } from '../wire/connection.ts'
import { isReply } from '../wire/errors.ts'

/**
 * Finds out whether a server has closed connections because their output buffer was full
 * (client-output-buffer-limit).
 */
export class OutputLimit {
  /**
   * The server's count at the last call; undefined: not asked yet, or the server does not count.
   */
  #count: number | undefined

  /**
   * Returns whether the count has grown since the last call. Call it on every new connection.
   * Undefined: the server does not count (Redis counts since 7.2) or forbids INFO.
   * @throws when the connection is lost.
   */
  async hit(client: RedisConnection): Promise<boolean | undefined> {
    const stats = await client.sendCommand(['INFO', 'stats']).catch((error) => {
      if (isReply(error)) return '' // An ACL forbids INFO.
      throw error
    })
    const [, count] = /client_output_buffer_limit_disconnections:(\d+)/.exec(String(stats)) ?? []
    if (count === undefined) return undefined
    const before = this.#count
    this.#count = Number(count)
    return before !== undefined && this.#count > before
  }
}
