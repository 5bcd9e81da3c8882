import { entryOf, type TokenRevocation } from '../contract/revocations.ts'
import type { LiveBus } from '../doors/live/bus.ts'
import { revokeRoute } from '../http/revoke.ts'
import type { Route } from '../http/routes.ts'
import { reasonOf } from '../platform/reason.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import { RevokedFull, RevokedUnusable } from '../redis/revoked.ts'
import type { DoorParts } from './doors.ts'

/** Applies a revocation to the sockets of this instance, and returns how many it closed. */
export const revokesHere = ({ core, metrics, log }: DoorParts): ((revocation: TokenRevocation) => number) => {
  return (revocation) => {
    const { by, value } = revocation
    const sockets = core.revocations?.take(revocation) ?? 0
    metrics.process.closed(by, sockets)
    if (sockets > 0) log.info({ event: 'operator-closes', by, value, sockets }, 'sockets were closed for an operator')
    return sockets
  }
}

/** The admin call that revokes JWTs. Undefined: there is nothing that could be revoked. */
export function revokeCall(
  here: (revocation: TokenRevocation) => number,
  { core, log }: DoorParts,
  bus: LiveBus | undefined,
): Route | undefined {
  const { revocations, redis } = core
  if (revocations === undefined) return undefined
  return revokeRoute({
    keep: (revocation) => redis.revoked.add(entryOf(revocation), revocation.lifeMs).then(() => true, isFull),
    here,
    everywhere: bus && ((revocation) => bus.ask({ what: 'revoke', ...revocation })),
    now: () => revocations.set.now(),
    log,
  })
}

/** Returns false when the set is full. @throws any other error. */
function isFull(error: unknown): false {
  if (error instanceof RevokedFull) return false
  throw error instanceof RevokedUnusable ? new RedisUnavailable(reasonOf(error), { cause: error }) : error
}
