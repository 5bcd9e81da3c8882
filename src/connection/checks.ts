import { originRule } from '../config/origins.ts'
import { type Close, type Refusal, refusals } from '../contract/codes.ts'
import type { AuthMethod, AuthResult } from '../contract/reasons.ts'
import type { ClientAddress } from '../http/client-address.ts'
import type { Cors } from '../http/cors.ts'
import { fromOwnPage, ownPages } from '../http/own-page.ts'
import { isUpgrade } from '../http/request.ts'
import { isTicket } from '../platform/secrets.ts'
import type { HttpRequest } from '../platform/uws.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import {
  type CredentialHeaders,
  type Credentials,
  chosenProtocol,
  type JwtChecks,
  readCredentials,
  refusalOfJwt,
} from './auth.ts'
import type { Admission, Door } from './door.ts'
import type { ConnectLimits } from './limits.ts'
import { methodOf } from './method.ts'
import { readStreamTickets } from './stream-tickets.ts'

export interface CheckOptions {
  readonly authAllowQueryToken: boolean
  readonly allowedOrigins: readonly string[]
  readonly requireOrigin: boolean
}

export interface CheckParts {
  readonly options: CheckOptions
  readonly limits: ConnectLimits
  /**
   * Returns whether the Redis server of this channel is ready. Called before the first Redis
   * command of an upgrade.
   */
  readonly redisReady: (channel: string) => boolean
  readonly draining: () => boolean
  readonly metrics: Pick<Metrics, 'auth'>
  /** Undefined: no key is configured, and no token is a JWT. */
  readonly jwts?: JwtChecks | undefined
}

/** The result of the checks that need no Redis. */
export type UpgradeVerdict =
  | Proceed
  | { readonly kind: 'refuse'; readonly refusal: Refusal; readonly why?: string }
  /**
   * The upgrade is completed only to close the socket, because a browser hides HTTP answers from
   * the page.
   */
  | {
      readonly kind: 'close'
      readonly refusal: Refusal
      readonly close: Close
      readonly protocol: string
      readonly why?: string | undefined
    }

interface Proceed {
  readonly kind: 'proceed'
  readonly admission: Admission
  readonly credentials: Credentials
  /** Set where the key of a JWT is not known yet: neither the admission nor the rights count. */
  readonly late?: LateVerdict
}

/** The verdict on a JWT whose key must be fetched. */
export interface LateVerdict {
  /** Resolves when `verify` may know more. */
  readonly keys: Promise<void>
  readonly verify: () => Proceed | RefusedUpgrade
}

/** What `accept` has read of the header lines. */
interface UpgradeLines {
  /** Whether a proxy in front may see another request than the gateway. */
  readonly unclear: boolean
  /** All lines of Sec-WebSocket-Protocol. */
  readonly protocol: string
}

const RESULTS: Readonly<Record<string, AuthResult>> = { 'token-expired': 'expired', 'keys-unavailable': 'unavailable' }

export type RefusedUpgrade = Extract<UpgradeVerdict, { kind: 'refuse' }>

/** The checks of an upgrade request that need no Redis. */
export class UpgradeChecks {
  readonly #parts: CheckParts
  readonly #originRules = new Map<Door | undefined, (origin: string) => boolean>()

  constructor(parts: CheckParts) {
    this.#parts = parts
  }

