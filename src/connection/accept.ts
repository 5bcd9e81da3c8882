import { type Close, RedisUnavailable, type Refusal, refusals } from '../contract/codes.ts'
import type { Logger } from '../log.ts'
import type { DoorStats, Metrics } from '../metrics.ts'
import type { Traced, Tracing } from '../tracing.ts'
import { type HttpRequest, type HttpResponse, upgradeCorked, type us_socket_context_t } from '../uws.ts'
import { type Credentials, readCredentials, type TokenStore, WHY } from './auth.ts'
import type { Bindings, Source } from './bind.ts'
import { Connection, type Heartbeat, Phase, type QuietRule, type Socket } from './connection.ts'
import { type ConnectLimits, originRule } from './limits.ts'
import { clientAddress, ids, isUpgrade, listHeader, respond } from './request.ts'

/** What is particular to one kind of socket. A door keeps no state of its sockets: that is the connection's. */
export interface Door {
  /** Metric label and log field. */
  readonly name: string
  /** What the log calls the subject: `session`, `run`. */
  readonly subjectName: string
  /** uWebSockets.js route. */
  readonly pattern: string
  /** Paths of this door, with a group an id. It also knows those that the route does not, such as one with an empty id. */
  readonly shape: RegExp
  readonly maxMessageBytes: number
  /** Client frames: one in `intervalMs` on average (0: no limit), `burst` at once. */
  readonly rate: { readonly intervalMs: number; readonly burst: number }
  readonly quiet: QuietRule | undefined
  readonly heartbeat?: Heartbeat
  readonly stats: DoorStats
  /** Reads the path. Asks nobody. */
  admit(ids: readonly string[]): Visit | Refusal
  /** The socket is open: what it gets first. */
  opened?(connection: Connection): void
  /** A text frame of a client, within size and rate. It is only valid during the call. */
  receive(connection: Connection, frame: Buffer): void
  /** A text frame was dropped for the rate; called at most once in 5 s per socket. */
  rateLimited(connection: Connection): void
  /** The unsent bytes of a socket have passed half of its buffer (true), or are below it again, or it is gone (false). */
  pressure?(connection: Connection, slow: boolean): void
  /** The frame before a close that the server starts, if this door says goodbye for that. */
  goodbye(close: Close, reconnectAfterMs: number): Buffer | undefined
}

/** Who wants in, and what for. */
export interface Visit {
  readonly subject: string
  /** Key of the expected token; undefined: no credentials are asked for. */
  readonly tokenKey: string | undefined
  readonly source: Source
  readonly channels: readonly string[]
}

export interface AcceptOptions {
  readonly handshakeTimeoutMs: number
  readonly allowQueryToken: boolean
  readonly allowedOrigins: readonly string[]
  readonly requireOrigin: boolean
  readonly trustProxy: 'none' | 'x-forwarded-for' | 'proxy-protocol'
}

export interface AcceptParts {
  readonly options: AcceptOptions
  readonly tokens: TokenStore
  readonly bindings: Bindings
  readonly limits: ConnectLimits
  readonly metrics: Metrics
  readonly log: Logger
  readonly tracing?: Tracing | undefined
  /** Whether Redis is there, as far as it is needed for this channel; asked before anything is asked of it. */
  readonly redisReady: (channel: string) => boolean
  readonly draining: () => boolean
  /** The upgrade is complete. */
  readonly opened: (connection: Connection) => void
}

interface Attempt {
  readonly door: Door
  readonly res: HttpResponse
  readonly context: us_socket_context_t
  readonly key: string
  readonly address: string
  readonly visit: Visit
  readonly credentials: Credentials
  readonly startedAt: number
  readonly traced: Traced | undefined
  readonly timer: NodeJS.Timeout
  connection: Connection | undefined
  over: boolean
}

const NO_CREDENTIALS: Credentials = { token: '', protocol: '' }

/**
 * From an upgrade request to an open socket, or a refusal in HTTP: a flat list of checks that ask nobody, then the token, then the
 * subscription, then the 101. A place that was taken from the limits is given back on every way that does not end in a socket.
 */
export class Acceptor {
  readonly #parts: AcceptParts
  readonly #originAllowed: (origin: string) => boolean
  readonly #pending = new Set<Attempt>()

  constructor(parts: AcceptParts) {
    this.#parts = parts
    this.#originAllowed = originRule(parts.options.allowedOrigins, parts.options.requireOrigin)
  }

