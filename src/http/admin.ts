import { createHmac } from 'node:crypto'
import { type Refusal, refusals } from '../contract/codes.ts'
import type { AdminResult } from '../contract/reasons.ts'
import { networkOf } from '../platform/address.ts'
import { KeyedRate } from '../platform/rate.ts'
import { bearerToken, sameSecret } from '../platform/secrets.ts'
import type { ClientAddress } from './client-address.ts'

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

/**
 * Checks admin calls: they need `ADMIN_TOKEN`, or the cookie of a sign-in. Without a token admin
 * calls are disabled.
 */
export class Admin {
  readonly #token: string | undefined
  readonly #guesses = new KeyedRate(GUESSES)
  readonly #heard: (result: AdminResult, address: string) => void

  /** @param heard is called for each request that brings a token. */
  constructor(token: string | undefined, heard: (result: AdminResult, address: string) => void = () => {}) {
    this.#token = token
    this.#heard = heard
  }

  /**
   * Returns the refusal of a request, or undefined when it may make admin calls. An address with
   * too many wrong tokens is refused whatever it sends, since any answer would be a guess more.
   */
  authorize({ headers, client }: AdminRequest, now = performance.now()): Refusal | undefined {
    return this.#limited(client, bearerToken(headers.authorization ?? '') !== undefined, now, () => this.check(headers))
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
    return this.#isGranted(cookieIn(cookie)) ? undefined : refusals['admin-required']
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
    const [until = '', signature = ''] = value.split('.')
    return /^\d{1,12}$/.test(until) && Number(until) * 1000 > now && sameSecret(signature, this.#sign(until))
  }

  #sign(until: string): string {
    return createHmac('sha256', this.#token!).update(`${ADMIN_COOKIE}.${until}`).digest('base64url')
  }
}

/** The value of our cookie in a `Cookie` header (RFC 6265, section 4.2.1); '' without it. */
function cookieIn(header: string): string {
  for (const pair of header.split(';')) {
    const [name, value = ''] = pair.trim().split('=', 2)
    if (name === ADMIN_COOKIE) return value
  }
  return ''
}
