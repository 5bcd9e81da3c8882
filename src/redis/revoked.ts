import { revokedSet } from '../contract/names.ts'
import { guarded } from './guarded.ts'
import { Script } from './script.ts'
import type { RunAtKey } from './servers/topology.ts'

/**
 * A member is `<version> <expiry in ms> <entry>`, and its score is the version: the time of Redis
 * in ms, or one more than the newest. Removes up to 1,000 expired members first, and members of
 * another form, which no instance reads. With the fourth argument the time of Redis ends the entry.
 * Returns -1 when the set is full, else the version.
 */
const SCRIPT = new Script(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], '0', '999')) do
  local expiry = tonumber(string.match(member, '^%d+ (%d+) ') or '0')
  if expiry <= now then redis.call('ZREM', KEYS[1], member) end
end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end
local newest = redis.call('ZRANGE', KEYS[1], '-1', '-1')[1]
local version = now
if newest then version = math.max(now, tonumber(string.match(newest, '^%d+ ') or '0') + 1) end
local member = string.format('%.0f %.0f ', version, now + tonumber(ARGV[2])) .. ARGV[1]
if ARGV[4] == 'now' then member = member .. string.format(':%.0f', now) end
redis.call('ZADD', KEYS[1], string.format('%.0f', version), member)
return version`)

const MEMBER = /^(\d+) (\d+) (.+)$/s

export interface Revocation {
  readonly version: number
  /** It may be forgotten then (ms since the epoch): nothing that it revokes is valid any more. */
  readonly expiresAt: number
  /** `sid:<sid>`, `jti:<jti>`, `sub:<sub>:<before>` or `session:<id>:<before>`. */
  readonly entry: string
}

interface News {
  /** The time of Redis in ms since the epoch. */
  readonly now: number
  /** Oldest first. */
  readonly revocations: readonly Revocation[]
}

/** The set of revocations cannot be used: Redis forbids it, or the key holds something else. */
export class RevokedUnusable extends Error {
  override readonly name = 'RevokedUnusable'
}

/** No more revocations fit into the set until some of them expire. */
export class RevokedFull extends Error {
  override readonly name = 'RevokedFull'
}

/** The set of revocations that all instances share. */
export class RedisRevoked {
  readonly #at: RunAtKey
  readonly #maxEntries: number

  /** @param maxEntries every instance keeps all entries in memory. */
  constructor(at: RunAtKey, maxEntries: number) {
    this.#at = at
    this.#maxEntries = maxEntries
  }

  /** @throws RedisUnavailable without an answer; RevokedUnusable; RevokedFull. */
  add(entry: string, lifeMs: number): Promise<void> {
    return this.#add(entry, lifeMs, '')
  }

  /** Adds an entry that revokes what was made until now, by the clock of Redis. Throws like add. */
  addUntilNow(name: string, lifeMs: number): Promise<void> {
    return this.#add(name, lifeMs, 'now')
  }

  async #add(entry: string, lifeMs: number, ending: '' | 'now'): Promise<void> {
    const key = revokedSet()
    const args = [entry, String(lifeMs), String(this.#maxEntries), ending]
    const version = await answered(() =>
      this.#at(key, (client) => SCRIPT.run((command) => client.sendCommand(command), [key], args)),
    )
    if (Number(version) === -1)
      throw new RevokedFull(
        `the set ${key} holds ${this.#maxEntries} revocations (AUTH_REVOKED_MAX): none fits until some of them expire`,
      )
  }

  /**
   * Returns what was revoked since a version. @throws RedisUnavailable without an answer;
   * RevokedUnusable.
   */
  async since(version: number): Promise<News> {
    const key = revokedSet()
    const [[seconds, micros], members] = await answered(() =>
      this.#at(key, (client) =>
        Promise.all([
          client.sendCommand<[string, string]>(['TIME']),
          client.sendCommand<string[]>(['ZRANGEBYSCORE', key, `(${version}`, '+inf']),
        ]),
      ),
    )
    const revocations = members.flatMap((member) => {
      const [, at, expiresAt, entry] = MEMBER.exec(member) ?? []
      return entry === undefined ? [] : [{ version: Number(at), expiresAt: Number(expiresAt), entry }]
    })
    return { now: Number(seconds) * 1000 + Math.floor(Number(micros) / 1000), revocations }
  }
}

const answered = <T>(command: () => Promise<T>): Promise<T> =>
  guarded(command, RevokedUnusable, 'Redis did not answer a command on the set of revocations')