  /** The upgrade handler of a door. uWebSockets.js takes the request away when this returns, so all of it is copied first. */
  upgrade(door: Door, res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    const startedAt = performance.now()
    const traced = this.#parts.tracing?.handshake(door.name, req.getHeader('traceparent'))
    let attempt: Attempt | undefined
    res.onAborted(() => attempt && this.#finish(attempt, 'aborted'))
    try {
      const address = clientAddress(res, req, this.#parts.options.trustProxy)
      const checked = this.#check(req) ?? this.#visit(door, req)
      const refusal = 'code' in checked ? checked : this.#parts.limits.take(address, startedAt)
      if (refusal || 'code' in checked) return this.#turnAway(door, res, address, refusal!, traced)
      const key = req.getHeader('sec-websocket-key')
      const timer = setTimeout(
        () => this.#refuse(attempt!, refusals['redis-timeout']),
        this.#parts.options.handshakeTimeoutMs,
      )
      attempt = {
        door,
        res,
        context,
        key,
        address,
        ...checked,
        startedAt,
        traced,
        timer,
        connection: undefined,
        over: false,
      }
      this.#pending.add(attempt)
    } catch (error) {
      this.#fault(error)
      return this.#turnAway(door, res, '', refusals['internal-error'], traced)
    }
    void this.#handshake(attempt)
  }

  /** Refuses whoever is still on the way in; for a drain. */
  refusePending(): void {
    for (const attempt of [...this.#pending]) this.#refuse(attempt, refusals.draining)
  }

  #check(req: HttpRequest): Refusal | undefined {
    const header = (name: string) => req.getHeader(name)
    if (this.#parts.draining()) return refusals.draining
    if (header('sec-websocket-version') !== '13') return refusals['unsupported-version']
    if (!isUpgrade(req)) return refusals['malformed-request']
    if (!this.#originAllowed(header('origin'))) return refusals['origin-not-allowed']
    return undefined
  }

  #visit(door: Door, req: HttpRequest): { visit: Visit; credentials: Credentials } | Refusal {
    const visit = door.admit(ids(door, req))
    if ('code' in visit) return visit
    const credentials =
      visit.tokenKey === undefined
        ? NO_CREDENTIALS
        : readCredentials(
            {
              authorization: req.getHeader('authorization'),
              protocol: listHeader(req, 'sec-websocket-protocol'),
              query: req.getQuery() ?? '',
            },
            this.#parts.options.allowQueryToken,
          )
    if ('code' in credentials) return credentials
    return this.#parts.redisReady(visit.channels[0]!) ? { visit, credentials } : refusals['redis-unavailable']
  }

  async #handshake(attempt: Attempt): Promise<void> {
    const { door, visit, credentials, address } = attempt
    try {
      if (visit.tokenKey !== undefined) {
        const verdict = await this.#parts.tokens.redeem(visit.tokenKey, credentials.token)
        if (attempt.over) return
        if (verdict !== 'ok') return this.#refuse(attempt, refusals['token-rejected'], WHY[verdict])
      }
      const connection = new Connection(door, visit.subject, address, performance.now())
      attempt.connection = connection
      connection.trace = attempt.traced?.context
      await this.#parts.bindings.join(connection, visit.source, visit.channels)
      if (attempt.over) return
      // Ended before it opened: so much was published meanwhile that its buffer was full.
      if (connection.phase !== Phase.accepting) return this.#refuse(attempt, refusals['at-capacity'])
      this.#complete(attempt)
    } catch (error) {
      if (attempt.over) return
      if (error instanceof RedisUnavailable) return this.#refuse(attempt, refusals['redis-unavailable'], error.message)
      this.#fault(error)
      this.#refuse(attempt, refusals['internal-error'])
    }
  }

  /** The 101, and what follows from it. */
  #complete(attempt: Attempt): void {
    const { res, connection, key, credentials, context, startedAt } = attempt
    this.#finish(attempt, 'accepted')
    const ws = upgradeCorked(res, key, credentials.protocol, context) as Socket | undefined
    if (ws === undefined) {
      this.#give(attempt)
      return this.#fault(new Error('uWebSockets.js closed a socket in its upgrade'))
    }
    connection!.ws = ws
    ws.connection = connection!
    this.#parts.opened(connection!)
    this.#parts.metrics.handshake.observe((performance.now() - startedAt) / 1000)
  }

  /** Ends an attempt once: its timer, and, when it did not lead to a socket, its place and its memberships. */
  #finish(attempt: Attempt, result: string): void {
    if (attempt.over) return
    attempt.over = true
    clearTimeout(attempt.timer)
    this.#pending.delete(attempt)
    this.#parts.metrics.connections.inc({ door: attempt.door.name, result })
    attempt.traced?.end(result, attempt.visit.subject)
    if (result !== 'accepted') this.#give(attempt)
  }

  #give(attempt: Attempt): void {
    this.#parts.limits.give(attempt.address)
    if (attempt.connection) this.#parts.bindings.leaveAll(attempt.connection)
  }

  #refuse(attempt: Attempt, refusal: Refusal, why?: string): void {
    if (attempt.over) return
    this.#finish(attempt, refusal.code)
    this.#logRefusal(attempt.door, attempt.address, refusal, why, attempt.visit.subject)
    respond(attempt.res, refusal)
  }

  #turnAway(door: Door, res: HttpResponse, address: string, refusal: Refusal, traced?: Traced): void {
    const { metrics } = this.#parts
    metrics.connections.inc({ door: door.name, result: refusal.code })
    if (refusal === refusals['connect-rate']) metrics.rateLimited.inc({ what: 'connect' })
    traced?.end(refusal.code)
    this.#logRefusal(door, address, refusal)
    respond(res, refusal)
  }

  #logRefusal(door: Door, remote: string, refusal: Refusal, why?: string, subject?: string): void {
    const { log } = this.#parts
    if (!log.isLevelEnabled('info')) return
    const conn = { door: door.name, [door.subjectName]: subject, remote }
    log.info({ event: 'refused', conn, code: refusal.code, why }, 'connection refused')
  }

  #fault(error: unknown): void {
    this.#parts.metrics.errors.inc({ type: 'internal' })
    this.#parts.log.error({ err: error }, 'fault during an upgrade')
  }
}
