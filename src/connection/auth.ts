import { type Refusal, refusals } from '../contract/codes.ts'
import { bearerToken } from '../platform/secrets.ts'

/** The part of Redis that checks tokens. */
export interface TokenStore {
  /**
   * Compares `token` with the value at `key` in constant time, and spends it in the same atomic
   * step.
   * @throws RedisUnavailable
   */
  redeem(key: string, token: string): Promise<TokenVerdict>
}

/**
 * `absent`: the key does not exist, or is a set without this token, because it was used, has
 * expired, or was never made. `crowded`: the set is too large to be read.
 */
export type TokenVerdict = 'ok' | 'wrong' | 'absent' | 'crowded'

/** The credentials that a client sent. */
export interface Credentials {
  readonly kind: 'credentials'
  readonly token: string
  /** Subprotocol for the answer; '' for none. */
  readonly protocol: string
}

export interface CredentialHeaders {
  readonly authorization: string
  /** Sec-WebSocket-Protocol. */
  readonly protocol: string
  readonly query: string
}

const PROTOCOL = 'wsproxy.v1'
const BEARER_PROTOCOL = 'bearer.'

/**
 * Finds the bearer token of an upgrade. It looks in `Authorization` (RFC 6750, section 2.1) first,
 * then in the subprotocols, then in the query.
 * @returns the credentials, or the refusal when the token is missing, malformed, or in a query that
 * may not hold one.
 */
export function readCredentials(headers: CredentialHeaders, allowQueryToken: boolean): Credentials | Refusal {
  const offered = listOf(headers.protocol)
  const protocol = offeredProtocol(headers.protocol)
  if (headers.authorization !== '') {
    const token = bearerToken(headers.authorization)
    return token === undefined ? refusals['credentials-malformed'] : credentials(token, protocol)
  }
  const bearer = offered.find((each) => each.startsWith(BEARER_PROTOCOL))
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

/** Returns the subprotocol for the answer, or '' when the client does not offer ours. */
export const offeredProtocol = (header: string): string => (listOf(header).includes(PROTOCOL) ? PROTOCOL : '')

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
