import { createHash } from 'node:crypto'
import { RedisUnavailable } from '../platform/unavailable.ts'
import { Script } from './script.ts'
import type { RunAtKey } from './servers/topology.ts'
import { isReply, isUnable } from './wire/errors.ts'

/**
 * Compares and spends a token atomically. The token itself is not sent: both sides are hashed with
 * a secret of this process, so the duration of the comparison reveals nothing and MONITOR and
 * SLOWLOG do not show the token. Returns 1: it matches; 0: it differs; -1: the key holds none.
 */
const SCRIPT = new Script(`
local kept = redis.call('GET', KEYS[1])
if not kept then return -1 end
if redis.sha1hex(ARGV[1] .. kept) ~= ARGV[2] then return 0 end
local after = tonumber(ARGV[3])
if after == 0 then
  redis.call('DEL', KEYS[1])
elseif after > 0 then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 or left > after then redis.call('PEXPIRE', KEYS[1], after) end
end
return 1`)

const VERDICTS = { '1': 'ok', '0': 'wrong', '-1': 'absent' } as const

/** Tokens stored as string keys. */
export class RedisTokens {
  readonly #at: RunAtKey
  readonly #after: string
  readonly #secret: string

  /**
   * @param afterMs what a match does to the token: 0 removes it, -1 keeps it, else it expires
   * within so many ms.
   */
  constructor(at: RunAtKey, afterMs: number, secret: string) {
    this.#at = at
    this.#after = String(afterMs)
    this.#secret = secret
  }

  /**
   * Compares `token` with the one at `key`. @throws RedisUnavailable without an answer; Redis' own
   * error otherwise.
   */
  async redeem(key: string, token: string): Promise<'ok' | 'wrong' | 'absent'> {
    const args = [this.#secret, sha1(this.#secret + token), this.#after]
    try {
      const reply = await this.#at(key, (client) => SCRIPT.run((command) => client.sendCommand(command), [key], args))
      return VERDICTS[String(reply) as keyof typeof VERDICTS]
    } catch (error) {
      // A key of another type cannot hold a token.
      if (isReply(error) && error.message.includes('WRONGTYPE')) return 'absent'
      if (isReply(error) && !isUnable(error)) throw error
      throw new RedisUnavailable('Redis did not answer while a token was checked', { cause: error })
    }
  }
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}
