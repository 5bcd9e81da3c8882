import { type Refusal, refusals } from '../contract/codes.ts'
import { DeadlinePassed, within } from '../platform/deadline.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { HttpRequest, HttpResponse } from '../platform/uws.ts'
import { ambiguity, hasProxyHeader } from './request.ts'
import { type ApiResponse, json } from './response.ts'
import { writeAndClose } from './write.ts'

/** The only writer of refusals: of upgrades, of HTTP calls, of preflight and of the live door. */

/** `Retry-After` is 1 to this many seconds. */
const MAX_RETRY_AFTER_S = 4
/** How long an endpoint waits for Redis, in ms. */
const REDIS_DEADLINE_MS = 2000

/** The response that says this refusal. */
export function refused({ code, status, message, field, headers, retryAfter }: Refusal): ApiResponse {
  const body = { error: { code, message, ...(field !== undefined && { field }) } }
  return json(status, body, { ...headers, ...(retryAfter && { 'Retry-After': retryAfterS() }) })
}

/** At random, so that clients that were refused together do not come back together. */
const retryAfterS = (): string => String(1 + Math.floor(Math.random() * MAX_RETRY_AFTER_S))

/** Writes a refusal and closes the connection after it. */
export function respond(res: HttpResponse, refusal: Refusal): void {
  writeAndClose(res, refused(refusal))
}

/**
 * Refuses a request that is not clear about its end, after this turn of the event loop. Until then
 * its answer is pending, and uWebSockets.js cuts a connection whose next request comes meanwhile.
 * An answer at once would let it read what follows in the same bytes, also behind a close.
 * @param isGone whether the connection has been cut; the caller owns `res.onAborted`.
 */
export function respondLater(res: HttpResponse, refusal: Refusal, isGone: () => boolean): void {
  setImmediate(() => {
    if (!isGone()) respond(res, refusal)
  })
}

/**
 * Refuses a request that is not clear about its end, and with `relayed` one behind a PROXY header
 * that the relay did not remove: it came from a client. Returns whether it was one of these.
 */
export function refuseUnclear(res: HttpResponse, req: HttpRequest, relayed: boolean): boolean {
  const message = ambiguity(req) ?? (relayed && hasProxyHeader(res) ? 'Unexpected PROXY header.' : undefined)
  if (message === undefined) return false
  let isGone = false
  res.onAborted(() => {
    isGone = true
  })
  respondLater(res, { ...refusals['bad-request'], message }, () => isGone)
  return true
}

/**
 * Resolves with what `work` answers, or with the refusal when Redis is away or does not answer
 * in time, by default within 2 s.
 */
export async function withRedis(
  work: () => Promise<ApiResponse>,
  deadlineMs = REDIS_DEADLINE_MS,
): Promise<ApiResponse> {
  try {
    return await within(work(), deadlineMs)
  } catch (error) {
    if (error instanceof DeadlinePassed) return refused(refusals['redis-timeout'])
    if (error instanceof RedisUnavailable) return refused(refusals['redis-unavailable'])
    throw error
  }
}
