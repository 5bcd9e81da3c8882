import { type JwtChecks, refusalOfJwt, verifyWithKeys } from '../connection/auth.ts'
import type { Door } from '../connection/door.ts'
import { type Refusal, refusals } from '../contract/codes.ts'
import { outboxRoute } from '../doors/live/outbox-routes.ts'
import { type Author, Publisher } from '../doors/live/publisher.ts'
import type { Admin } from '../http/admin.ts'
import type { ApiRequest, Route } from '../http/routes.ts'
import { rateOf } from '../platform/rate.ts'
import { bearerToken } from '../platform/secrets.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import { RedisOutbox } from '../redis/outbox.ts'
import type { DoorParts } from './doors.ts'

interface OutboxWiring extends DoorParts {
  readonly admin: Admin
  /** Undefined: no token is a JWT. */
  readonly jwts: JwtChecks | undefined
}

/** A burst of the rate has room for one whole request. */
const MIN_BURST = 100

/**
 * What publishes envelopes, and its endpoint, which is there only with OUTBOX_TOPICS, for pages of
 * the origins of `door`.
 */
export function outboxes(
  wiring: OutboxWiring,
  door: () => Door,
): {
  readonly publisher: Publisher
  readonly routes: readonly Route[]
} {
  const { config, core, metrics, log } = wiring
  const redis = new RedisOutbox((key, args) => core.redis.command(key, args), config)
  const publisher = new Publisher({
    topics: config.outboxTopics,
    publish: (envelope) => redis.publish(envelope),
    count: (result) => {
      metrics.live.counts.outbox[result]++
    },
    log,
  })
  const rate = rateOf(config.liveRate, Math.max(config.liveRateBurst, MIN_BURST))
  const authorOf = (request: ApiRequest) => author(request, wiring)
  const cors = (origin: string) => core.acceptor.checks.corsOf(door(), origin)
  const route = outboxRoute({ publisher, authorOf, rate, cors })
  return { publisher, routes: config.outboxTopics.length > 0 ? [route] : [] }
}

/** An operator may publish on every topic of OUTBOX_TOPICS. */
async function author(request: ApiRequest, { admin, jwts, core }: OutboxWiring): Promise<Author | Refusal> {
  const { authorization } = request.headers
  // The guard of all routes lets a cookie through only from a page of this host or of the list.
  const token = authorization === '' ? jwts?.cookieToken?.(request.headers) : bearerToken(authorization)
  if (token === undefined) return refusals['credentials-missing']
  if (jwts?.looksLikeJwt(token) !== true) {
    // It would also take the cookie of a sign-in, which counts for no envelope.
    if (authorization === '') return refusals['token-rejected']
    return admin.authorize(request) ?? { subject: 'operator', publishTopics: ['*'] }
  }
  const verdict = await verifyWithKeys(jwts, token)
  if ('fault' in verdict) return refusalOfJwt(verdict.fault, jwts)
  try {
    return (await core.revocations?.isRevoked(verdict)) ? refusals['token-rejected'] : verdict
  } catch (error) {
    if (error instanceof RedisUnavailable) return refusals['redis-unavailable']
    throw error
  }
}
