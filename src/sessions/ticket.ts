import { createHmac, timingSafeEqual } from 'node:crypto'
import type { TokenClaims } from '../connection/auth.ts'
import type { TicketResult } from '../contract/reasons.ts'
import { TICKET_PREFIX } from '../platform/secrets.ts'

/**
 * What a ticket proves. Every renewal copies it, so a ticket never gives more rights or more time
 * than the first admission did. Times are ms since the epoch, by the clock of Redis.
 */
export interface Grant {
  readonly session: string
  readonly agent: string
  /**
   * That of the JWT of the first admission, else minted there, so that everything that goes back to
   * it can be revoked.
   */
  readonly sid: string
  readonly authTime: number
  /** No ticket of this grant is valid from this moment on. */
  readonly notAfter: number
  /** Of the JWT of the first admission. Undefined: its token was another one. */
  readonly claims: TokenClaims | undefined
  /** Default: `resume`. */
  readonly purpose?: Purpose
}

/** Why a ticket is refused. */
export type TicketFault = Exclude<TicketResult, 'accepted' | 'revoked' | 'unreadable'>

/** The same in words for the log. */
export const TICKET_FAULTS: Readonly<Record<TicketFault, string>> = {
  malformed: 'the ticket is malformed',
  signature: 'no accepted secret signed the ticket',
  purpose: 'the ticket has another purpose',
  session: 'the ticket is of another session',
  expired: 'the ticket has expired',
  early: 'the ticket is of a time to come: a clock was set back',
}

/**
 * What a ticket opens. `resume`: a socket, and what the others open. `sse`: streams, and frames of
 * the client. `sse-read`: streams; only this one may stand in a query.
 */
export type Purpose = 'resume' | 'sse' | 'sse-read'

/** Those of tickets that open a stream when they come in a header, which no log keeps. */
export const HEADER_PURPOSES: readonly Purpose[] = ['resume', 'sse', 'sse-read']
/** Those that open a stream when they come in a query or a cookie. */
export const EXPOSED_PURPOSES: readonly Purpose[] = ['sse', 'sse-read']

/**
 * A fail-over may bring a Redis server whose clock is behind by so much. A ticket of a later time
 * would outlive the disconnect of its session.
 */
const MAX_AHEAD_MS = 30_000

/** Longest ticket that is looked at. That of the longest ids, without a JWT, has about 900. */
export const MAX_LENGTH = 2048
const FORM = new RegExp(`^(${TICKET_PREFIX}([A-Za-z0-9_-]+))\\.([A-Za-z0-9_-]{43})$`)
const DOOR = 'session'

/** Signs a ticket of this grant that is valid until `expiresAt`, or until `notAfter` if earlier. */
export function signTicket(grant: Grant, expiresAt: number, secret: string): string {
  const { session, agent, sid, authTime, notAfter, claims, purpose = 'resume' } = grant
  const exp = Math.min(expiresAt, notAfter)
  const times = { auth_time: authTime, not_after: notAfter, exp }
  const jwt = claims && jwtOf(claims)
  const content = { purpose, door: DOOR, session, agent, sid, ...times, jwt }
  const signed = TICKET_PREFIX + Buffer.from(JSON.stringify(content)).toString('base64url')
  return `${signed}.${macOf(signed, secret)}`
}

/**
 * Checks a ticket: first its length and form, then its signature, and only then its content.
 * Returns its grant, or why it is refused.
 * @param secrets the accepted ones.
 * @param purposes those that are enough.
 * @param now ms since the epoch, by the clock of the signer.
 */
export function readTicket(
  ticket: string,
  { session, agent }: Pick<Grant, 'session' | 'agent'>,
  secrets: readonly string[],
  now: number,
  purposes: readonly Purpose[] = ['resume'],
): Grant | TicketFault {
  const [, signed, payload, mac] = (ticket.length > MAX_LENGTH ? null : FORM.exec(ticket)) ?? []
  if (signed === undefined || payload === undefined || mac === undefined) return 'malformed'
  // The texts are compared, not their bytes: base64url writes the same bytes in several ways.
  if (!secrets.some((secret) => timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(signed, secret)))))
    return 'signature'
  const claims = claimsIn(payload)
  if (claims === undefined) return 'malformed'
  const purpose = purposes.find((each) => each === claims.purpose)
  if (purpose === undefined || claims.door !== DOOR) return 'purpose'
  if (claims.session !== session || claims.agent !== agent) return 'session'
  const { sid, auth_time: authTime, not_after: notAfter, exp } = claims
  if (typeof sid !== 'string' || typeof authTime !== 'number') return 'malformed'
  if (typeof notAfter !== 'number' || typeof exp !== 'number') return 'malformed'
  const jwt = claims.jwt === undefined ? undefined : claimsOf(claims.jwt)
  if (jwt === null) return 'malformed'
  if (!(now < exp && now < notAfter)) return 'expired'
  if (authTime > now + MAX_AHEAD_MS) return 'early'
  return { session, agent, sid, authTime, notAfter, claims: jwt, ...(purpose !== 'resume' && { purpose }) }
}

/** The claims under the names that they have in a JWT, and its key. */
const jwtOf = ({
  subject: sub,
  tokenId: jti,
  sid,
  issuedAt,
  expiresAt: exp,
  publishes: up,
  signedBy,
}: TokenClaims) => ({
  ...{ sub, jti, sid, iat: issuedAt, exp, up, key: signedBy },
})

/** Null: a claim has another form than those that we sign. */
function claimsOf(jwt: unknown): TokenClaims | null {
  if (typeof jwt !== 'object' || jwt === null) return null
  const { sub, jti, sid, iat, exp, up, key } = jwt as Record<string, unknown>
  if (![sub, jti, sid, key].every((each) => each === undefined || typeof each === 'string')) return null
  if (![iat, exp].every((each) => each === undefined || typeof each === 'number')) return null
  if (typeof up !== 'boolean') return null
  return {
    subject: sub as string | undefined,
    tokenId: jti as string | undefined,
    sid: sid as string | undefined,
    issuedAt: iat as number | undefined,
    expiresAt: exp as number | undefined,
    publishes: up,
    signedBy: key as string | undefined,
  }
}

const macOf = (signed: string, secret: string): string =>
  createHmac('sha256', secret).update(signed).digest('base64url')

function claimsIn(payload: string): Record<string, unknown> | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
