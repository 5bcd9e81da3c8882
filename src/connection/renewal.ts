import { lastOf, mayContain, membersOf, namesOf, stringOf } from '../platform/json-members.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { JwtChecks, Rights, TokenClaims } from './auth.ts'
import { type Connection, Phase } from './connection.ts'

export interface RenewalOptions {
  /** How long a socket lives on one JWT. 0: until the `exp` of that JWT. */
  readonly authJwtMaxLifetimeMs: number
}

interface RenewalParts {
  readonly options: RenewalOptions
  readonly jwts: JwtChecks
  readonly isRevoked: (claims: TokenClaims) => boolean
  /** Runs work for a socket; an error in it ends that socket and nothing else. */
  readonly guard: (connection: Connection, work: () => void) => void
  readonly metrics: Pick<Metrics, 'auth'>
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

const AUTH = Buffer.from('"auth"')
const AUTH_NAMES = namesOf('type', 'command', 'token')
/** Characters of the longest JWT that is read. */
const MAX_TOKEN = 16 * 1024

/**
 * The token of an `auth` frame: '' when it has none. Undefined for other frames.
 * @param frame JSON.
 * @param type and command are what the frame has in this door. Undefined: it needs no command.
 */
export function newToken(frame: Buffer, type: string, command?: string): string | undefined {
  if (!mayContain(frame, AUTH)) return undefined
  const members = membersOf(frame, AUTH_NAMES)
  if (members === undefined) return undefined
  const text = (name: string, maximum: number) => stringOf(frame, lastOf(members, name), maximum)
  if (text('type', 16) !== type || (command !== undefined && text('command', 16) !== command)) return undefined
  return text('token', MAX_TOKEN) ?? ''
}

type Allows = (rights: Rights) => boolean

/** Replaces the JWT of an open socket by a new one that its client has sent. */
export class Renewals {
  readonly #parts: RenewalParts

  constructor(parts: RenewalParts) {
    this.#parts = parts
  }

  /** Sockets whose token waits for its key. A second token of one meanwhile is refused. */
  readonly #waiting = new WeakSet<Connection>()

  /**
   * Calls `answer` with the time at which the socket is closed from now on, as `endOf` returns it,
   * or with undefined when the token was refused: then the former one counts until it ends. It is
   * called later where the key of the token must be fetched, unless the socket has ended.
   * @param allows called with the rights of a valid token of the same `sub`. Returns whether they
   * are enough for the path of the socket, and then applies them.
   */
  renew(connection: Connection, token: string, allows: Allows, answer: (end: number | undefined) => void): void {
    const { jwts, guard, metrics } = this.#parts
    if (this.#waiting.has(connection)) {
      metrics.auth.renewed(false)
      return answer(undefined)
    }
    const verdict = jwts.verify(token)
    const keys = 'fault' in verdict && verdict.fault === 'unknown-key' ? jwts.moreKeys() : undefined
    if (keys === undefined) return answer(this.#judge(connection, verdict, allows))
    this.#waiting.add(connection)
    void keys.then(() => {
      this.#waiting.delete(connection)
      if (connection.phase === Phase.open) guard(connection, () => this.renew(connection, token, allows, answer))
    })
  }

  #judge(connection: Connection, verdict: ReturnType<JwtChecks['verify']>, allows: Allows): number | undefined {
    const { options, isRevoked, metrics, log } = this.#parts
    const why = 'fault' in verdict || !isRevoked(verdict) ? faultOf(connection, verdict, allows) : 'the JWT was revoked'
    metrics.auth.renewed(why === undefined)
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
  allows: Allows,
): string | undefined {
  if ('fault' in verdict) return `JWT: ${verdict.why}`
  if (verdict.subject !== rights?.subject) return 'JWT: its sub is another one'
  return allows(verdict) ? undefined : `JWT: its claims allow no ${door.subjectName} of this path`
}
