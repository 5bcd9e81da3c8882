import { type Refusal, refusals } from '../contract/codes.ts'
import { bearerToken } from '../platform/secrets.ts'

/** Where tokens are kept, as this file needs it. */
export interface TokenStore {
  /**
   * Compares `token` with what is kept at `key`, in constant time, and spends it in the same atomic step.
   * @throws RedisUnavailable
   */
  redeem(key: string, token: string): Promise<TokenVerdict>
}

/** `absent`: there is none: used, expired, or never made. */
export type TokenVerdict = 'ok' | 'wrong' | 'absent'

/** What a client sent to say who it is. */
export interface Credentials {
  readonly kind: 'credentials'
  readonly token: string
  /** Subprotocol to answer with; '' for none. */
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
 * Finds the bearer token of an upgrade: `Authorization` (RFC 6750, section 2.1) before the subprotocol before the query.
 * @returns the credentials, or the refusal: missing, malformed, or in the query where that is not allowed.
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
    // A browser fails the connection when none of its protocols is answered, and the one with the token must not be.
    return token === undefined || protocol === '' ? refusals['credentials-malformed'] : credentials(token, protocol)
  }
  const inQuery = new URLSearchParams(headers.query).get('access_token')
  if (inQuery === null) return refusals['credentials-missing']
  return allowQueryToken && inQuery !== '' ? credentials(inQuery, protocol) : refusals['credentials-malformed']
}

const credentials = (token: string, protocol: string): Credentials => ({ kind: 'credentials', token, protocol })

/** The subprotocol to answer with; '' when ours is not among those offered. */
export const offeredProtocol = (header: string): string => (listOf(header).includes(PROTOCOL) ? PROTOCOL : '')

const listOf = (header: string): string[] => (header === '' ? [] : header.split(',').map((each) => each.trim()))

function decodeBase64Url(text: string): string | undefined {
  if (!/^[A-Za-z0-9_-]+={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  const token = bytes.toString('utf8')
  return Buffer.from(token, 'utf8').equals(bytes) && token !== '' ? token : undefined
}

/** What the log calls a verdict. */
export const WHY: Readonly<Record<TokenVerdict, string>> = {
  ok: 'ok',
  wrong: 'the token is another',
  absent: 'there is no token: used, expired or never made',
}
