import type { Bindings } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import { endText, type Renewals } from '../../connection/renewal.ts'
import type { Auth } from '../../contract/live/types.gen.ts'
import { frameOf } from './frames.ts'
import { grantedTo, isGranted, nameOf, stateFor, stateOf } from './topics.ts'

/**
 * Takes a new JWT for a live socket, which leaves the topics that it does not grant. Returns the
 * answers, or undefined when the token is refused.
 */
export function renewed(
  connection: Connection,
  { token, correlation_id }: Auth,
  renewals: Renewals | undefined,
  bindings: Bindings,
): Buffer[] | undefined {
  // A socket that came with the shared token holds topics that no JWT may take away.
  if (connection.rights === undefined || renewals === undefined) return undefined
  const end = renewals.renew(connection, token, (rights) => {
    const isGranting = rights.topics.length > 0
    if (isGranting) Object.assign(stateOf(connection)!, stateFor(rights))
    return isGranting
  })
  if (end === undefined) return undefined
  const expires_at = endText(end)
  const granted = grantedTo(connection)
  const lost = connection.topics.filter((topic) => !isGranted(granted, nameOf(topic)))
  for (const topic of lost) bindings.leave(connection, topic)
  return [
    frameOf({ type: 'auth_ok', ...(expires_at !== undefined && { expires_at }) }, correlation_id),
    ...lost.map((topic) =>
      frameOf({ type: 'unsubscribed', topic: nameOf(topic), reason: 'forbidden' }, correlation_id),
    ),
  ]
}
