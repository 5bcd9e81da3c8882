import { createHash } from 'node:crypto'
import { RedisUnavailable } from '../platform/unavailable.ts'
import { Script } from './script.ts'
import type { At } from './servers/topology.ts'
import { isReply, isUnable } from './wire/errors.ts'

/** A token is removed (0), left alone (-1), or its life shortened to so many ms. */
export type AfterSuccess = number

/**
 * Compares and spends in one atomic step. The token itself does not travel: both sides are hashed with a secret of this process
 * (a double-HMAC comparison), so that how long the comparison takes says nothing about the token, and neither MONITOR nor SLOWLOG shows it.
 * Returns 1: it was right; 0: another; -1: there is none.
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

/** Tokens kept as string keys. */
export class RedisTokens {
  readonly #at: At
  readonly #after: string
  readonly #secret: string

  constructor(at: At, after: AfterSuccess, secret: string) {
    this.#at = at
    this.#after = String(after)
    this.#secret = secret
  }

  /** @throws RedisUnavailable when there is no connection or it is lost before the answer; Redis' own error otherwise. */
  async redeem(key: string, token: string): Promise<'ok' | 'wrong' | 'absent'> {
    const args = [this.#secret, sha1(this.#secret + token), this.#after]
    try {
      const reply = await this.#at(key, (client) => SCRIPT.run((command) => client.sendCommand(command), [key], args))
      return VERDICTS[String(reply) as keyof typeof VERDICTS]
    } catch (error) {
      // A key of another type cannot hold a token.
      if (isReply(error) && error.message.includes('WRONGTYPE')) return 'absent'
      if (isReply(error) && !isUnable(error)) throw error
      throw new RedisUnavailable('no answer while checking a token', { cause: error })
    }
  }
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}
