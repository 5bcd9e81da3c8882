import { originRule } from '../config/origins.ts'
import { type Close, type Refusal, refusals } from '../contract/codes.ts'
import { respond } from '../http/refuse.ts'
import { clientAddress, ids, isUpgrade, listHeader } from '../http/request.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import { type HttpRequest, type HttpResponse, upgradeCorked, type us_socket_context_t } from '../platform/uws.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { SpanHandle, Tracing } from '../telemetry/tracing.ts'
import { type Credentials, offeredProtocol, readCredentials, type TokenStore, WHY } from './auth.ts'
import type { Bindings } from './bind.ts'
import { Connection, clockMs, Phase, type Socket } from './connection.ts'
import type { Admission, Door } from './door.ts'
import type { ConnectLimits } from './limits.ts'

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
  /** What the client offers, where the door takes it; uWebSockets.js chooses. */
  readonly extensions: string
  readonly address: string
  readonly admission: Admission
  readonly credentials: Credentials
  readonly startedAt: number
  readonly traced: SpanHandle | undefined
  connection: Connection | undefined
  over: boolean
}

/**
 * From an upgrade request to an open socket, or a refusal in HTTP: a flat list of checks that ask nobody, then the token, then the
 * subscription, then the 101. A place that was taken from the limits is given back on every way that does not end in a socket.
 */
export class Acceptor {
  readonly #parts: AcceptParts
  readonly #originAllowed = new Map<Door | undefined, (origin: string) => boolean>()
  readonly #pending = new Set<Attempt>()

  constructor(parts: AcceptParts) {
    this.#parts = parts
  }

