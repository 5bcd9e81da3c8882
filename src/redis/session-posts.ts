import { sessionPosted, sessionUp } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import { Script } from './script.ts'

/** How long a frame that comes again is recognised. */
const KEPT_MS = 3_600_000

/**
 * Publishes a frame once. Returns what the key holds: the hash of the frame that was published
 * under it, and its receivers. When Redis forbids the PUBLISH, the script takes back what it has
 * written.
 */
const SCRIPT = new Script(`
if not redis.call('SET', KEYS[1], ARGV[3], 'NX', 'PX', ${KEPT_MS}) then return redis.call('GET', KEYS[1]) end
local heard = redis.pcall(ARGV[4], ARGV[1], ARGV[2])
if type(heard) == 'table' and heard.err then
  redis.call('DEL', KEYS[1])
  return heard
end
redis.call('APPEND', KEYS[1], ' ' .. heard)
return ARGV[3] .. ' ' .. heard`)

/** Redis forbids the key or the channel, or the key holds something else. */
class PostsUnusable extends Error {
  override readonly name = 'PostsUnusable'
}

/** Publishes client frames that come with an idempotency key, each once. */
export class RedisSessionPosts {
  readonly #command: (key: string, args: readonly string[]) => Promise<unknown>
  readonly #publish: 'PUBLISH' | 'SPUBLISH'

  /** @param command runs a command on the server that has a key. */
  constructor(command: (key: string, args: readonly string[]) => Promise<unknown>, isSharded: boolean) {
    this.#command = command
    this.#publish = isSharded ? 'SPUBLISH' : 'PUBLISH'
  }

  /**
   * Publishes a frame to the session, unless it was published under this key before.
   * @param keyHash and `frameHash` without spaces.
   * @returns its receivers; undefined: another frame was published under the key.
   * @throws RedisUnavailable without an answer: a repetition finds out. PostsUnusable.
   */
  async publish(session: string, keyHash: string, frameHash: string, frame: string): Promise<number | undefined> {
    const key = sessionPosted(session, keyHash)
    const send = (command: string[]) => this.#command(key, command)
    const kept = await guarded(
      () => SCRIPT.run(send, [key], [sessionUp(session), frame, frameHash, this.#publish]),
      PostsUnusable,
      'Redis did not answer while a frame was published',
    )
    const [hash, receivers = '0'] = String(kept).split(' ')
    return hash === frameHash ? Number(receivers) : undefined
  }
}
