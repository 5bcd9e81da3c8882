import { originRule } from '../config/origins.ts'
import { type Close, type Refusal, refusals } from '../contract/codes.ts'
import { respond } from '../http/refuse.ts'
import { clientAddress, isUpgrade, listHeader } from '../http/request.ts'
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
  readonly authAllowQueryToken: boolean
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

/** What the checks of an upgrade that need no Redis come to. */
type Verdict =
  | { readonly kind: 'proceed'; readonly admission: Admission; readonly credentials: Credentials }
  | { readonly kind: 'refuse'; readonly refusal: Refusal }
  /** Complete the upgrade, then close the socket: a browser shows a page no HTTP answer. */
  | { readonly kind: 'close'; readonly refusal: Refusal; readonly close: Close }

/** An upgrade that waits for Redis. */
interface Attempt {
  readonly door: Door
  readonly res: HttpResponse
  readonly context: us_socket_context_t
  readonly key: string
  /** The extensions that the client offers, if the door takes any. uWebSockets.js chooses. */
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
 * Leads an upgrade request to an open socket or to a refusal in HTTP: a flat list of checks that need no Redis, then the
 * token, then the subscription, then the 101. Every outcome without a socket gives the place in the limits back.
 */
export class Acceptor {
  readonly #parts: AcceptParts
  readonly #originAllowed = new Map<Door | undefined, (origin: string) => boolean>()
  readonly #pending = new Set<Attempt>()

  constructor(parts: AcceptParts) {
    this.#parts = parts
  }

