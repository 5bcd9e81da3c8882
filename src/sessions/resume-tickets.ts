import { randomBytes } from 'node:crypto'
import type { TokenClaims } from '../connection/auth.ts'
import { type Connection, Phase } from '../connection/connection.ts'
import { endOf } from '../connection/renewal.ts'
import { reasonOf } from '../platform/reason.ts'
import { RevokedUnusable } from '../redis/revoked.ts'
import { SecretsUnusable, type TicketSecrets } from '../redis/ticket-secrets.ts'
import type { Logger } from '../telemetry/log.ts'
import { LineSampler } from '../telemetry/sampler.ts'
import type { TicketMetrics } from '../telemetry/tickets.ts'
import { ticketFrame } from './frames.ts'
import { type Grant, MAX_LENGTH, type Purpose, readTicket, signTicket, TICKET_FAULTS } from './ticket.ts'

export interface ResumeTicketsParts {
  readonly ttlMs: number
  /** How long a socket lives on one JWT. 0: until its `exp`. */
  readonly authJwtMaxLifetimeMs: number
  /** No ticket is valid for longer after the first admission. */
  readonly maxLifetimeMs: number
  readonly secrets: {
    /** @throws RedisUnavailable; SecretsUnusable. */
    current(now: number): Promise<TicketSecrets>
  }
  readonly revoked: {
    /** @throws RedisUnavailable; RevokedUnusable. */
    ready(): Promise<void>
    has(grant: Grant): boolean
    /** The time that all instances agree on, in ms since the epoch. */
    now(): number
  }
  readonly sockets: { readonly size: number; [Symbol.iterator](): Iterator<Connection> }
  /** Undefined: it has no session. */
  readonly holderOf: (connection: Connection) => Holder | undefined
  /** Whether its client gets a new ticket from time to time. */
  readonly isRenewed: (connection: Connection) => boolean
  readonly enqueue: (connection: Connection, frame: Buffer) => void
  readonly metrics: TicketMetrics
  readonly log: Logger
}

export interface StreamTicket {
  readonly ticket: string
  readonly expiresInMs: number
}

/** Interval at which due renewals are sent. */
const TICK_MS = 500
/** Renewals of one tick beside the share of all sockets, so that few sockets wait for no second. */
const MIN_BATCH = 50

/**
 * What the tickets of a socket go back to. A number: its client was admitted by a token of Redis,
 * so many ms after the start of this instance. Most sockets have that, and it takes no memory.
 */
export type Granted = Grant | number

/** A socket that may get tickets. */
interface Holder {
  readonly agentId: string
  /** Undefined: it gets none. */
  readonly grant: Granted | undefined
}

/**
 * Gives resume tickets to the sockets of `wsproxy.v2`, renews them while a socket is open, and
 * judges those that clients bring. Without secrets a socket gets no ticket and stays open.
 */
export class ResumeTickets {
  readonly #parts: ResumeTicketsParts
  /** What `Granted` is counted from. */
  readonly #origin = Date.now()
  /** With the serial of a socket it is the `sid` of its admission. */
  readonly #instance = randomBytes(9).toString('base64url')
  /** Until when sockets were looked at. Undefined: no socket got a ticket yet. */
  #lookedAt: number | undefined
  /** Sockets that are due. */
  #due: Connection[] = []
  readonly #lines = new LineSampler()
  readonly #timer: NodeJS.Timeout
  #isRenewing = false

