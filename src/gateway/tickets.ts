import type { Config } from '../config/table.ts'
import { closes } from '../contract/codes.ts'
import { isSession, stateOf } from '../doors/session/state.ts'
import { ResumeTickets } from '../sessions/resume-tickets.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Core } from './core.ts'

interface TicketParts {
  readonly config: Config
  readonly core: Core
  readonly metrics: Metrics
  readonly log: Logger
}

/**
 * Builds the resume tickets of the session door and joins them to Redis. Returns undefined when
 * RESUME_TICKET_TTL is 0.
 */
export function resumeTickets({ config, core, metrics, log }: TicketParts) {
  if (config.resumeTicketTtlMs === 0) return undefined
  const { ticketSecrets } = core.redis
  const revoked = core.revocations!.set
  const tickets = new ResumeTickets({
    ttlMs: config.resumeTicketTtlMs,
    authJwtMaxLifetimeMs: config.authJwtMaxLifetimeMs,
    maxLifetimeMs: config.resumeMaxLifetimeMs,
    secrets: ticketSecrets,
    revoked,
    sockets: core.sockets,
    holderOf: (connection) => (isSession(connection) ? stateOf(connection) : undefined),
    isRenewed: (connection) => connection.door.name === 'session',
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    metrics: metrics.tickets,
    log,
  })
  core.revocations!.also({
    closeOf: (connection) => {
      const grant = tickets.grantOf(connection)
      if (grant === undefined || !revoked.has(grant)) return undefined
      // Its client may not come back by itself when its session was disconnected.
      return revoked.ended(grant) ? closes.forbidden : closes.revoked
    },
    sidOf: (connection) => tickets.grantOf(connection)?.sid,
  })
  core.onReady.push(() => {
    // It may be another server.
    ticketSecrets.forget()
  })
  return { tickets, stop: () => tickets.stop() }
}
