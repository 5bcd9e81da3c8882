import { RedisUnavailable } from '../platform/unavailable.ts'
import { isReply, isTemporary } from './wire/errors.ts'

/** What is thrown when a key cannot be used: Redis forbids it, or the key holds something else. */
type Unusable = new (message: string, options: ErrorOptions) => Error

/**
 * Runs commands, and turns an error that the caller cannot expect into one of two. A refusal that
 * does not pass throws `unusable`, with the text of Redis; all else throws RedisUnavailable.
 * @param silence the message for commands without an answer.
 */
export async function guarded<T>(commands: () => Promise<T>, unusable: Unusable, silence: string): Promise<T> {
  try {
    return await commands()
  } catch (error) {
    if (error instanceof unusable || error instanceof RedisUnavailable) throw error
    if (isReply(error) && !isTemporary(error)) throw new unusable(error.message, { cause: error })
    throw new RedisUnavailable(silence, { cause: error })
  }
}
