import { sessionPosted, sessionUp } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import { Script } from './script.ts'

/** How long a frame that comes again is recognised. */
const KEPT_MS = 3_600_000

/**
 * Publishes a frame once, or only claims the key for it. Returns what the key holds: the hash of
 * the frame, and behind it the receivers, once it was published. When Redis forbids the PUBLISH,
 * the script takes back what it has written.
 */
const SCRIPT = new Script(`
local kept = redis.call('GET', KEYS[1])
if kept and kept ~= ARGV[3] then return kept end
if not kept then redis.call('SET', KEYS[1], ARGV[3], 'PX', ${KEPT_MS}) end
if ARGV[4] == '' then return ARGV[3] end
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
  publish(session: string, keyHash: string, frameHash: string, frame: string): Promise<number | undefined> {
    return this.#run(session, keyHash, frameHash, frame, this.#publish)
  }

  /**
   * Keeps the key for a frame that is published later. Resolves with false when it is that of
   * another frame.
   * @throws as `publish`.
   */
  async claim(session: string, keyHash: string, frameHash: string): Promise<boolean> {
    return (await this.#run(session, keyHash, frameHash, '', '')) !== undefined
  }

  async #run(
    session: string,
    keyHash: string,
    frameHash: string,
    frame: string,
    publish: string,
  ): Promise<number | undefined> {
    const key = sessionPosted(session, keyHash)
    const send = (command: string[]) => this.#command(key, command)
    const kept = await guarded(
      () => SCRIPT.run(send, [key], [sessionUp(session), frame, frameHash, publish]),
      PostsUnusable,
      'Redis did not answer while a frame was published',
    )
    const [hash, receivers = '0'] = String(kept).split(' ')
    return hash === frameHash ? Number(receivers) : undefined
  }
}
