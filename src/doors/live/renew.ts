import type { Rights } from '../../connection/auth.ts'
import type { Bindings } from '../../connection/bind.ts'
import type { Connection } from '../../connection/connection.ts'
import { endText, type Renewals } from '../../connection/renewal.ts'
import type { Auth } from '../../contract/live/types.gen.ts'
import { frameOf } from './frames.ts'
import { grantedTo, isGranted, nameOf, stateFor, stateOf } from './topics.ts'

/**
 * Takes a new JWT for a live socket, which leaves the topics that it does not grant. Calls `answer`
 * with the answers, or with undefined when the token is refused.
 */
export function renew(
  connection: Connection,
  { token, correlation_id }: Auth,
  renewals: Renewals | undefined,
  bindings: Bindings,
  answer: (frames: readonly Buffer[] | undefined) => void,
): void {
  // A socket that came with the shared token holds topics that no JWT may take away.
  if (connection.rights === undefined || renewals === undefined) return answer(undefined)
  const allows = (rights: Rights) => {
    const isGranting = rights.topics.length > 0
    if (isGranting) Object.assign(stateOf(connection)!, stateFor(rights))
    return isGranting
  }
  renewals.renew(connection, token, allows, (end) =>
    answer(end === undefined ? undefined : answers(connection, end, correlation_id, bindings)),
  )
}

function answers(
  connection: Connection,
  end: number,
  correlation_id: string | undefined,
  bindings: Bindings,
): readonly Buffer[] {
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