  constructor(parts: ResumeTicketsParts) {
    this.#parts = parts
    this.#timer = setInterval(() => void this.#renew(), TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /**
   * Makes the grant of a client that was admitted by a token just now.
   * @param jwt its claims, when that token is a JWT. No ticket outlives the socket that it admits.
   */
  async grant(session: string, agent: string, jwt: TokenClaims | undefined): Promise<Grant> {
    const authTime = await this.#authTime()
    const end = endOf(jwt, this.#parts)
    const notAfter = Math.min(authTime + this.#parts.maxLifetimeMs, end === 0 ? Number.POSITIVE_INFINITY : end * 1000)
    const sid = jwt?.sid ?? randomBytes(12).toString('base64url')
    const claims = jwt === undefined || end === 0 ? jwt : { ...jwt, expiresAt: end }
    return { session, agent, sid, authTime, notAfter, claims }
  }

  /** The same for a socket, as it is kept. */
  async admit(session: string, agent: string, jwt: TokenClaims | undefined): Promise<Granted> {
    if (jwt !== undefined) return this.grant(session, agent, jwt)
    const since = (await this.#authTime()) - this.#origin
    // A small integer lies in the state itself, for the first 24 days.
    return Math.abs(since) < 2 ** 31 ? since | 0 : since
  }

  async #authTime(): Promise<number> {
    // Without the set no ticket is accepted anyway, and the clock does not matter.
    await this.#parts.revoked.ready().catch(() => {})
    return this.#parts.revoked.now()
  }

  /** Returns the grant of a socket or a stream. Undefined: it gets no tickets. */
  grantOf(connection: Connection): Grant | undefined {
    const holder = this.#parts.holderOf(connection)
    if (typeof holder?.grant !== 'number') return holder?.grant
    const authTime = this.#origin + holder.grant
    return {
      session: connection.subject,
      agent: holder.agentId,
      sid: `${this.#instance}${connection.serial.toString(36)}`,
      authTime,
      notAfter: authTime + this.#parts.maxLifetimeMs,
      claims: undefined,
    }
  }

  /**
   * Returns the grant of a ticket, or the reason for the log why it is refused. @throws
   * RedisUnavailable when the secrets cannot be read.
   */
  async judge(ticket: string, session: string, agent: string, purposes?: readonly Purpose[]): Promise<Grant | string> {
    const { metrics } = this.#parts
    try {
      await this.#parts.revoked.ready()
      const now = this.#parts.revoked.now()
      const { accepted } = await this.#parts.secrets.current(now)
      const grant = readTicket(ticket, { session, agent }, accepted, now, purposes)
      if (typeof grant !== 'object') {
        metrics.judged(grant)
        return TICKET_FAULTS[grant]
      }
      const isRevoked = this.#parts.revoked.has(grant)
      metrics.judged(isRevoked ? 'revoked' : 'accepted')
      return isRevoked ? 'the ticket was revoked' : grant
    } catch (error) {
      metrics.judged('unreadable')
      if (error instanceof SecretsUnusable || error instanceof RevokedUnusable) return this.#unusable(error)
      throw error
    }
  }

  /** Whether a grant that was accepted has not ended or been revoked since. */
  stillCounts(grant: Grant): boolean {
    const { revoked } = this.#parts
    return revoked.now() < grant.notAfter && !revoked.has(grant)
  }

  /** Enqueues the first ticket of a socket. The next ones follow by themselves. Never rejects. */
  async begin(connection: Connection): Promise<void> {
    const now = this.#parts.revoked.now()
    this.#lookedAt ??= now
    const secrets = await this.#secrets(now)
    const grant = this.grantOf(connection)
    if (secrets !== undefined && grant !== undefined) this.#give(connection, grant, secrets, now)
  }

  /** Returns a ticket for streams; undefined when it cannot be made now. Never rejects. */
  async forStreams(grant: Grant, ttlMs: number): Promise<StreamTicket | undefined> {
    const now = this.#parts.revoked.now()
    const secrets = await this.#secrets(now)
    const expiresInMs = Math.min(ttlMs, grant.notAfter - now)
    if (secrets === undefined || expiresInMs <= 0) return undefined
    const ticket = signTicket(grant, now + expiresInMs, secrets.signing)
    return ticket.length > MAX_LENGTH ? undefined : { ticket, expiresInMs }
  }

  #give(connection: Connection, grant: Grant, { signing }: TicketSecrets, now: number): void {
    const expiresInMs = Math.min(this.#parts.ttlMs, grant.notAfter - now)
    if (expiresInMs <= 0) return
    const ticket = signTicket(grant, now + expiresInMs, signing)
    if (ticket.length > MAX_LENGTH) return
    this.#parts.enqueue(connection, ticketFrame(ticket, expiresInMs))
    this.#parts.metrics.issued++
  }

  /**
   * Sends the tickets that are due: each socket gets one every half of their life, counted from its
   * admission. Sockets that came together are spread over several ticks: twice the share that one
   * tick has of all renewals.
   */
  async #renew(): Promise<void> {
    if (this.#isRenewing || this.#lookedAt === undefined) return
    const now = this.#parts.revoked.now()
    this.#isRenewing = true
    const secrets = await this.#secrets(now)
    this.#isRenewing = false
    if (secrets === undefined) return
    const { sockets, ttlMs } = this.#parts
    if (this.#due.length === 0) {
      for (const connection of sockets) if (this.#isDue(connection, this.#lookedAt, now)) this.#due.push(connection)
      this.#lookedAt = now
    }
    for (const connection of this.#due.splice(0, MIN_BATCH + Math.ceil((4 * TICK_MS * sockets.size) / ttlMs))) {
      const grant = this.grantOf(connection)
      if (grant !== undefined && connection.phase === Phase.open) this.#give(connection, grant, secrets, now)
    }
  }

  #isDue(connection: Connection, from: number, to: number): boolean {
    const { holderOf, isRenewed } = this.#parts
    const grant = isRenewed(connection) ? holderOf(connection)?.grant : undefined
    if (grant === undefined) return false
    const since = typeof grant === 'number' ? this.#origin + grant : grant.authTime
    const half = this.#parts.ttlMs / 2
    return Math.floor((to - since) / half) > Math.max(0, Math.floor((from - since) / half))
  }

  /** Undefined: they cannot be read now. */
  async #secrets(now: number): Promise<TicketSecrets | undefined> {
    try {
      return await this.#parts.secrets.current(now)
    } catch (error) {
      this.#unusable(error)
      return undefined
    }
  }

  #unusable(error: unknown): string {
    const reason = reasonOf(error)
    const skipped = this.#lines.take('unusable')
    if (skipped !== undefined)
      this.#parts.log.warn(
        { event: 'ticket-secrets-unusable', reason, skipped },
        'resume tickets are off: what they need cannot be read from Redis. `wsproxy redis acl` prints the rights',
      )
    return `what tickets need cannot be read: ${reason}`
  }
}