  /**
   * Runs the checks that need no Redis, the rates of the address first: a refusal costs its sender a
   * place in them. Takes a place in the limits, except for the verdict `refuse`.
   */
  verdict(door: Door, req: HttpRequest, client: ClientAddress, now: number, lines: UpgradeLines): UpgradeVerdict {
    const { limits } = this.#parts
    const tooFast = limits.attempt(client, now)
    if (tooFast) return refuse(tooFast)
    const protocol = chosenProtocol(lines.protocol, door.protocols)
    const checked = this.#checkRequest(door, req, lines.unclear) ?? this.#admit(door, req, lines.protocol, protocol)
    if (checked.kind === 'proceed') {
      const full = limits.take(client, now, needsCredentials(checked.admission))
      if (full === undefined) return checked
      const close = closeInstead(door, full, protocol, limits, now)
      if (close === undefined) return refuse(full)
      limits.takeBeyond(client.ip)
      return { kind: 'close', refusal: full, close, protocol }
    }
    limits.refused(client.ip, checked.refusal, now)
    const close = closeInstead(door, checked.refusal, protocol, limits, now)
    if (close === undefined) return checked
    const full = limits.take(client, now, false)
    return full ? refuse(full) : { kind: 'close', refusal: checked.refusal, close, protocol, why: checked.why }
  }

  /** Returns undefined for a request that may go on. */
  #checkRequest(door: Door, req: HttpRequest, unclear: boolean): RefusedUpgrade | undefined {
    const header = (name: string) => req.getHeader(name)
    if (this.#parts.draining()) return refuse(refusals.draining)
    if (door.stream === undefined && header('sec-websocket-version') !== '13')
      return refuse(refusals['unsupported-version'])
    if (unclear || (door.stream === undefined && !isUpgrade(req))) return refuse(refusals['malformed-request'])
    const isOwnPage = door.stream !== undefined && isSameOrigin(req)
    if (!isOwnPage && !this.admits(door, header('origin'))) return refuse(refusals['origin-not-allowed'])
    return undefined
  }

  /** Whether a page of this origin may connect. '': the request names no origin. */
  admits(door: Door, origin: string): boolean {
    const { allowedOrigins, requireOrigin } = this.#parts.options
    const key = door.allowedOrigins && door
    const rule = this.#originRules.get(key) ?? originRule(door.allowedOrigins ?? allowedOrigins, requireOrigin)
    this.#originRules.set(key, rule)
    return rule(origin)
  }

  /**
   * Returns the headers that let a page of another origin read the answer. Only a page that
   * `ALLOWED_ORIGINS` names may send its cookies. Undefined: it may not connect.
   */
  corsOf(door: Door, origin: string): Cors | undefined {
    if (origin === '') return {}
    if (!this.admits(door, origin)) return undefined
    const allowed = door.allowedOrigins ?? this.#parts.options.allowedOrigins
    if (allowed.length === 0 || allowed.includes('*')) return { 'Access-Control-Allow-Origin': '*' }
    return {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      Vary: 'Origin',
    }
  }

  /** Reads path, query and credentials. */
  #admit(door: Door, req: HttpRequest, offered: string, protocol: string): Proceed | RefusedUpgrade {
    const query = req.getQuery() ?? ''
    const ids = door.path.match(req.getUrl()) ?? []
    const isStream = door.stream !== undefined
    const admission = door.admit(ids, query, protocol, isStream ? req.getHeader('last-event-id') : '')
    if (admission.kind === 'refusal') return refuse(admission)
    const credentials: Credentials | Refusal = needsCredentials(admission)
      ? this.#credentials(door, req, { authorization: req.getHeader('authorization'), offered, protocol, query })
      : { kind: 'credentials', token: '', protocol }
    if (credentials.kind === 'refusal') return this.#deny(door, 'none', credentials)
    const method = methodOf(credentials, admission)
    if (isTicket(credentials.token) ? admission.checkTicket === undefined : credentials.isExposed)
      return this.#deny(door, method, refusals['token-rejected'])
    const { jwts } = this.#parts
    const isJwt = needsCredentials(admission) && jwts?.looksLikeJwt(credentials.token) === true
    if (admission.spendsTokens && !isJwt && !isTicket(credentials.token))
      return this.#deny(door, method, refusals['token-single-use'])
    if (!isJwt && admission.accepts?.(credentials.token) === false)
      return this.#deny(door, method, refusals['token-rejected'])
    if (!this.#parts.redisReady(admission.redisChannel)) return refuse(refusals['redis-unavailable'])
    if (isJwt) return this.#verify(door, admission, credentials, query)
    return { kind: 'proceed', admission, credentials }
  }

