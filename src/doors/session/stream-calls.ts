import type { Config } from '../../config/table.ts'
import {
  type JwtChecks,
  opensSession,
  refusalOfJwt,
  type TokenClaims,
  type TokenStore,
  verifyWithKeys,
  WHY,
} from '../../connection/auth.ts'
import { isKeyGone, KEY_GONE } from '../../connection/credential.ts'
import type { ConnectLimits } from '../../connection/limits.ts'
import type { LoggedDoor } from '../../connection/refusal-log.ts'
import { ticketIn } from '../../connection/stream-tickets.ts'
import { type Refusal, refusals } from '../../contract/codes.ts'
import { isId, isOwnSegment, sessionAuth } from '../../contract/names.ts'
import type { Cors } from '../../http/cors.ts'
import { refused } from '../../http/refuse.ts'
import { type ApiResponse, json } from '../../http/response.ts'
import type { ApiRequest, Route } from '../../http/routes.ts'
import { bearerToken, isTicket } from '../../platform/secrets.ts'
import { RedisForbids, RedisUnavailable } from '../../platform/unavailable.ts'
import type { ResumeTickets } from '../../sessions/resume-tickets.ts'
import type { Grant, Purpose } from '../../sessions/ticket.ts'
import { cookieOf, type SessionStreamDoor } from './stream.ts'
import type { StreamPosts } from './stream-posts.ts'

export interface StreamCallsParts {
  readonly options: Pick<Config, 'authTokenMode'>
  /** Whether a JWT was revoked. Undefined: there are no JWTs. @throws RedisUnavailable */
  readonly isRevoked: ((claims: TokenClaims) => Promise<boolean>) | undefined
  readonly door: SessionStreamDoor
  readonly tickets: ResumeTickets | undefined
  readonly tokens: TokenStore
  readonly jwts: JwtChecks | undefined
  readonly limits: ConnectLimits
  readonly posts: StreamPosts
  readonly maxBodyBytes: number
  readonly cors: (origin: string) => Cors | undefined
  /** Whether a page of this origin may use the cookies of this host. */
  readonly ownPage: (origin: string, host: string) => boolean
  /** Counts and logs a refusal. */
  readonly refusedTo: (door: LoggedDoor, address: string, refusal: Refusal, subject: string, why?: string) => void
}

/** What a call may do with a session. */
interface Caller {
  readonly session: string
  readonly agent: string
  readonly isReadOnly: boolean
  /** Undefined: tickets are off. */
  readonly grant: Grant | undefined
  /** Puts the token back that was used here. Undefined: it still counts, or was never in Redis. */
  readonly giveBack?: (() => void) | undefined
}

const OFF: Refusal = { ...refusals['not-found'], message: 'This gateway gives no tickets: RESUME_TICKET_TTL is 0.' }

/** A refusal, and its reason for the log. */
class Refused {
  readonly refusal: Refusal
  readonly why: string | undefined

  constructor(refusal: Refusal, why?: string) {
    this.refusal = refusal
    this.why = why
  }
}

/**
 * The calls of HTTP that belong to a stream: a ticket, and a frame of the client. They count in the
 * rates of upgrades.
 */
export class StreamCalls {
  readonly routes: readonly Route[]
  readonly #parts: StreamCallsParts

  constructor(parts: StreamCallsParts) {
    const { cors } = parts
    this.#parts = parts
    this.routes = [
      { method: 'POST', path: '/:agentId/ticket/:sessionId', cors, answer: (request) => this.#ticket(request) },
      {
        method: 'POST',
        path: '/:agentId/sse/:sessionId',
        cors,
        maxBodyBytes: parts.maxBodyBytes,
        answer: (request) => this.#post(request),
      },
    ]
  }

  /** Exchanges a credential for a ticket that may stand in a query. */
  async #ticket(request: ApiRequest): Promise<ApiResponse> {
    return this.#answer(request, async () => {
      if (this.#parts.tickets === undefined) return new Refused(OFF)
      const caller = await this.#callerOf(request, ['resume'], true)
      if (caller instanceof Refused) return caller
      const { grant, agent, session, isReadOnly, giveBack } = caller
      const ticket = grant && (await this.#parts.door.queryTicket(grant))
      if (grant === undefined || ticket === undefined) {
        giveBack?.()
        return new Refused(refusals['redis-unavailable'])
      }
      const kept = await this.#parts.door.cookieTicket(grant, isReadOnly)
      const body = { ticket: ticket.ticket, expires_in_ms: ticket.expiresInMs }
      return {
        ...json('200 OK', {}),
        // Not by `json`, which replaces tickets.
        body: JSON.stringify(body),
        headers: cookieOf(`/${agent}/sse/${session}`, kept),
      }
    })
  }

