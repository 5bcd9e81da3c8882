import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether two secrets are equal. The time it takes does not depend on how much of them is. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b))

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * The token in an `Authorization` header (RFC 6750, section 2.1).
 * @returns undefined when the header is no `Bearer` with one token.
 */
export const bearerToken = (authorization: string): string | undefined =>
  /^bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1]

/** How every resume ticket begins. A credential that begins so is never tried as anything else. */
export const TICKET_PREFIX = 'wst1_'

export const isTicket = (credential: string): boolean => credential.startsWith(TICKET_PREFIX)
