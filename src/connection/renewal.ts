import type { Logger } from '../telemetry/log.ts'
import type { JwtChecks, Rights, TokenClaims } from './auth.ts'
import type { Connection } from './connection.ts'

export interface RenewalOptions {
  /** How long a socket lives on one JWT. 0: until the `exp` of that JWT. */
  readonly authJwtMaxLifetimeMs: number
}

interface RenewalParts {
  readonly options: RenewalOptions
  readonly jwts: JwtChecks
  readonly isRevoked: (claims: TokenClaims) => boolean
  readonly log: Logger
}

/**
 * Returns when a socket that gets these rights now is closed, in seconds since the epoch. 0: its
 * rights have no end.
 */
export function endOf(rights: TokenClaims | undefined, { authJwtMaxLifetimeMs }: RenewalOptions): number {
  if (rights === undefined) return 0
  const { expiresAt = Number.POSITIVE_INFINITY } = rights
  const bound = authJwtMaxLifetimeMs > 0 ? Math.ceil((Date.now() + authJwtMaxLifetimeMs) / 1000) : expiresAt
  const end = Math.min(expiresAt, bound)
  return Number.isFinite(end) ? end : 0
}

/** The end of a socket as a frame shows it. Undefined: it has none, or a date cannot hold it. */
export function endText(end: number): string | undefined {
  const date = new Date(end * 1000)
  return end === 0 || Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

/** Replaces the JWT of an open socket by a new one that its client has sent. */
export class Renewals {
  readonly #parts: RenewalParts

  constructor(parts: RenewalParts) {
    this.#parts = parts
  }

  /**
   * Returns when the socket is closed from now on, as `endOf` does, or undefined when the token was
   * refused: then the former one counts until it ends.
   * @param allows called with the rights of a valid token of the same `sub`. Returns whether they
   * are enough for the path of the socket, and then applies them.
   */
  renew(connection: Connection, token: string, allows: (rights: Rights) => boolean): number | undefined {
    const { options, jwts, isRevoked, log } = this.#parts
    const verdict = jwts.verify(token)
    const why = 'fault' in verdict || !isRevoked(verdict) ? faultOf(connection, verdict, allows) : 'the JWT was revoked'
    if (why !== undefined || 'fault' in verdict) {
      log.connection(connection).debug({ event: 'auth-rejected', reason: why }, 'a new JWT of a socket was refused')
      return undefined
    }
    const end = endOf(verdict, options)
    connection.renewed(verdict, end)
    return end
  }
}

/** Returns why a token does not renew the one of this socket, in words for the log. */
function faultOf(
  { rights, door }: Connection,
  verdict: ReturnType<JwtChecks['verify']>,
  allows: (rights: Rights) => boolean,
): string | undefined {
  if ('fault' in verdict) return `JWT: ${verdict.why}`
  if (verdict.subject !== rights?.subject) return 'JWT: its sub is another one'
  return allows(verdict) ? undefined : `JWT: its claims allow no ${door.subjectName} of this path`
}
