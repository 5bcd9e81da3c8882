import { createHmac } from 'node:crypto'
import { type Refusal, refusals } from '../contract/codes.ts'
import type { AdminResult } from '../contract/reasons.ts'
import { isAtLeast, type Role } from '../contract/roles.ts'
import { networkOf } from '../platform/address.ts'
import { KeyedRate } from '../platform/rate.ts'
import { bearerToken, sameSecret } from '../platform/secrets.ts'
import type { ClientAddress } from './client-address.ts'
import { cookieIn } from './cookies.ts'

/** Name of the cookie that a browser receives for the token. */
export const ADMIN_COOKIE = 'wsproxy_admin'
/** How long a sign-in lasts, in seconds. */
export const ADMIN_COOKIE_S = 12 * 3600

/** Wrong tokens of one address: ten at once, then one in 6 s. */
const GUESSES = { intervalMs: 6000, burst: 10 }

/** The parts of a request that an admin call is checked by. */
export interface AdminRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly client: ClientAddress
}

/** A user that has logged in, or what its request gets in its place. */
type Caller = { readonly user: string; readonly role: Role } | Refusal

/** Finds the user of a request, by its access token. Undefined: it has none. */
export type CallerOf = (headers: Readonly<Record<string, string>>) => Caller | undefined

/**
 * Checks admin calls: they need `ADMIN_TOKEN`, the cookie of a sign-in, or a user of the role that
 * the call needs. Without a token and without logins admin calls are disabled.
 */
export class Admin {
  readonly #token: string | undefined
  readonly #guesses = new KeyedRate(GUESSES)
  readonly #heard: (result: AdminResult, address: string) => void
  readonly #callerOf: CallerOf | undefined

  /**
   * @param heard is called for each request that brings a token.
   * @param callerOf undefined: users do not log in here.
   */
  constructor(
    token: string | undefined,
    heard: (result: AdminResult, address: string) => void = () => {},
    callerOf?: CallerOf,
  ) {
    this.#callerOf = callerOf
    this.#token = token
    this.#heard = heard
  }

  /**
   * Returns the refusal of a request, or undefined when it may make admin calls. An address with
   * too many wrong tokens is refused whatever it sends, since any answer would be a guess more.
   */
  authorize({ headers, client }: AdminRequest, needed: Role = 'admin', now = performance.now()): Refusal | undefined {
    const caller = this.#callerOf?.(headers)
    if (caller === undefined) {
      const hasToken = bearerToken(headers.authorization ?? '') !== undefined
      const refusal = this.#limited(client, hasToken, now, () => this.check(headers))
      return this.#callerOf && refusal?.code === 'admin-disabled' ? refusals['login-required'] : refusal
    }
    if (!('kind' in caller) && isAtLeast(caller.role, needed)) return undefined
    // The same browser may have signed in with the token.
    if (!headers.authorization && this.#isGranted(cookieIn(headers.cookie ?? '', ADMIN_COOKIE))) return undefined
    return 'kind' in caller ? caller : refusals['role-required']
  }

  /** What the log names as the author of an admin call. */
  actorOf(headers: AdminRequest['headers']): string {
    const caller = this.#callerOf?.(headers)
    if (caller !== undefined && 'user' in caller) return caller.user
    return headers.authorization ? 'token' : 'cookie'
  }

  /**
   * Checks a token that a client typed, with the same limit. Returns the refusal, or undefined when
   * the token is right.
   */
  signIn(token: string, client: ClientAddress, now = performance.now()): Refusal | undefined {
    if (this.#token === undefined) return refusals['admin-disabled']
    return this.#limited(client, true, now, () => (this.accepts(token) ? undefined : refusals['admin-rejected']))
  }

  #limited(
    client: ClientAddress,
    isGuess: boolean,
    now: number,
    check: () => Refusal | undefined,
  ): Refusal | undefined {
    if (!isGuess || this.#token === undefined) return check()
    const network = networkOf(client.ip)
    this.#guesses.sweep(now)
    if (client.isClient && !this.#guesses.allows(network, now)) {
      this.#heard('limited', client.ip)
      return refusals['admin-limited']
    }
    const refusal = check()
    if (refusal !== undefined) this.#guesses.take(network, now)
    this.#heard(refusal === undefined ? 'accepted' : 'rejected', client.ip)
    return refusal
  }

  /**
   * Returns the refusal of a request with these headers, or undefined when it may make admin calls.
   */
  check({ authorization = '', cookie = '' }: Readonly<Record<string, string>>): Refusal | undefined {
    if (this.#token === undefined) return refusals['admin-disabled']
    const bearer = bearerToken(authorization)
    if (bearer !== undefined) return this.accepts(bearer) ? undefined : refusals['admin-rejected']
    return this.#isGranted(cookieIn(cookie, ADMIN_COOKIE)) ? undefined : refusals['admin-required']
  }

  /** Whether this is the admin token. The time it takes does not depend on the text. */
  accepts(token: string): boolean {
    return this.#token !== undefined && sameSecret(token, this.#token)
  }

  /** A cookie value that is valid for `ADMIN_COOKIE_S`, on every instance with the same token. */
  grant(now = Date.now()): string {
    const until = String(Math.floor(now / 1000) + ADMIN_COOKIE_S)
    return `${until}.${this.#sign(until)}`
  }

  #isGranted(value: string, now = Date.now()): boolean {
    if (this.#token === undefined) return false
    const [until = '', signature = ''] = value.split('.')
    return /^\d{1,12}$/.test(until) && Number(until) * 1000 > now && sameSecret(signature, this.#sign(until))
  }

  #sign(until: string): string {
    return createHmac('sha256', this.#token!).update(`${ADMIN_COOKIE}.${until}`).digest('base64url')
  }
}
