import type { AuthResult } from '../contract/reasons.ts'
import { isTicket } from '../platform/secrets.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type Attempt, tokenRemoved } from './attempt.ts'
import { type JwtChecks, type TokenClaims, type TokenStore, WHY } from './auth.ts'
import type { RefusedUpgrade } from './checks.ts'
import { methodOf } from './method.ts'

/** Why a ticket is refused when `isKeyGone`, for the log. */
export const KEY_GONE = 'the key of the JWT that the ticket goes back to was removed'

/** What judges the credential of an upgrade. */
export interface CredentialParts {
  readonly tokens: TokenStore
  /** Whether a JWT was revoked. @throws RedisUnavailable when that is not known yet. */
  readonly isRevoked?: ((claims: TokenClaims) => Promise<boolean>) | undefined
  /** Undefined: no key is configured. */
  readonly jwts?: JwtChecks | undefined
  readonly metrics: Pick<Metrics, 'auth'>
}

/**
 * Waits for the key of the JWT of an attempt, and completes the attempt by what the token allows.
 * Resolves with its refusal, or undefined.
 */
export async function awaitKey(attempt: Attempt): Promise<RefusedUpgrade | undefined> {
  while (attempt.late !== undefined) {
    await attempt.late.keys
    const verdict = attempt.late.verify()
    if (verdict.kind === 'refuse') return verdict
    attempt.admission = verdict.admission
    attempt.credentials = verdict.credentials
    attempt.rights = verdict.credentials.rights
    attempt.late = verdict.late
  }
  return undefined
}

/** Counts what an attempt brought. */
export const countCredential = (
  { door, credentials, admission }: Attempt,
  result: AuthResult,
  { auth }: CredentialParts['metrics'],
): void => auth.judged(door.name, methodOf(credentials, admission), result)

/**
 * Resolves with undefined when the credential is right, else with the reason for the log. The
 * signature and the claims of a JWT were checked before.
 * @param tokenKey where Redis has the token; undefined for a JWT.
 * @throws RedisUnavailable
 */
export async function faultOf(
  attempt: Attempt,
  tokenKey: string | undefined,
  parts: CredentialParts,
): Promise<string | undefined> {
  const fault = await judge(attempt, tokenKey, parts)
  if (fault !== undefined) countCredential(attempt, 'rejected', parts.metrics)
  return fault
}

async function judge(
  attempt: Attempt,
  tokenKey: string | undefined,
  { tokens, isRevoked, jwts }: CredentialParts,
): Promise<string | undefined> {
  const { token, isExposed = false, otherToken = '' } = attempt.credentials
  if (tokenKey === undefined) return (await isRevoked?.(attempt.rights!)) ? 'the JWT was revoked' : undefined
  // The checks let a ticket through only where the door judges it.
  if (isTicket(token)) {
    const check = attempt.admission.checkTicket!
    let judged = await check(token, isExposed)
    if ('fault' in judged && isTicket(otherToken)) judged = await check(otherToken, isExposed)
    if ('fault' in judged) return judged.fault
    if (await isKeyGone(judged.claims, jwts)) return KEY_GONE
    attempt.rights = judged.claims
    return undefined
  }
  const verdict = await tokens.redeem(tokenKey, token, (giveBack) => tokenRemoved(attempt, giveBack))
  return verdict === 'ok' ? undefined : WHY[verdict]
}

/**
 * Whether the key of the JWT that a ticket goes back to was removed. While the keys cannot be
 * fetched, a ticket counts: the next fetch may end its socket.
 * @param claims those of the JWT. Undefined: the ticket goes back to another token.
 */
export async function isKeyGone(claims: TokenClaims | undefined, jwts: JwtChecks | undefined): Promise<boolean> {
  const signedBy = claims?.signedBy
  if (signedBy === undefined) return false
  // Another instance may know a newer key.
  while (jwts?.knows(signedBy) === false) {
    const keys = jwts.moreKeys()
    if (keys === undefined) return !jwts.isAway
    await keys
  }
  return jwts === undefined
}
