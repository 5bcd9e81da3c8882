import { parseDuration } from '../config/kinds.ts'
import { refusals } from '../contract/codes.ts'
import { REVOCATION_KINDS, revocationIn, type TokenRevocation } from '../contract/revocations.ts'
import { DeadlinePassed, within } from '../platform/deadline.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { Logger } from '../telemetry/log.ts'
import { BadRequest } from './body.ts'
import { ANSWERS_MS, type FleetAnswer, isComplete, membersOf, onlyOne } from './order.ts'
import { refused } from './refuse.ts'
import { type ApiResponse, json } from './response.ts'
import type { ApiRequest, Route } from './routes.ts'

export interface RevokeParts {
  /**
   * Keeps the revocation in Redis. Resolves with false when no more fit there.
   * @throws RedisUnavailable
   */
  readonly keep: (revocation: TokenRevocation) => Promise<boolean>
  /** Closes the sockets of this instance that it concerns, and returns their number. */
  readonly here: (revocation: TokenRevocation) => number
  /**
   * Has every instance do the same. Undefined: orders between instances are off.
   * @throws RedisUnavailable when the order was not published.
   */
  readonly everywhere: ((revocation: TokenRevocation) => Promise<FleetAnswer>) | undefined
  /** The clock that revocations are compared by, in ms since the epoch. */
  readonly now: () => number
  readonly log: Logger
}

const MAX_BODY_BYTES = 4096
/** How long a revocation is kept without a `ttl`: JWTs need no `exp`. */
const FOREVER_MS = 10 * 365 * 86_400_000
const DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/

/**
 * `POST /api/auth/revoke`: revokes JWTs, and the resume tickets that go back to them, by `jti`,
 * `sub` or `sid`. Every instance refuses them from then on and closes their sockets with 4401. The
 * answer says how many there were.
 */
export const revokeRoute = (parts: RevokeParts): Route => ({
  method: 'POST',
  path: '/api/auth/revoke',
  admin: true,
  maxBodyBytes: MAX_BODY_BYTES,
  answer: (request) => revoke(parts, request),
})

async function revoke(parts: RevokeParts, request: ApiRequest): Promise<ApiResponse> {
  const { keep, here, everywhere, now, log } = parts
  const revocation = orderIn(request, now())
  try {
    if (!(await within(keep(revocation), ANSWERS_MS))) return refused(refusals['revocations-full'])
  } catch (error) {
    if (!(error instanceof RedisUnavailable || error instanceof DeadlinePassed)) throw error
    return refused({ ...refusals['redis-unavailable'], message: 'Redis is away, so nothing was revoked: call again.' })
  }
  const own = here(revocation)
  const others = await everywhere?.(revocation).catch((error: unknown) => {
    if (error instanceof RedisUnavailable) return undefined
    throw error
  })
  // This instance receives its own order too. It has closed its sockets already, and answers 0.
  const closed = own + (others?.sockets ?? 0)
  const { instances = 1, expected } = others ?? {}
  const { by, value } = revocation
  const said = { by, value, actor: request.actor, address: request.client.ip, sockets: closed, instances, expected }
  log.info({ event: 'revoked', ...said }, 'an operator revoked JWTs')
  const isPartial = others === undefined
  const complete = isPartial ? false : isComplete({ instances, expected })
  return json('200 OK', { closed, instances, expected, complete, local_only: isPartial })
}

/** @throws BadRequest when the body is no revocation. */
function orderIn(request: ApiRequest, now: number): TokenRevocation {
  const { before, ttl, ...rest } = membersOf(request)
  const [by, value] = onlyOne(rest, REVOCATION_KINDS)
  if (before !== undefined && by !== 'sub') throw new BadRequest('before: only for a sub', 'before')
  const beforeMs =
    before === undefined ? now : typeof before === 'string' && DATE.test(before) ? Date.parse(before) : NaN
  if (Number.isNaN(beforeMs)) throw new BadRequest('before: not a time such as 2026-01-31T12:00:00Z', 'before')
  const lifeMs = ttl === undefined ? FOREVER_MS : typeof ttl === 'string' ? (parseDuration(ttl) ?? NaN) : NaN
  if (!(lifeMs >= 1000 && lifeMs <= FOREVER_MS)) throw new BadRequest('ttl: not a text such as 90s, 24h or 30d', 'ttl')
  const revocation = revocationIn({ by, value, before: Math.ceil(beforeMs), lifeMs: Math.ceil(lifeMs) })
  if (revocation === undefined) throw new BadRequest(`${by}: not a text of 1 to 256 characters`, by)
  return revocation
}
