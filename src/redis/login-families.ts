import { refreshFamily, userLogins } from '../contract/user-names.ts'
import { Script } from './script.ts'
import type { AtKey } from './users.ts'

/** Logins that a user has at a time. A further one ends the one that would end first. */
const MAX_LOGINS = 100

/**
 * Replaces the newest refresh token of a family. Hashes of the ones before stay for the grace, so
 * that tabs which refresh at once all get the newest one; any other is a copy of a token, which
 * ends the family.
 */
const ROTATE = new Script(`
local family = redis.call('HMGET', KEYS[1], 'user', 'current', 'used')
if not family[1] then return {'unknown'} end
local now, grace = tonumber(ARGV[3]), tonumber(ARGV[4])
local recent, again = {}, false
for hash, at in string.gmatch(family[3] or '', '(%x+) (%d+) ') do
  if now - tonumber(at) < grace then
    recent[#recent + 1] = hash .. ' ' .. at .. ' '
    again = again or hash == ARGV[1]
  end
end
if again then return {'again', family[1], family[2]} end
if family[2] ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  return {'reused', family[1]}
end
while #recent >= 4 do table.remove(recent, 1) end
local used = table.concat(recent) .. ARGV[1] .. string.format(' %.0f ', now)
redis.call('HSET', KEYS[1], 'current', ARGV[2], 'used', used)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'rotated', family[1], ARGV[2]}`)

/** In one step, so that no crash leaves a login without an end. */
const BEGIN = new Script(`
redis.call('HSET', KEYS[1], 'user', ARGV[1], 'current', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])`)

/** What became of a refresh token. `current` is the hash of the newest token of its family. */
type Rotation =
  | { readonly result: 'unknown' }
  | { readonly result: 'reused'; readonly user: string }
  | { readonly result: 'rotated' | 'again'; readonly user: string; readonly current: string }

/** The logins of users: for each one a hash with the hashes of its refresh tokens. */
export class LoginFamilies {
  readonly #at: AtKey

  constructor(at: AtKey) {
    this.#at = at
  }

  /** @param hash of the first refresh token. */
  async begin(sid: string, user: string, hash: string, now: number, lifeMs: number): Promise<void> {
    const key = refreshFamily(sid)
    await BEGIN.run((command) => this.#at(key, command), [key], [user, hash, String(lifeMs)])
    await this.#index(sid, user, now, lifeMs)
  }

  /** @param used and next are hashes of the token that came and of its successor. */
  async rotate(
    sid: string,
    { used, next, now, graceMs, lifeMs }: Readonly<Record<'used' | 'next', string>> & Times,
  ): Promise<Rotation> {
    const key = refreshFamily(sid)
    const args = [used, next, String(now), String(graceMs), String(lifeMs)]
    const reply = (await ROTATE.run((command) => this.#at(key, command), [key], args)) as string[]
    const [result, user = '', current = ''] = reply
    if (result === 'rotated') await this.#index(sid, user, now, lifeMs)
    return { result, user, current } as Rotation
  }

  /** Reads the logins of a user, those first that end first. Some may have ended. */
  async all(user: string): Promise<LoginOf[]> {
    const key = userLogins(user)
    const reply = (await this.#at(key, ['ZRANGE', key, '0', '-1', 'WITHSCORES'])) as unknown[]
    const flat = reply.flat().map(String)
    return flat.flatMap((sid, index) => (index % 2 === 0 ? [{ sid, endsAt: Number(flat[index + 1]) }] : []))
  }

  async end(sid: string, user: string): Promise<void> {
    await this.#at(refreshFamily(sid), ['DEL', refreshFamily(sid)])
    await this.#at(userLogins(user), ['ZREM', userLogins(user), sid])
  }

  /** Keeps the list of the logins of a user, without those that have ended. */
  async #index(sid: string, user: string, now: number, lifeMs: number): Promise<void> {
    const key = userLogins(user)
    await this.#at(key, ['ZADD', key, String(now + lifeMs), sid])
    await this.#at(key, ['ZREMRANGEBYSCORE', key, '-inf', String(now)])
    await this.#at(key, ['PEXPIRE', key, String(lifeMs)])
    const over = Number(await this.#at(key, ['ZCARD', key])) - MAX_LOGINS
    if (over <= 0) return
    const oldest = (await this.#at(key, ['ZRANGE', key, '0', String(over - 1)])) as string[]
    for (const each of oldest) await this.end(each, user)
  }
}

/** A login of a user. */
interface LoginOf {
  readonly sid: string
  /** When it ends unless it is refreshed before, in ms since the epoch. */
  readonly endsAt: number
}

interface Times {
  /** In ms since the epoch. */
  readonly now: number
  readonly graceMs: number
  readonly lifeMs: number
}
