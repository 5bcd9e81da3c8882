import { acceptsJwts } from '../config/jwt.ts'
import { revokedSession, revokedSubject } from '../contract/names.ts'
import type { LiveBus } from '../doors/live/bus.ts'
import { disconnectRoute } from '../http/disconnect.ts'
import type { Route } from '../http/routes.ts'
import { type Selection, selects } from '../platform/selection.ts'
import type { DoorParts } from './doors.ts'

/** Closes the sockets of this instance that an operator names, counts and logs them. */
export function disconnects({ core, metrics, log }: DoorParts): (selection: Selection) => number {
  return (selection) => {
    const { by, value } = selection
    const sockets = core.disconnect(selects(selection))
    metrics.process.closed(by, sockets)
    if (sockets > 0) log.info({ event: 'operator-closes', by, value, sockets }, 'sockets were closed for an operator')
    return sockets
  }
}

/** How long the revocation of a subject lasts: no setting bounds the life of a JWT. */
const FOREVER_MS = 10 * 365 * 86_400_000

/** The admin call that closes sockets here and, unless orders are off, on every instance. */
export function disconnectCall(
  here: (selection: Selection) => number,
  { config, core, log }: DoorParts,
  bus: LiveBus | undefined,
): Route {
  const everywhere = bus && ((selection: Selection) => bus.ask({ what: 'disconnect-all', ...selection }))
  const { revoked } = core.redis
  const { resumeTicketTtlMs, resumeMaxLifetimeMs } = config
  const revoke = {
    ...(resumeTicketTtlMs > 0 && {
      session: (id: string) => revoked.addUntilNow(revokedSession(id), resumeMaxLifetimeMs),
    }),
    ...(acceptsJwts(config) && {
      subject: (sub: string) => revoked.addUntilNow(revokedSubject(sub), FOREVER_MS),
    }),
  }
  return disconnectRoute({ here, everywhere, revoke, log })
}
