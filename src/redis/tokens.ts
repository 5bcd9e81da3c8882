import { createHash } from 'node:crypto'
import { usedToken } from '../contract/names.ts'
import { reasonOf } from '../platform/reason.ts'
import { RedisForbids, RedisUnavailable } from '../platform/unavailable.ts'
import type { Logger } from '../telemetry/log.ts'
import { Script } from './script.ts'
import type { RunAtKey } from './servers/topology.ts'
import { isForbidden, isWrongType } from './wire/errors.ts'

/** The script reads all members of a set, and Redis does nothing else meanwhile. */
const MAX_SET = 1000
/** A pause of Redis may cost many tokens: at most one line in this time. */
const LOST_LINE_MS = 1000

/**
 * Compares and spends a token atomically. The key holds one token as a string, or several as a set.
 * The token itself is not sent: both sides are hashed with a secret of this process, so the
 * duration of the comparison reveals nothing, and SLOWLOG does not show the token. MONITOR shows a
 * member of a set when it is removed.
 * Returns 1: it matches; 0: it differs from the string; -1: the key holds none; -2: it is not in
 * the set; -3: the set is too large. A list when it matched and was removed: the type of the key,
 * the ms that it had left or -1, and 1 when a used member of a set stays valid meanwhile.
 */
const SCRIPT = new Script(`
local kept = redis.pcall('GET', KEYS[1])
local after = tonumber(ARGV[3])
if not kept then return -1 end
if type(kept) == 'string' then
  if redis.sha1hex(ARGV[1] .. kept) ~= ARGV[2] then return 0 end
  if after == 0 then
    local life = redis.call('PTTL', KEYS[1])
    redis.call('DEL', KEYS[1])
    return {'string', life, 0}
  elseif after > 0 then
    local left = redis.call('PTTL', KEYS[1])
    if left < 0 or left > after then redis.call('PEXPIRE', KEYS[1], after) end
  end
  return 1
end
if not string.find(kept.err, 'WRONGTYPE') then return kept end
if redis.call('SCARD', KEYS[1]) > ${MAX_SET} then return -3 end
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.sha1hex(ARGV[1] .. member) == ARGV[2] then
    if after < 0 then return 1 end
    local left = redis.call('PTTL', KEYS[1])
    redis.call('SREM', KEYS[1], member)
    if after == 0 then return {'set', left, 0} end
    if left < 0 or left > after then left = after end
    return {'set', left, 1}
  end
end
return -2`)

/**
 * Puts a removed token back, unless the key holds other ones of another type, or a new string.
 * Returns 1 when it did.
 */
const GIVE_BACK = new Script(`
local now = redis.call('TYPE', KEYS[1]).ok
if now ~= 'none' and (now ~= 'set' or ARGV[1] ~= 'set') then return 0 end
if ARGV[1] == 'set' then redis.call('SADD', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2]) end
if now == 'none' and tonumber(ARGV[3]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`)

type Verdict = 'ok' | 'wrong' | 'absent' | 'crowded'
const VERDICTS: Readonly<Record<string, Verdict>> = {
  '1': 'ok',
  '0': 'wrong',
  '-1': 'absent',
  '-2': 'absent',
  '-3': 'crowded',
}

/** Tokens stored as string keys, or as members of sets. */
export class RedisTokens {
  readonly #at: RunAtKey
  readonly #afterMs: number
  readonly #secret: string
  readonly #log: Logger | undefined
  /** When a lost token was logged last, by `performance.now()`. */
  #lostAt = Number.NEGATIVE_INFINITY

  /**
   * @param afterMs what a match does to the token: 0 removes it, -1 keeps it, else it expires
   * within so many ms.
   */
  constructor(at: RunAtKey, afterMs: number, secret: string, log?: Logger) {
    this.#at = at
    this.#afterMs = afterMs
    this.#secret = secret
    this.#log = log
  }

  /**
   * Compares `token` with those at `key`. When that removes it, calls `removed` with a function
   * that puts it back. @throws RedisForbids when the user of Redis may not do that;
   * RedisUnavailable for every other error, since only a right or a type is an answer.
   */
  async redeem(key: string, token: string, removed?: (giveBack: () => void) => void): Promise<Verdict> {
    const args = [this.#secret, hash('sha1', this.#secret + token), String(this.#afterMs)]
    try {
      const reply = await this.#at(key, (client) => SCRIPT.run((command) => client.sendCommand(command), [key], args))
      if (Array.isArray(reply)) {
        const [type, lifeMs, stays] = reply.map(String)
        if (stays === '1') return await this.#keepUsed(key, token, lifeMs!)
        const until = Number(lifeMs) < 0 ? Number.POSITIVE_INFINITY : Date.now() + Number(lifeMs)
        removed?.(() => void this.#giveBack(key, token, type!, until))
        return 'ok'
      }
      const verdict = VERDICTS[String(reply)]!
      return verdict === 'absent' && this.#afterMs > 0 ? await this.#findUsed(key, token) : verdict
    } catch (error) {
      // A key of another type cannot hold a token.
      if (isWrongType(error)) return 'absent'
      if (isForbidden(error)) throw new RedisForbids('Redis forbids the check of a token', { cause: error })
      throw new RedisUnavailable('Redis cannot check tokens now', { cause: error })
    }
  }

  /**
   * Keeps a used token of a set valid for a while, at a key of its own, so that no other token's
   * life changes. That key may be on another server of a cluster, so the script cannot write it.
   */
  async #keepUsed(key: string, token: string, lifeMs: string): Promise<Verdict> {
    const used = usedToken(key, hash('sha256', token))
    await this.#at(used, (client) => client.sendCommand(['SET', used, '1', 'PX', lifeMs]))
    return 'ok'
  }

  /** Puts a token back that was removed for nothing. It is sent as it is, which MONITOR shows. */
  async #giveBack(key: string, token: string, type: string, until: number): Promise<void> {
    const lifeMs = until - Date.now()
    if (lifeMs <= 0) return
    const args = [type, token, lifeMs === Number.POSITIVE_INFINITY ? '-1' : String(lifeMs)]
    try {
      await this.#at(key, (client) => GIVE_BACK.run((command) => client.sendCommand(command), [key], args))
    } catch (error) {
      const now = performance.now()
      if (now - this.#lostAt < LOST_LINE_MS) return
      this.#lostAt = now
      this.#log?.warn(
        { event: 'token-lost', reason: reasonOf(error) },
        'the token of an upgrade without a socket could not be given back: its client needs a new one',
      )
    }
  }

  async #findUsed(key: string, token: string): Promise<Verdict> {
    const used = usedToken(key, hash('sha256', token))
    const found = await this.#at(used, (client) => client.sendCommand(['EXISTS', used]))
    return Number(found) === 1 ? 'ok' : 'absent'
  }
}

const hash = (algorithm: 'sha1' | 'sha256', text: string): string => createHash(algorithm).update(text).digest('hex')
