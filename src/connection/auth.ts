import { type Refusal, refusals } from '../contract/codes.ts'
import { bearerToken } from '../platform/secrets.ts'
import type { FetchedKeys } from '../telemetry/auth.ts'

/** The part of Redis that checks tokens. */
export interface TokenStore {
  /**
   * Compares `token` with the value at `key` in constant time, and spends it in the same atomic
   * step. When that removes it, calls `removed` with a function that puts it back.
   * @throws RedisUnavailable
   */
  redeem(key: string, token: string, removed: (giveBack: () => void) => void): Promise<TokenVerdict>
}

/**
 * `absent`: the key does not exist, or is a set without this token, because it was used, has
 * expired, or was never made. `crowded`: the set is too large to be read.
 */
export type TokenVerdict = 'ok' | 'wrong' | 'absent' | 'crowded'

/** What is kept of a JWT while a socket that goes back to it is open. Times are in seconds. */
export interface TokenClaims {
  /** `sub`, `jti`, `sid` and `iat`: what a revocation names. */
  readonly subject: string | undefined
  readonly tokenId: string | undefined
  readonly sid: string | undefined
  readonly issuedAt: number | undefined
  /** `exp`. Undefined: the rights have no end. */
  readonly expiresAt: number | undefined
  /** Whether frames of the client are published. */
  readonly publishes: boolean
  /** The fingerprint of its key. Undefined: it goes back to a ticket of an older version. */
  readonly signedBy: string | undefined
}

/** What the claims of a JWT allow its bearer. */
export interface Rights extends TokenClaims {
  readonly sessions: readonly string[]
  /** Undefined: the paths of all agents. */
  readonly agent: string | undefined
  readonly runs: readonly string[]
  /** Topics of the live door: names, or prefixes followed by `*`. */
  readonly topics: readonly string[]
  /** Topics on which the bearer may publish envelopes, as `topics`; none without a subject. */
  readonly publishTopics: readonly string[]
  /** Whether the bearer writes streams over HTTP. */
  readonly appends: boolean
}

/** Verifies JWTs, without Redis. */
export interface JwtChecks {
  /** Whether a token is verified, and not looked up in Redis. */
  looksLikeJwt(token: string): boolean
  /** Returns what the token allows, or the fault and its reason for the log. */
  verify(token: string): Rights | { readonly fault: string; readonly why: string }
  /**
   * Called after the fault `unknown-key`. Resolves when keys were fetched that may verify the
   * token, or could not be. Undefined: they were fetched just now.
   */
  moreKeys(): Promise<void> | undefined
  /** Whether an unknown key may be one that could not be fetched. */
  readonly isAway: boolean
  /** Where keys are fetched from. Undefined: from nowhere. */
  readonly source?: FetchedKeys | undefined
  /** Whether the key with this fingerprint counts now. */
  knows(signedBy: string): boolean
  /** Returns the token in the cookies of an upgrade. Without this method no cookie has one. */
  cookieToken?(headers: Readonly<Record<string, string>>): string | undefined
}

/** Whether a JWT opens this session on the path of this agent. */
export const opensSession = ({ sessions, agent }: Rights, sessionId: string, agentId: string): boolean =>
  sessions.includes(sessionId) && (agent === undefined || agent === agentId)

/** As `verify` of the checks, after a fetch of the keys when the token has an unknown one. */
export async function verifyWithKeys(jwts: JwtChecks, token: string): Promise<ReturnType<JwtChecks['verify']>> {
  for (;;) {
    const verdict = jwts.verify(token)
    const keys = 'fault' in verdict && verdict.fault === 'unknown-key' ? jwts.moreKeys() : undefined
    if (keys === undefined) return verdict
    await keys
  }
}

/** The refusal of a JWT that has a fault. */
export function refusalOfJwt(fault: string, { isAway }: JwtChecks): Refusal {
  if (fault === 'expired') return refusals['token-expired']
  return refusals[fault === 'unknown-key' && isAway ? 'keys-unavailable' : 'token-rejected']
}

/** The credentials that a client sent. */
export interface Credentials {
  readonly kind: 'credentials'
  readonly token: string
  /** Subprotocol for the answer; '' for none. */
  readonly protocol: string
  /** It came in a query or a cookie: it must be a ticket for streams. */
  readonly isExposed?: boolean
  /** A ticket that is tried when `token` is refused; '' for none. */
  readonly otherToken?: string
  /** Those of a JWT that allows the admission: Redis is not asked for it. */
  readonly rights?: Rights
}

export interface CredentialHeaders {
  readonly authorization: string
  /** Sec-WebSocket-Protocol. */
  readonly offered: string
  /** The one of them for the answer; '' for none. */
  readonly protocol: string
  readonly query: string
}

/** The subprotocols of a door that names none. */
const PROTOCOLS: readonly string[] = ['wsproxy.v1']
const BEARER_PROTOCOL = 'bearer.'

/**
 * Finds the bearer token of an upgrade. It looks in `Authorization` (RFC 6750, section 2.1) first,
 * then in the subprotocols, then in the query.
 * @returns the credentials, or the refusal when the token is missing, malformed, or in a query that
 * may not hold one.
 */
export function readCredentials(headers: CredentialHeaders, allowQueryToken: boolean): Credentials | Refusal {
  const { protocol } = headers
  if (headers.authorization !== '') {
    const token = bearerToken(headers.authorization)
    return token === undefined ? refusals['credentials-malformed'] : credentials(token, protocol)
  }
  const bearer = listOf(headers.offered).find((each) => each.startsWith(BEARER_PROTOCOL))
  if (bearer !== undefined) {
    const token = decodeBase64Url(bearer.slice(BEARER_PROTOCOL.length))
    // A browser drops the connection unless one of its protocols is answered, and the one with the
    // token must not be.
    return token === undefined || protocol === '' ? refusals['credentials-malformed'] : credentials(token, protocol)
  }
  const inQuery = new URLSearchParams(headers.query).get('access_token')
  if (inQuery === null) return refusals['credentials-missing']
  return allowQueryToken && inQuery !== '' ? credentials(inQuery, protocol) : refusals['credentials-malformed']
}

const credentials = (token: string, protocol: string): Credentials => ({ kind: 'credentials', token, protocol })

/** Returns the first subprotocol that the client offers and the door speaks, or ''. */
export const chosenProtocol = (offered: string, protocols: readonly string[] = PROTOCOLS): string =>
  listOf(offered).find((each) => protocols.includes(each)) ?? ''

const listOf = (header: string): string[] => (header === '' ? [] : header.split(',').map((each) => each.trim()))

function decodeBase64Url(text: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  const token = bytes.toString('utf8')
  return Buffer.from(token, 'utf8').equals(bytes) && token !== '' ? token : undefined
}

/** The words of the log for a verdict. */
export const WHY: Readonly<Record<TokenVerdict, string>> = {
  ok: 'ok',
  wrong: 'the token differs from the one in Redis',
  absent: 'Redis has no such token: it was used, has expired or was never made',
  crowded: 'the set of tokens has more than 1,000 members: delete it',
}
