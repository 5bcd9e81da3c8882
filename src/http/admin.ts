import { createHmac } from 'node:crypto'
import { type Refusal, refusals } from '../contract/codes.ts'
import { bearerToken, sameSecret } from '../platform/secrets.ts'

/** Name of the cookie that a browser receives for the token. */
export const ADMIN_COOKIE = 'wsproxy_admin'
/** How long a sign-in lasts, in seconds. */
export const ADMIN_COOKIE_S = 12 * 3600

/**
 * Checks admin calls: they need `ADMIN_TOKEN`, or the cookie of a sign-in. Without a token admin
 * calls are disabled.
 */
export class Admin {
  readonly #token: string | undefined

  constructor(token: string | undefined) {
    this.#token = token
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
