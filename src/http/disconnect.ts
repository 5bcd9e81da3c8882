import { refusals } from '../contract/codes.ts'
import { DISCONNECT_KINDS, type DisconnectKind } from '../contract/reasons.ts'
import { DeadlinePassed, within } from '../platform/deadline.ts'
import { reasonOf } from '../platform/reason.ts'
import { type Selection, selectionIn } from '../platform/selection.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { Logger } from '../telemetry/log.ts'
import { BadRequest } from './body.ts'
import { ANSWERS_MS, type FleetAnswer, isComplete, membersOf, onlyOne } from './order.ts'
import { refused } from './refuse.ts'
import { type ApiResponse, json } from './response.ts'
import type { ApiRequest, Route } from './routes.ts'

export interface DisconnectParts {
  /** Closes the sockets of this instance that the selection names, and returns their number. */
  readonly here: (selection: Selection) => number
  /**
   * Has every instance do the same. Undefined: orders between instances are off.
   * @throws RedisUnavailable when the order was not published.
   */
  readonly everywhere: ((selection: Selection) => Promise<FleetAnswer>) | undefined
  /**
   * Revokes the resume tickets of a session that go back to an admission before now, and the JWTs
   * of a subject that were issued before now. Undefined: the settings allow none.
   * @throws an error that says why they still count.
   */
  readonly revoke: { readonly [by in DisconnectKind]?: (value: string) => Promise<void> }
  readonly log: Logger
}

const MAX_BODY_BYTES = 4096

/**
 * `POST /api/admin/disconnect`: closes the sockets of a session, a run, a JWT subject or an address
 * on every instance with 4403, and answers how many there were. The sockets of this instance are
 * closed even while Redis is away.
 */
export const disconnectRoute = (parts: DisconnectParts): Route => ({
  method: 'POST',
  path: '/api/admin/disconnect',
  admin: true,
  maxBodyBytes: MAX_BODY_BYTES,
  answer: (request) => disconnect(parts, request),
})

async function disconnect(parts: DisconnectParts, request: ApiRequest): Promise<ApiResponse> {
  const { here, everywhere, revoke, log } = parts
  const { selection, reconnect } = orderIn(request)
  // Tickets first, so that no client comes back between its close and the revocation. The JWTs of a
  // subject afterwards: each instance closes their sockets by itself, with 4401, and counts none.
  const revoking = reconnect ? undefined : revoke[selection.by]
  const isLate = selection.by === 'subject'
  const early = isLate ? undefined : await faultOf(revoking, selection.value)
  const own = here(selection)
  const said = { ...selection, actor: request.actor, address: request.client.ip }
  if (everywhere === undefined) {
    log.info(
      { event: 'disconnected', ...said, sockets: own, instances: 1 },
      'an operator disconnected clients of this instance only',
    )
    const answer = { closed: own, instances: 1, complete: false, local_only: true }
    const unrevoked = isLate ? await faultOf(revoking, selection.value) : early
    return unrevoked === undefined ? json('200 OK', answer) : notRevoked(unrevoked, own, log)
  }
  try {
    // This instance receives its own order too. It has closed its sockets already, and answers 0.
    const { sockets, instances, expected } = await within(everywhere(selection), ANSWERS_MS)
    const unrevoked = isLate ? await faultOf(revoking, selection.value) : early
    const closed = own + sockets
    const complete = isComplete({ instances, expected })
    log.info(
      { event: 'disconnected', ...said, sockets: closed, instances, expected },
      'an operator disconnected clients',
    )
    const answer = { closed, instances, expected, complete, local_only: false }
    return unrevoked === undefined ? json('200 OK', answer) : notRevoked(unrevoked, closed, log)
  } catch (error) {
    if (!(error instanceof RedisUnavailable || error instanceof DeadlinePassed)) throw error
    log.warn(
      { event: 'disconnected', ...said, sockets: own },
      'an operator disconnected clients of this instance; Redis is away',
    )
    const message = `Closed ${own} sockets of this instance. Redis is away, so no other instance was asked: call again.`
    return refused({ ...refusals['redis-unavailable'], message })
  }
}

/** Returns why tickets or JWTs still count. Undefined: they do not. */
async function faultOf(
  revoke: ((value: string) => Promise<void>) | undefined,
  value: string,
): Promise<string | undefined> {
  try {
    await (revoke && within(revoke(value), ANSWERS_MS))
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function notRevoked(reason: string, closed: number, log: Logger): ApiResponse {
  log.error({ event: 'not-revoked', reason }, 'resume tickets or JWTs could not be revoked')
  const message = `Closed ${closed} sockets, but their clients may come back with resume tickets or JWTs: ${reason}`
  return refused({ ...refusals['redis-unavailable'], message })
}

/** @throws BadRequest when the body does not name exactly one session, run, subject or address. */
function orderIn(request: ApiRequest): { selection: Selection; reconnect: boolean } {
  const { reconnect = false, ...rest } = membersOf(request)
  if (typeof reconnect !== 'boolean') throw new BadRequest('reconnect: not true or false', 'reconnect')
  const [by, value] = onlyOne(rest, DISCONNECT_KINDS)
  const selection = selectionIn(by, value)
  if (selection === undefined) throw new BadRequest(`${by}: not a valid ${by === 'address' ? 'IP address' : 'id'}`, by)
  return { selection, reconnect }
}
