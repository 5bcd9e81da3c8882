import type { Config } from '../../config/table.ts'
import type { Rights, TokenClaims } from '../../connection/auth.ts'
import type { Connection } from '../../connection/connection.ts'
import type { Admission, Door } from '../../connection/door.ts'
import { EVENT_PINGS } from '../../connection/events.ts'
import { STREAM_COOKIE } from '../../connection/stream-tickets.ts'
import type { IdleTimeout } from '../../connection/times.ts'
import type { BackpressureLevel, StreamFormat } from '../../connection/wire.ts'
import { type Close, lifetimeClose, type Refusal } from '../../contract/codes.ts'
import { PathPattern } from '../../http/path.ts'
import type { Rate } from '../../platform/rate.ts'
import { SessionEvents } from '../../sessions/events.ts'
import { frameOf, ticketFrame } from '../../sessions/frames.ts'
import type { ResumeTickets, StreamTicket } from '../../sessions/resume-tickets.ts'
import { EXPOSED_PURPOSES, type Grant, HEADER_PURPOSES } from '../../sessions/ticket.ts'
import type { DoorStats, Metrics } from '../../telemetry/metrics.ts'
import type { SessionDoor } from './door.ts'
import { streamResumeOf } from './resume.ts'
import { StreamState, stateOf } from './state.ts'
import { judgeFor } from './tickets.ts'

export interface SessionStreamParts {
  readonly options: Pick<
    Config,
    'authTokenMode' | 'ssePing' | 'ssePingIntervalMs' | 'sseMaxLifetimeMs' | 'sseTicketTtlMs'
  >
  readonly session: SessionDoor
  /** Undefined: RESUME_TICKET_TTL is 0. */
  readonly tickets: ResumeTickets | undefined
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  readonly metrics: Metrics
}

const streamOf = (connection: Connection): StreamState => connection.doorState as StreamState

/**
 * `GET /{agentId}/sse/{sessionId}`: what a client of `wsproxy.v2` gets, as server-sent events.
 * Messages, logs and topics are those of the session door: this door makes events of its frames.
 */
export class SessionStreamDoor implements Door {
  readonly name = 'sse'
  readonly subjectName = 'session'
  readonly path = new PathPattern('/:agentId/sse/:sessionId')
  readonly stream: StreamFormat<Connection>
  readonly pingIntervalMs: number
  readonly maxLifetimeMs: number
  readonly maxMessageBytes: number
  readonly rate: Rate
  readonly idleTimeout: IdleTimeout | undefined
  readonly stats: DoorStats
  readonly #parts: SessionStreamParts

  constructor(parts: SessionStreamParts) {
    const { options, session, metrics } = parts
    this.#parts = parts
    this.stats = metrics.door(this.name)
    this.pingIntervalMs = options.ssePingIntervalMs
    this.maxLifetimeMs = options.sseMaxLifetimeMs
    this.maxMessageBytes = session.maxMessageBytes
    this.rate = session.rate
    this.idleTimeout = session.idleTimeout
    this.stream = {
      encoder: () => new SessionEvents().encode,
      ping: EVENT_PINGS[options.ssePing],
      headers: (connection) => cookieOf(this.#pathOf(connection), streamOf(connection).streamTicket),
      isOver: (connection) => streamOf(connection).hasEnded && connection.morePending === undefined,
    }
  }

  admit(ids: readonly string[], query = '', _ = '', lastEventId = ''): Admission | Refusal {
    const { session, tickets, options } = this.#parts
    const resume = streamResumeOf(query, lastEventId)
    if ('kind' in resume) return resume
    const admission = session.admitReader(ids, resume, StreamState)
    if (admission.kind === 'refusal') return admission
    return {
      ...admission,
      spendsTokens: options.authTokenMode !== 'reusable',
      checkTicket:
        tickets &&
        ((ticket, isExposed) => judgeFor(admission, tickets, ticket, isExposed ? EXPOSED_PURPOSES : HEADER_PURPOSES)),
      admitted: tickets && ((connection) => this.#giveTickets(connection, undefined)),
    }
  }

  /** @param rights of the JWT that admitted the client, if one did. */
  async #giveTickets(connection: Connection, rights: TokenClaims | undefined): Promise<void> {
    const state = streamOf(connection)
    const tickets = this.#parts.tickets!
    const grant = tickets.grantOf(connection) ?? (await tickets.grant(connection.subject, state.agentId, rights))
    state.grant = grant
    state.streamTicket = await this.cookieTicket(grant, state.isReadOnly)
    state.queryTicket = await this.queryTicket(grant)
  }

  /** Returns a ticket of this grant that may stand in a query; undefined when it cannot be made. */
  async queryTicket(grant: Grant): Promise<StreamTicket | undefined> {
    const { tickets, options } = this.#parts
    return tickets?.forStreams({ ...grant, purpose: 'sse-read' }, options.sseTicketTtlMs)
  }

  /** The same for a cookie: it gives the rights of the credential that the client has shown. */
  async cookieTicket(grant: Grant, isReadOnly: boolean): Promise<StreamTicket | undefined> {
    const { tickets, options } = this.#parts
    const purpose = isReadOnly ? 'sse-read' : (grant.purpose ?? 'sse')
    return tickets?.forStreams({ ...grant, purpose }, options.sseTicketTtlMs)
  }

  grants(admission: Admission, rights: Rights): Admission | undefined {
    const granted = this.#parts.session.grants({ ...admission, admitted: undefined }, rights)
    if (granted === undefined || admission.admitted === undefined) return granted
    return { ...granted, admitted: (connection) => this.#giveTickets(connection, rights) }
  }

  /** A stream brings no frames: they come as requests of their own. */
  receive(): void {}

  rateLimited(): void {}

  opened(connection: Connection): void {
    const state = streamOf(connection)
    const { queryTicket } = state
    // Both are sent now: an open stream keeps neither text.
    state.queryTicket = undefined
    state.streamTicket = undefined
    if (queryTicket) this.#parts.enqueue(connection, ticketFrame(queryTicket.ticket, queryTicket.expiresInMs))
    this.#parts.session.opened(connection)
  }

  onBackpressure(connection: Connection, level: BackpressureLevel): void {
    this.#parts.session.onBackpressure(connection, level)
  }

  goodbye(close: Close, reconnectAfterMs: number): Buffer {
    const reason = close.notice ?? close.reason
    const afterMs = close === lifetimeClose ? 0 : reconnectAfterMs
    return frameOf({ type: 'control', command: 'goodbye', reason, reconnect_after_ms: afterMs })
  }

  expiring(expiresAt: number, leftMs: number): Buffer {
    return this.#parts.session.expiring(expiresAt, leftMs)
  }

  #pathOf(connection: Connection): string {
    return `/${stateOf(connection).agentId}/sse/${connection.subject}`
  }
}

/** The header that keeps a ticket in the browser, for this path. */
export function cookieOf(path: string, ticket: StreamTicket | undefined): Record<string, string> {
  if (ticket === undefined) return {}
  const maxAge = Math.floor(ticket.expiresInMs / 1000)
  const rules = `Path=${path}; Max-Age=${maxAge}; Secure; HttpOnly; SameSite=Strict`
  return { 'Set-Cookie': `${STREAM_COOKIE}=${ticket.ticket}; ${rules}` }
}
