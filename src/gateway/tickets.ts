import type { Config } from '../config/table.ts'
import type { Connection } from '../connection/connection.ts'
import { closes } from '../contract/codes.ts'
import type { SessionDoor } from '../doors/session/door.ts'
import { stateOf } from '../doors/session/state.ts'
import { ResumeTickets } from '../sessions/resume-tickets.ts'
import { Revoked } from '../sessions/revoked.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Core } from './core.ts'

interface TicketParts {
  readonly config: Config
  readonly core: Core
  readonly log: Logger
}

/**
 * Builds the resume tickets of the session door and joins them to Redis. Returns undefined when
 * RESUME_TICKET_TTL is 0.
 * @param door is called when a grant was revoked.
 */
export function resumeTickets({ config, core, log }: TicketParts, door: () => SessionDoor) {
  if (config.resumeTicketTtlMs === 0) return undefined
  const { ticketSecrets, revoked: source } = core.redis
  const close = (connection: Connection) => core.closer.end(connection, closes.forbidden)
  const isRevoked = (connection: Connection): boolean => {
    const grant = connection.door === door() ? stateOf(connection).grant : undefined
    return grant !== undefined && revoked.has(grant)
  }
  const added = () => {
    for (const connection of core.sockets) if (isRevoked(connection)) close(connection)
  }
  const revoked = new Revoked({ source, added, log })
  const tickets = new ResumeTickets({
    ttlMs: config.resumeTicketTtlMs,
    maxLifetimeMs: config.resumeMaxLifetimeMs,
    secrets: ticketSecrets,
    revoked,
    close,
    enqueue: (connection, frame) => core.delivery.enqueue(connection, frame),
    log,
  })
  core.onReady.push(() => {
    // It may be another server.
    ticketSecrets.forget()
    revoked.restart()
  })
  const stop = () => {
    tickets.stop()
    revoked.stop()
  }
  return { tickets, stop }
}
