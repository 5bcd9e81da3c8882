import { createHmac } from 'node:crypto'
import { type Refusal, refusals } from '../contract/codes.ts'
import { bearerToken, sameSecret } from '../platform/secrets.ts'

/** Name of the cookie that a browser gets for the token. */
export const ADMIN_COOKIE = 'wsproxy_admin'
/** How long a sign-in lasts, in seconds. */
export const ADMIN_COOKIE_S = 12 * 3600

/** Who may make admin calls: whoever knows `ADMIN_TOKEN`, or has a cookie that was given for it. Nobody, where no token is set. */
export class Admin {
  readonly #token: string | undefined

  constructor(token: string | undefined) {
    this.#token = token
  }

  /** Why a request with these headers may not make an admin call; undefined: it may. */
  check({ authorization = '', cookie = '' }: Readonly<Record<string, string>>): Refusal | undefined {
    if (this.#token === undefined) return refusals['admin-disabled']
    const bearer = bearerToken(authorization)
    if (bearer !== undefined) return this.accepts(bearer) ? undefined : refusals['admin-rejected']
    return this.#isGranted(cookieIn(cookie)) ? undefined : refusals['admin-required']
  }

  /** Whether this is the token; takes the same time whatever it is. */
  accepts(token: string): boolean {
    return this.#token !== undefined && sameSecret(token, this.#token)
  }

  /** A cookie value that is as good as the token for `ADMIN_COOKIE_S`, on every instance that has the same token. */
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

/** The value of our cookie in a `Cookie` header (RFC 6265, section 4.2.1); '' when it is not there. */
function cookieIn(header: string): string {
  for (const pair of header.split(';')) {
    const [name, value = ''] = pair.trim().split('=', 2)
    if (name === ADMIN_COOKIE) return value
  }
  return ''
}
