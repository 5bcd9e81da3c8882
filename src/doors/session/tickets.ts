import type { Admission, TicketVerdict } from '../../connection/door.ts'
import type { Grant, Purpose } from '../../sessions/ticket.ts'
import type { SessionState } from './state.ts'

/** Judges tickets, as far as this door needs it. */
interface Judge {
  /** Returns the grant of a ticket, or why it is refused. @throws RedisUnavailable */
  judge(ticket: string, session: string, agent: string, purposes?: readonly Purpose[]): Promise<Grant | string>
}

/**
 * Judges a ticket that stands for the token of an admission, whose state takes what it allows.
 * @param purposes those that are enough. Default: that of a socket.
 * @throws RedisUnavailable
 */
export async function judgeFor(
  { subject, doorState }: Admission,
  tickets: Judge,
  ticket: string,
  purposes?: readonly Purpose[],
): Promise<TicketVerdict> {
  const state = doorState as SessionState
  const judged = await tickets.judge(ticket, subject, state.agentId, purposes)
  if (typeof judged === 'string') return { fault: judged }
  const { claims } = judged
  state.grant = judged
  state.isReadOnly = claims?.publishes === false
  return { claims }
}