  /** Refuses and counts a credential. @param why of a JWT, for the log. */
  #deny(door: Door, method: AuthMethod, refusal: Refusal, why?: string): RefusedUpgrade {
    this.#parts.metrics.auth.judged(door.name, method, RESULTS[refusal.code] ?? 'rejected')
    return refuse(refusal, why && `JWT: ${why}`)
  }

  #credentials(door: Door, req: HttpRequest, headers: CredentialHeaders): Credentials | Refusal {
    const { authAllowQueryToken } = this.#parts.options
    if (door.stream !== undefined && headers.authorization === '') {
      const tickets = readStreamTickets(req.getHeader('cookie'), headers.query)
      if (tickets !== undefined) return tickets
    }
    const given = readCredentials(headers, authAllowQueryToken)
    return given === refusals['credentials-missing'] ? (this.#fromCookie(door, req, headers) ?? given) : given
  }

  /** The access token of a login in a cookie. Undefined: no cookie has one. */
  #fromCookie(door: Door, req: HttpRequest, { protocol }: CredentialHeaders): Credentials | Refusal | undefined {
    const { options, jwts } = this.#parts
    const [cookie = '', host = '', origin = ''] = ['cookie', 'host', 'origin'].map((name) => req.getHeader(name))
    const token = jwts?.cookieToken?.({ cookie, host })
    if (token === undefined) return undefined
    // A page of any site can open a socket, and the browser adds the cookie.
    const isOwn = ownPages(door.allowedOrigins ?? options.allowedOrigins)
    // A GET of a page to its own origin has no Origin, unlike an upgrade.
    const mayUse =
      door.stream === undefined
        ? isOwn(origin, host)
        : fromOwnPage({ origin, host, 'sec-fetch-site': req.getHeader('sec-fetch-site') }, isOwn)
    return mayUse ? { kind: 'credentials', token, protocol } : refusals['origin-not-allowed']
  }

  /** Verifies a JWT in place of a token of Redis, or of the shared token of a door. */
  #verify(door: Door, admission: Admission, credentials: Credentials, query: string): Proceed | RefusedUpgrade {
    const jwts = this.#parts.jwts!
    const verdict = jwts.verify(credentials.token)
    if ('fault' in verdict) {
      const keys = verdict.fault === 'unknown-key' ? jwts.moreKeys() : undefined
      const verify = () => this.#verify(door, admission, credentials, query)
      if (keys) return { kind: 'proceed', admission, credentials, late: { keys, verify } }
      return this.#deny(door, 'jwt', refusalOfJwt(verdict.fault, jwts), verdict.why)
    }
    const granted = door.grants?.(admission, verdict, query)
    if (granted === undefined)
      return this.#deny(door, 'jwt', refusals['token-rejected'], `its claims allow no ${door.subjectName} of this path`)
    return { kind: 'proceed', admission: granted, credentials: { ...credentials, rights: verdict } }
  }
}

/**
 * Returns the close that replaces a refusal, where the door wants one and not too many sockets are
 * open only to be closed. The caller gives the socket its place in the limits.
 */
export function closeInstead(
  door: Door,
  refusal: Refusal,
  protocol: string,
  limits: ConnectLimits,
  now: number,
): Close | undefined {
  const close = door.refusalAsClose?.(refusal, protocol)
  return close !== undefined && limits.takeRefused(now) ? close : undefined
}

/**
 * A browser leaves the origin out of a GET to the page's own origin, and says so in another header,
 * which no page can set.
 */
const isSameOrigin = (req: HttpRequest): boolean =>
  req.getHeader('origin') === '' && req.getHeader('sec-fetch-site') === 'same-origin'

const needsCredentials = ({ tokenKey, accepts }: Admission): boolean => tokenKey !== undefined || accepts !== undefined

const refuse = (refusal: Refusal, why?: string): RefusedUpgrade => ({ kind: 'refuse', refusal, ...(why && { why }) })
