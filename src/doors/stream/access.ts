import { type JwtChecks, opensSession, refusalOfJwt, type TokenClaims, type TokenStore } from '../../connection/auth.ts'
import { type Refusal, refusals } from '../../contract/codes.ts'
import { sessionAuth } from '../../contract/names.ts'
import type { AdminRequest } from '../../http/admin.ts'
import { bearerToken, isTicket } from '../../platform/secrets.ts'

export interface AccessParts {
  /** Undefined: no token is a JWT. */
  readonly jwts?: JwtChecks | undefined
  /** Whether a JWT was revoked. @throws RedisUnavailable when that is not known yet. */
  readonly isRevoked?: ((claims: TokenClaims) => Promise<boolean>) | undefined
  /** The same for an instance that has read the revocations before. */
  readonly isRevokedNow?: ((claims: TokenClaims) => boolean) | undefined
  readonly tokens: TokenStore
  /** Returns the refusal of a request without the admin token, and counts its guesses. */
  readonly authorize: (request: AdminRequest) => Refusal | undefined
  /**
   * Resolves with undefined for a ticket that does not open the session. Undefined: no tickets.
   * @throws RedisUnavailable
   */
  readonly acceptsTicket?:
    | ((ticket: string, asker: Asker, isExposed: boolean) => Promise<StillCounts | undefined>)
    | undefined
  /** Whether the check of a token of Redis uses it up. A stream would use it with each request. */
  readonly spendsTokens: boolean
  readonly allowQueryToken: boolean
}

/** The parts of a request that access is decided by. */
export interface Asker extends AdminRequest {
  readonly agent: string
  readonly session: string
  readonly query: URLSearchParams
}

/** Whether a credential that was accepted has not expired or been revoked since. */
export type StillCounts = () => boolean

/** The checks that are left. @throws RedisUnavailable */
export type LaterChecks = () => Promise<Refusal | StillCounts>

/** The keys that may verify the credential are being fetched: it is to be checked again then. */
export interface KeysAwaited {
  readonly kind: 'keys'
  readonly fetched: Promise<void>
}

const ALWAYS: StillCounts = () => true
const PASSED: LaterChecks = async () => ALWAYS
const REJECTED = refusals['token-rejected']

/**
 * Decides which request may read and which may write a stream. A reader has what opens the
 * session. A writer has the admin token, or a JWT for this session with `publish: true`.
 */
export class StreamAccess {
  readonly #parts: AccessParts

  constructor(parts: AccessParts) {
    this.#parts = parts
  }

  /** Runs the checks that need no Redis: all of a writer, so that its body is read only then. */
  check(asker: Asker, writes: boolean): Refusal | KeysAwaited | LaterChecks {
    const token = this.#tokenOf(asker)
    if (typeof token !== 'string') return token
    const { jwts } = this.#parts
    if (!isTicket(token) && jwts?.looksLikeJwt(token)) return this.#ofJwt(jwts, token, asker, writes)
    if (writes) return isTicket(token) ? REJECTED : (this.#ofAdmin(asker) ?? PASSED)
    return () => this.#ofReader(token, asker)
  }

  #tokenOf({ headers, query }: Asker): string | Refusal {
    const { authorization = '' } = headers
    if (authorization !== '') return bearerToken(authorization) ?? refusals['credentials-malformed']
    const ticket = query.get('ticket') ?? ''
    if (isTicket(ticket)) return ticket
    const token = query.get('access_token')
    if (token === null) return refusals['credentials-missing']
    return this.#parts.allowQueryToken && token !== '' ? token : refusals['credentials-malformed']
  }

  #ofJwt(jwts: JwtChecks, token: string, asker: Asker, writes: boolean): Refusal | KeysAwaited | LaterChecks {
    const rights = jwts.verify(token)
    if ('fault' in rights) {
      const fetched = rights.fault === 'unknown-key' ? jwts.moreKeys() : undefined
      return fetched ? { kind: 'keys', fetched } : refusalOfJwt(rights.fault, jwts)
    }
    if (!opensSession(rights, asker.session, asker.agent) || (writes && !rights.appends)) return REJECTED
    const { isRevoked, isRevokedNow } = this.#parts
    const stillCounts = () => !('fault' in jwts.verify(token)) && isRevokedNow?.(rights) !== true
    return async () => ((await isRevoked?.(rights)) ? REJECTED : stillCounts)
  }

  async #ofReader(token: string, asker: Asker): Promise<Refusal | StillCounts> {
    const { acceptsTicket, spendsTokens, tokens } = this.#parts
    if (isTicket(token)) {
      const isExposed = asker.headers.authorization === ''
      return (await acceptsTicket?.(token, asker, isExposed)) ?? REJECTED
    }
    const key = sessionAuth(asker.session)
    if (!spendsTokens && (await tokens.redeem(key, token, () => {})) === 'ok') return ALWAYS
    const refusal = this.#ofAdmin(asker)
    if (refusal !== REJECTED || !spendsTokens) return refusal ?? ALWAYS
    return refusals['token-single-use']
  }

  /** Operators may do everything. For a client the admin token is a token like any other. */
  #ofAdmin(asker: Asker): Refusal | undefined {
    const refusal = this.#parts.authorize(asker)
    return refusal === undefined || refusal === refusals['admin-limited'] ? refusal : REJECTED
  }
}
