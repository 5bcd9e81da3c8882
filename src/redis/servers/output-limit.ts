import type { RedisConnection } from '../wire/connection.ts'
import { isReply } from '../wire/errors.ts'

/** How often one server has closed connections because it could not send as fast as others publish (client-output-buffer-limit). */
export class OutputLimit {
  /** As it said last; undefined: it does not count them, or was not asked yet. */
  #count: number | undefined

  /**
   * Whether it has done so since it was last asked; to be asked on every new connection. Redis counts that since 7.2; undefined: it does not tell.
   * @throws when the connection is lost.
   */
  async hit(client: RedisConnection): Promise<boolean | undefined> {
    const stats = await client.sendCommand(['INFO', 'stats']).catch((error) => {
      if (isReply(error)) return '' // It forbids the question.
      throw error
    })
    const [, count] = /client_output_buffer_limit_disconnections:(\d+)/.exec(String(stats)) ?? []
    if (count === undefined) return undefined
    const before = this.#count
    this.#count = Number(count)
    return before !== undefined && this.#count > before
  }
}