  /** The upgrade handler of a door. uWebSockets.js takes the request away when this returns, so all of it is copied first. */
  upgrade(door: Door, res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    const startedAt = performance.now()
    const traced = this.#parts.tracing?.handshake(door.name, req.getHeader('traceparent'))
    let attempt: Attempt | undefined
    res.onAborted(() => attempt && this.#finish(attempt, 'aborted'))
    try {
      const address = clientAddress(res, req, this.#parts.options.trustProxy)
      const checked = this.#check(door, req) ?? this.#visit(door, req)
      const close = 'code' in checked ? door.refusalAsClose?.(checked) : undefined
      const refused = 'code' in checked && close === undefined ? checked : this.#parts.limits.take(address, startedAt)
      if (refused) return this.#turnAway(door, res, address, refused, traced)
      const key = req.getHeader('sec-websocket-key')
      if ('code' in checked) {
        const protocol = offeredProtocol(listHeader(req, 'sec-websocket-protocol'))
        traced?.end(checked.code)
        return this.#closeAtOnce(door, address, checked, close!, () => upgradeCorked(res, key, protocol, '', context))
      }
      const extensions = door.compressed ? listHeader(req, 'sec-websocket-extensions') : ''
      const { admission, credentials } = checked
      // Written out: the objects that spreads make have no shape that V8 knows beforehand, and each look at them costs.
      attempt = {
        door,
        res,
        context,
        key,
        extensions,
        address: this.#parts.limits.shared(address),
        admission,
        credentials,
        startedAt,
        traced,
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

  /** Refuses whoever waits for Redis for too long; to be called regularly. */
  sweep(now: number): void {
    for (const attempt of this.#pending) {
      // They are in the order in which they came.
      if (now - attempt.startedAt < this.#parts.options.handshakeTimeoutMs) return
      this.#refuse(attempt, refusals['redis-timeout'])
    }
  }

  /** Refuses whoever is still on the way in; for a drain. */
  refusePending(): void {
    for (const attempt of [...this.#pending]) this.#refuse(attempt, refusals.draining)
  }

  #check(door: Door, req: HttpRequest): Refusal | undefined {
    const header = (name: string) => req.getHeader(name)
    if (this.#parts.draining()) return refusals.draining
    if (header('sec-websocket-version') !== '13') return refusals['unsupported-version']
    if (!isUpgrade(req)) return refusals['malformed-request']
    if (!this.#originRule(door)(header('origin'))) return refusals['origin-not-allowed']
    return undefined
  }

  #originRule(door: Door): (origin: string) => boolean {
    const { allowedOrigins, requireOrigin } = this.#parts.options
    const key = door.allowedOrigins && door
    const rule = this.#originAllowed.get(key) ?? originRule(door.allowedOrigins ?? allowedOrigins, requireOrigin)
    this.#originAllowed.set(key, rule)
    return rule
  }

  #visit(door: Door, req: HttpRequest): { admission: Admission; credentials: Credentials } | Refusal {
    const query = req.getQuery() ?? ''
    const admission = door.admit(ids(door.shape, req), query)
    if ('code' in admission) return admission
    const protocol = listHeader(req, 'sec-websocket-protocol')
    const credentials: Credentials | Refusal =
      admission.tokenKey === undefined && admission.accepts === undefined
        ? { token: '', protocol: offeredProtocol(protocol) }
        : readCredentials(
            { authorization: req.getHeader('authorization'), protocol, query },
            this.#parts.options.allowQueryToken,
          )
    if ('code' in credentials) return credentials
    if (admission.accepts?.(credentials.token) === false) return refusals['token-rejected']
    return this.#parts.redisReady(admission.channels[0]!) ? { admission, credentials } : refusals['redis-unavailable']
  }

  async #handshake(attempt: Attempt): Promise<void> {
    const { door, admission, credentials, address } = attempt
    try {
      if (admission.tokenKey !== undefined) {
        const verdict = await this.#parts.tokens.redeem(admission.tokenKey, credentials.token)
        if (attempt.over) return
        if (verdict !== 'ok') return this.#refuse(attempt, refusals['token-rejected'], WHY[verdict])
      }
      const connection = new Connection(door, admission.subject, address, clockMs())
      attempt.connection = connection
      connection.agent = admission.agent
      connection.trace = attempt.traced?.context
      admission.onBound?.(connection)
      const { source, channels, also } = admission
      const join = (each: readonly string[]) => this.#parts.bindings.join(connection, source, each)
      // A topic that Redis does not let us listen to costs the client that topic; its door has told it.
      const joinAlso = (each: readonly string[]) =>
        join(each).catch((error: unknown) => {
          if (error instanceof RedisUnavailable) throw error
        })
      await (also === undefined ? join(channels) : Promise.all([join(channels), ...also.map(joinAlso)]))
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
    const ws = upgradeCorked(res, key, credentials.protocol, attempt.extensions, context) as Socket | undefined
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
    this.#pending.delete(attempt)
    this.#parts.metrics.connections.inc({ door: attempt.door.name, result })
    attempt.traced?.end(result, attempt.admission.subject)
    if (result !== 'accepted') this.#give(attempt)
  }

  #give(attempt: Attempt): void {
    this.#parts.limits.give(attempt.address)
    if (attempt.connection) this.#parts.bindings.leaveAll(attempt.connection)
  }

  #refuse(attempt: Attempt, refusal: Refusal, why?: string): void {
    if (attempt.over) return
    this.#finish(attempt, refusal.code)
    this.#logRefusal(attempt.door, attempt.address, refusal, why, attempt.admission.subject)
    respond(attempt.res, refusal)
  }

  #turnAway(door: Door, res: HttpResponse, address: string, refusal: Refusal, traced?: SpanHandle): void {
    const { metrics } = this.#parts
    metrics.connections.inc({ door: door.name, result: refusal.code })
    if (refusal === refusals['connect-rate']) metrics.rateLimited.connect++
    traced?.end(refusal.code)
    this.#logRefusal(door, address, refusal)
    respond(res, refusal)
  }

  /** Completes the upgrade only to close it. It has its place in the limits until the socket is gone, and joins nothing. */
  #closeAtOnce(door: Door, address: string, refusal: Refusal, close: Close, upgrade: () => unknown): void {
    this.#parts.metrics.connections.inc({ door: door.name, result: refusal.code })
    this.#logRefusal(door, address, refusal)
    const ws = upgrade() as Socket | undefined
    if (ws === undefined) return this.#parts.limits.give(address)
    const connection = new Connection(door, '', address, clockMs())
    connection.phase = Phase.ending
    connection.ws = ws
    ws.connection = connection
    ws.end(close.code, close.reason)
  }

  #logRefusal(door: Door, remote: string, refusal: Refusal, why?: string, subject?: string): void {
    const { log } = this.#parts
    if (!log.isLevelEnabled('info')) return
    const conn = { door: door.name, [door.subjectName]: subject, remote }
    log.info({ event: 'refused', conn, code: refusal.code, why }, 'connection refused')
  }

  #fault(error: unknown): void {
    this.#parts.metrics.error('internal')
    this.#parts.log.error({ err: error }, 'fault during an upgrade')
  }
}