  /** Publishes a frame of the client. */
  async #post(request: ApiRequest): Promise<ApiResponse> {
    return this.#answer(request, async () => {
      const caller = await this.#callerOf(request, ['resume', 'sse'], false)
      if (caller instanceof Refused) return caller
      const { session, isReadOnly } = caller
      const outcome = await this.#parts.posts.post(
        session,
        request.body,
        request.headers['idempotency-key'],
        isReadOnly,
      )
      return 'kind' in outcome ? new Refused(outcome) : outcome
    })
  }

  async #answer(request: ApiRequest, work: () => Promise<ApiResponse | Refused>): Promise<ApiResponse> {
    const { limits, door, refusedTo } = this.#parts
    const { client, params } = request
    const now = performance.now()
    const tooFast = limits.attempt(client, now)
    const outcome = tooFast ? new Refused(tooFast) : await work().catch(refusedFor)
    if (!(outcome instanceof Refused)) return outcome
    if (!tooFast) limits.refused(client.ip, outcome.refusal, now)
    refusedTo(door, client.ip, outcome.refusal, String(params[1]), outcome.why)
    return refused(outcome.refusal)
  }

  /**
   * Finds out what the credential of a call allows.
   * @param purposes of tickets that are enough.
   * @param mayBeSpent whether a token for one use is used here.
   */
  async #callerOf(request: ApiRequest, purposes: readonly Purpose[], mayBeSpent: boolean): Promise<Caller | Refused> {
    const { params, headers } = request
    const [agent = '', session = ''] = params
    if (!isId(agent) || !isId(session)) return new Refused(refusals['malformed-id'])
    if (isOwnSegment(agent)) return new Refused(refusals['not-found'])
    const kept = mayBeSpent ? '' : ticketIn(headers.cookie)
    if (headers.authorization === '' && kept !== '') return this.#byCookie(request, kept, session, agent)
    if (headers.authorization === '') return new Refused(refusals['credentials-missing'])
    const token = bearerToken(headers.authorization)
    if (token === undefined) return new Refused(refusals['credentials-malformed'])
    if (isTicket(token)) return this.#byTicket(token, session, agent, purposes)
    if (this.#parts.jwts?.looksLikeJwt(token)) return this.#byJwt(token, session, agent)
    if (!mayBeSpent && this.#parts.options.authTokenMode !== 'reusable')
      return new Refused(refusals['token-single-use'])
    let giveBack: (() => void) | undefined
    const verdict = await this.#parts.tokens.redeem(sessionAuth(session), token, (undo) => {
      giveBack = undo
    })
    if (verdict !== 'ok') return new Refused(refusals['token-rejected'], WHY[verdict])
    const grant = await this.#parts.tickets?.grant(session, agent, undefined)
    return { session, agent, isReadOnly: false, grant, giveBack }
  }

  /** A browser sends the cookie by itself, so the page must be of an origin that may. */
  async #byCookie({ headers }: ApiRequest, ticket: string, session: string, agent: string): Promise<Caller | Refused> {
    if (!this.#parts.ownPage(headers.origin, headers.host))
      return new Refused(refusals['origin-not-allowed'], 'a cookie of another origin')
    return this.#byTicket(ticket, session, agent, ['sse', 'sse-read'])
  }

  async #byTicket(
    ticket: string,
    session: string,
    agent: string,
    purposes: readonly Purpose[],
  ): Promise<Caller | Refused> {
    const judged = (await this.#parts.tickets?.judge(ticket, session, agent, purposes)) ?? 'tickets are off'
    if (typeof judged === 'string') return new Refused(refusals['token-rejected'], judged)
    if (await isKeyGone(judged.claims, this.#parts.jwts)) return new Refused(refusals['token-rejected'], KEY_GONE)
    return {
      session,
      agent,
      isReadOnly: judged.purpose === 'sse-read' || judged.claims?.publishes === false,
      grant: judged,
    }
  }

  async #byJwt(token: string, session: string, agent: string): Promise<Caller | Refused> {
    const { jwts, tickets, isRevoked } = this.#parts
    const rights = await verifyWithKeys(jwts!, token)
    if ('fault' in rights) return new Refused(refusalOfJwt(rights.fault, jwts!), `JWT: ${rights.why}`)
    if (!opensSession(rights, session, agent))
      return new Refused(refusals['token-rejected'], 'JWT: its claims allow no session of this path')
    if (await isRevoked?.(rights)) return new Refused(refusals['token-rejected'], 'the JWT was revoked')
    return { session, agent, isReadOnly: !rights.publishes, grant: await tickets?.grant(session, agent, rights) }
  }
}

/** @throws any other error. */
function refusedFor(error: unknown): Refused {
  if (error instanceof RedisUnavailable) return new Refused(refusals['redis-unavailable'])
  if (error instanceof RedisForbids) return new Refused(refusals.forbidden)
  throw error
}
