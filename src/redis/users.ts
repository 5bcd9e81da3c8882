import { randomBytes } from 'node:crypto'
import { type Role, roleNamed } from '../contract/roles.ts'
import { userByEmail, userIndex, userKey } from '../contract/user-names.ts'

/** Runs a command on the server that has the key. */
export type AtKey = (key: string, args: readonly string[]) => Promise<unknown>

/** A user that logs in at the gateway. */
export interface User {
  readonly id: string
  /** In lower case. */
  readonly email: string
  readonly fullName: string
  readonly role: Role
  readonly isActive: boolean
  /** A PHC string. */
  readonly password: string
  /** ISO 8601. Undefined: never. */
  readonly lastLogin: string | undefined
}

export type NewUser = Pick<User, 'email' | 'fullName' | 'role' | 'password'>

/** What can be changed of a user. */
type Change = Partial<Pick<User, 'role' | 'isActive' | 'password' | 'lastLogin'>>

const FIELDS = ['email', 'full_name', 'role', 'active', 'password', 'last_login'] as const
/** Users of one page of the list. */
const PAGE = 500

/** Writes fields of a hash that exists: a user that was deleted meanwhile must not come back. */
const CHANGE = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1`

/**
 * The users in Redis: a hash each, a key that finds the id of an address, and a sorted set of the
 * ids. In a cluster they are on several servers, so each method writes in an order in which a crash
 * leaves no user that can log in and is not in the list.
 */
export class RedisUsers {
  readonly #at: AtKey

  /** @param at throws what Redis answers, and RedisUnavailable or its like without an answer. */
  constructor(at: AtKey) {
    this.#at = at
  }

  /** Adds a user. Returns undefined when another one has the address. */
  async add({ email, fullName, role, password }: NewUser): Promise<User | undefined> {
    const id = randomBytes(12).toString('hex')
    const user = { id, email, fullName, role, isActive: true, password, lastLogin: undefined }
    await this.#at(userKey(id), ['HSET', userKey(id), ...flat({ ...fieldsOf(user), email, full_name: fullName })])
    await this.#at(userIndex(), ['ZADD', userIndex(), String(Date.now()), id])
    const claimed = await this.#at(userByEmail(email), ['SET', userByEmail(email), id, 'NX'])
    if (claimed !== null) return user
    await this.#at(userIndex(), ['ZREM', userIndex(), id])
    await this.#at(userKey(id), ['DEL', userKey(id)])
    return undefined
  }

  /** @param email in the form of `emailOf`. Undefined: no user has the address. */
  async find(email: string): Promise<User | undefined> {
    // Without a user it takes as long, so that the time of a login reveals nothing.
    return this.read((await this.#idOf(email)) ?? '')
  }

  async #idOf(email: string): Promise<string | undefined> {
    const id = await this.#at(userByEmail(email), ['GET', userByEmail(email)])
    return typeof id === 'string' ? id : undefined
  }

  async read(id: string): Promise<User | undefined> {
    const values = (await this.#at(userKey(id), ['HMGET', userKey(id), ...FIELDS])) as (string | null)[]
    const [email, fullName, role, active, password, lastLogin] = values.map((each) => each ?? '')
    const known = roleNamed(role ?? '')
    if (!email || !password || known === undefined) return undefined
    const isActive = active === '1'
    return { id, email, fullName: fullName ?? '', role: known, isActive, password, lastLogin: lastLogin || undefined }
  }

  async isEmpty(): Promise<boolean> {
    return Number(await this.#at(userIndex(), ['ZCARD', userIndex()])) === 0
  }

  /** Reads all users, the oldest first. */
  async *all(): AsyncGenerator<User> {
    for (let from = 0; ; from += PAGE) {
      const page = ['ZRANGE', userIndex(), String(from), String(from + PAGE - 1)]
      const ids = (await this.#at(userIndex(), page)) as string[]
      for (const id of ids) {
        const user = await this.read(id)
        // A crash while it was added leaves a user without its address.
        if (user !== undefined && (await this.#idOf(user.email)) === id) yield user
      }
      if (ids.length < PAGE) return
    }
  }

  /** Returns false when the user does not exist any more. */
  async change(id: string, change: Change): Promise<boolean> {
    const key = userKey(id)
    return Number(await this.#at(key, ['EVAL', CHANGE, '1', key, ...flat(fieldsOf(change))])) === 1
  }

  async remove({ id, email }: User): Promise<void> {
    await this.#at(userKey(id), ['DEL', userKey(id)])
    await this.#at(userByEmail(email), ['DEL', userByEmail(email)])
    await this.#at(userIndex(), ['ZREM', userIndex(), id])
  }
}

const fieldsOf = ({ role, isActive, password, lastLogin }: Change): Record<string, string> => ({
  ...(role !== undefined && { role }),
  ...(isActive !== undefined && { active: isActive ? '1' : '0' }),
  ...(password !== undefined && { password }),
  ...(lastLogin !== undefined && { last_login: lastLogin }),
})

const flat = (fields: Readonly<Record<string, string>>): string[] => Object.entries(fields).flat()