  /** The upgrade handler of a door. uWebSockets.js reuses the request after this returns, so copy all of it first. */
  upgrade(door: Door, res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    const startedAt = performance.now()
    const traced = this.#parts.tracing?.handshake(door.name, req.getHeader('traceparent'))
    let attempt: Attempt | undefined
    res.onAborted(() => attempt && this.#finish(attempt, 'aborted'))
    try {
      const address = clientAddress(res, req, this.#parts.options.trustProxy)
      const verdict = this.#judge(door, req, address, startedAt)
      if (verdict.kind === 'refuse') return this.#refuseAtOnce(door, res, address, verdict.refusal, traced)
      const key = req.getHeader('sec-websocket-key')
      if (verdict.kind === 'close') {
        const protocol = offeredProtocol(listHeader(req, 'sec-websocket-protocol'))
        traced?.end(verdict.refusal.code)
        const complete = () => upgradeCorked(res, key, protocol, '', context)
        return this.#closeAtOnce(door, address, verdict.refusal, verdict.close, complete)
      }
      const extensions = door.compressed ? listHeader(req, 'sec-websocket-extensions') : ''
      const { admission, credentials } = verdict
      // Written out, without a spread: V8 does not know the shape of spread objects and is slow with them.
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
      return this.#refuseAtOnce(door, res, '', refusals['internal-error'], traced)
    }
    void this.#handshake(attempt)
  }

  /** Refuses the attempts that have waited for Redis for too long. The core calls it regularly. */
  sweep(now: number): void {
    for (const attempt of this.#pending) {
      // The set is in the order of arrival.
      if (now - attempt.startedAt < this.#parts.options.handshakeTimeoutMs) return
      this.#refuse(attempt, refusals['redis-timeout'])
    }
  }

  /** Refuses every attempt that is under way, when a drain begins. */
  refusePending(): void {
    for (const attempt of [...this.#pending]) this.#refuse(attempt, refusals.draining)
  }

  /** Takes a place in the limits unless it refuses. */
  #judge(door: Door, req: HttpRequest, address: string, now: number): Verdict {
    const checked = this.#checkRequest(door, req) ?? this.#admit(door, req)
    const close = checked.kind === 'refuse' ? door.refusalAsClose?.(checked.refusal) : undefined
    if (checked.kind === 'refuse' && close === undefined) return checked
    const refusal = this.#parts.limits.take(address, now)
    if (refusal) return { kind: 'refuse', refusal }
    return checked.kind === 'refuse' ? { kind: 'close', refusal: checked.refusal, close: close! } : checked
  }

  /** Returns undefined for a request that may go on. */
  #checkRequest(door: Door, req: HttpRequest): Extract<Verdict, { kind: 'refuse' }> | undefined {
    const header = (name: string) => req.getHeader(name)
    if (this.#parts.draining()) return refuse(refusals.draining)
    if (header('sec-websocket-version') !== '13') return refuse(refusals['unsupported-version'])
    if (!isUpgrade(req)) return refuse(refusals['malformed-request'])
    if (!this.#originRule(door)(header('origin'))) return refuse(refusals['origin-not-allowed'])
    return undefined
  }

  #originRule(door: Door): (origin: string) => boolean {
    const { allowedOrigins, requireOrigin } = this.#parts.options
    const key = door.allowedOrigins && door
    const rule = this.#originAllowed.get(key) ?? originRule(door.allowedOrigins ?? allowedOrigins, requireOrigin)
    this.#originAllowed.set(key, rule)
    return rule
  }

  /** Reads path, query and credentials. */
  #admit(door: Door, req: HttpRequest): Extract<Verdict, { kind: 'proceed' | 'refuse' }> {
    const query = req.getQuery() ?? ''
    const admission = door.admit(door.path.match(req.getUrl()) ?? [], query)
    if (admission.kind === 'refusal') return refuse(admission)
    const protocol = listHeader(req, 'sec-websocket-protocol')
    const needsToken = admission.tokenKey !== undefined || admission.accepts !== undefined
    const credentials: Credentials | Refusal = needsToken
      ? readCredentials(
          { authorization: req.getHeader('authorization'), protocol, query },
          this.#parts.options.authAllowQueryToken,
        )
      : { kind: 'credentials', token: '', protocol: offeredProtocol(protocol) }
    if (credentials.kind === 'refusal') return refuse(credentials)
    if (admission.accepts?.(credentials.token) === false) return refuse(refusals['token-rejected'])
    if (!this.#parts.redisReady(admission.redisChannel)) return refuse(refusals['redis-unavailable'])
    return { kind: 'proceed', admission, credentials }
  }

  async #handshake(attempt: Attempt): Promise<void> {
    const { door, admission, credentials, address } = attempt
    try {
      if (admission.tokenKey !== undefined) {
        const verdict = await this.#parts.tokens.redeem(admission.tokenKey, credentials.token)
        if (attempt.over) return
        if (verdict !== 'ok') return this.#refuse(attempt, refusals['token-rejected'], WHY[verdict])
      }
      const { subject, doorState } = admission
      const connection = new Connection(door, subject, address, clockMs(), doorState, attempt.traced?.context)
      attempt.connection = connection
      admission.onBound?.(connection)
      const joined = this.#join(connection, admission)
      await (admission.ready === undefined ? joined : Promise.all([joined, admission.ready()]))
      if (attempt.over) return
      // So much was published during the upgrade that the buffer is full.
      if (connection.phase !== Phase.accepting) return this.#refuse(attempt, refusals['at-capacity'])
      this.#complete(attempt)
    } catch (error) {
      if (attempt.over) return
      if (error instanceof RedisUnavailable) return this.#refuse(attempt, refusals['redis-unavailable'], error.message)
      this.#fault(error)
      this.#refuse(attempt, refusals['internal-error'])
    }
  }

  async #join(connection: Connection, { source, topics, topicsRequired }: Admission): Promise<void> {
    const join = (channels: readonly string[]) => this.#parts.bindings.join(connection, source, channels)
    if (topicsRequired) {
      await (topics.length === 1 ? join(topics[0]!) : Promise.all(topics.map(join)))
      return
    }
    // The door has told the client of a topic that Redis forbids; the socket opens without it.
    const joinIfAllowed = (channels: readonly string[]) =>
      join(channels).catch((error: unknown) => {
        if (error instanceof RedisUnavailable) throw error
      })
    await Promise.all(topics.map(joinIfAllowed))
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
    connection!.open(ws, clockMs())
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

  #refuseAtOnce(door: Door, res: HttpResponse, address: string, refusal: Refusal, traced?: SpanHandle): void {
    const { metrics } = this.#parts
    metrics.connections.inc({ door: door.name, result: refusal.code })
    if (refusal === refusals['connect-rate']) metrics.rateLimited.connect++
    traced?.end(refusal.code)
    this.#logRefusal(door, address, refusal)
    respond(res, refusal)
  }

  /** Completes the upgrade only to close the socket, which keeps its place in the limits until it is gone and joins no topic. */
  #closeAtOnce(door: Door, address: string, refusal: Refusal, close: Close, upgrade: () => unknown): void {
    this.#parts.metrics.connections.inc({ door: door.name, result: refusal.code })
    this.#logRefusal(door, address, refusal)
    const ws = upgrade() as Socket | undefined
    if (ws === undefined) return this.#parts.limits.give(address)
    new Connection(door, '', address, clockMs()).refuse(ws, close)
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

const refuse = (refusal: Refusal): Extract<Verdict, { kind: 'refuse' }> => ({ kind: 'refuse', refusal })
