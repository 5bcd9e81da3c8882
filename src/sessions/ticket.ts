import { createHmac, timingSafeEqual } from 'node:crypto'
import { TICKET_PREFIX } from '../platform/secrets.ts'

/**
 * What a ticket proves. Every renewal copies it, so a ticket never gives more rights or more time
 * than the first admission did. Times are ms since the epoch.
 */
export interface Grant {
  readonly session: string
  readonly agent: string
  /** Minted at the first admission, so that everything that goes back to it can be revoked. */
  readonly sid: string
  readonly authTime: number
  /** No ticket of this grant is valid from this moment on. */
  readonly notAfter: number
}

/** Why a ticket is refused, in words for the log. */
type Fault =
  | 'the ticket is malformed'
  | 'no accepted secret signed the ticket'
  | 'the ticket has another purpose'
  | 'the ticket is of another session'
  | 'the ticket has expired'

/** Longest ticket that is looked at. The one of the longest ids has about 900 characters. */
const MAX_LENGTH = 2048
const FORM = new RegExp(`^(${TICKET_PREFIX}([A-Za-z0-9_-]+))\\.([A-Za-z0-9_-]{43})$`)
const PURPOSE = 'resume'
const DOOR = 'session'

/** Signs a ticket of this grant that is valid until `expiresAt`, or until `notAfter` if earlier. */
export function signTicket(grant: Grant, expiresAt: number, secret: string): string {
  const { session, agent, sid, authTime, notAfter } = grant
  const exp = Math.min(expiresAt, notAfter)
  const claims = { purpose: PURPOSE, door: DOOR, session, agent, sid, auth_time: authTime, not_after: notAfter, exp }
  const signed = TICKET_PREFIX + Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `${signed}.${macOf(signed, secret)}`
}

/**
 * Checks a ticket: first its length and form, then its signature, and only then its content.
 * Returns its grant, or why it is refused.
 * @param secrets the accepted ones.
 * @param now ms since the epoch.
 */
export function readTicket(
  ticket: string,
  { session, agent }: Pick<Grant, 'session' | 'agent'>,
  secrets: readonly string[],
  now: number,
): Grant | Fault {
  const [, signed, payload, mac] = (ticket.length > MAX_LENGTH ? null : FORM.exec(ticket)) ?? []
  if (signed === undefined || payload === undefined || mac === undefined) return 'the ticket is malformed'
  // The texts are compared, not their bytes: base64url writes the same bytes in several ways.
  if (!secrets.some((secret) => timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(signed, secret)))))
    return 'no accepted secret signed the ticket'
  const claims = claimsIn(payload)
  if (claims === undefined) return 'the ticket is malformed'
  if (claims.purpose !== PURPOSE || claims.door !== DOOR) return 'the ticket has another purpose'
  if (claims.session !== session || claims.agent !== agent) return 'the ticket is of another session'
  const { sid, auth_time: authTime, not_after: notAfter, exp } = claims
  if (typeof sid !== 'string' || typeof authTime !== 'number') return 'the ticket is malformed'
  if (typeof notAfter !== 'number' || typeof exp !== 'number') return 'the ticket is malformed'
  if (!(now < exp && now < notAfter)) return 'the ticket has expired'
  return { session, agent, sid, authTime, notAfter }
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
