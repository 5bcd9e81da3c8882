import { withKeyPrefix } from './names.ts'

/** E-mail addresses, and the Redis names of users and their logins. */

/** HTML, section 4.10.5.1.5: what a browser accepts as an address. */
const EMAIL = /^[a-z0-9.!#$%&'*+/=?^_`|~-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,180}[a-z0-9])?$/

/** Returns an e-mail address in the one form that is stored. Undefined: it is not an address. */
export function emailOf(text: string): string | undefined {
  const email = text.trim().toLowerCase()
  return EMAIL.test(email) ? email : undefined
}

/** Sorted set of the ids of all users that log in at the gateway, by the time of their creation. */
export const userIndex = (): string => withKeyPrefix('wsproxy:users')

/** Hash of a user. */
export const userKey = (id: string): string => withKeyPrefix(`wsproxy:user:${id}`)

/** String key with the id of the user that has this address, in lower case. */
export const userByEmail = (email: string): string => withKeyPrefix(`wsproxy:user:email:${email}`)

/** Sorted set of the `sid` of each login of a user, by the time when it ends. */
export const userLogins = (id: string): string => withKeyPrefix(`wsproxy:user:${id}:logins`)

/** Hash with the refresh tokens of a login. */
export const refreshFamily = (sid: string): string => withKeyPrefix(`wsproxy:refresh:${sid}`)

/**
 * String keys that count logins of a client address, and failures of an account. The braces put
 * them in one slot, since one script reads both.
 */
export const loginsOfAddress = (network: string): string => `{${withKeyPrefix('wsproxy:login')}}:ip:${network}`
export const failuresOfAccount = (sha256: string): string => `{${withKeyPrefix('wsproxy:login')}}:email:${sha256}`
