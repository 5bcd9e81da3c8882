import { randomBytes } from 'node:crypto'
import { acceptsJwts } from '../config/jwt.ts'
import type { FreshLogins } from '../config/logins.ts'
import { redisAddressOf } from '../config/redis-address.ts'
import type { Config } from '../config/table.ts'
import { Acceptor } from '../connection/accept.ts'
import type { JwtChecks } from '../connection/auth.ts'
import { Bindings } from '../connection/bind.ts'
import type { Connection } from '../connection/connection.ts'
import { Delivery } from '../connection/deliver.ts'
import { Closer } from '../connection/end.ts'
import { Keepalive } from '../connection/keepalive.ts'
import { LimitLog } from '../connection/limit-log.ts'
import { ConnectLimits } from '../connection/limits.ts'
import { Receiver } from '../connection/receive.ts'
import { Renewals } from '../connection/renewal.ts'
import { OpenSockets } from '../connection/sockets.ts'
import { clockMs } from '../connection/times.ts'
import { UnsentBytes } from '../connection/unsent.ts'
import { closes } from '../contract/codes.ts'
import { privateSession, runEvents, sessionDown } from '../contract/names.ts'
import { ClientAddresses, type ClientOf } from '../http/client-address.ts'
import { bufferBudget } from '../platform/memory.ts'
import { mostSockets } from '../platform/open-files.ts'
import type { Selectable } from '../platform/selection.ts'
import { RedisClient } from '../redis/client.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { Revocations } from './revocations.ts'

export interface CoreParts {
  readonly config: Config
  readonly redisUrl: string
  readonly logins: FreshLogins | undefined
  readonly metrics: Metrics
  readonly log: Logger
  /** Undefined: tracing is off. */
  readonly tracing?: Tracing | undefined
  readonly draining: () => boolean
  /** Undefined: no key of JWTs is configured. */
  readonly jwts?: JwtChecks | undefined
  /** Set with TRUST_PROXY=proxy-protocol: the relay knows the clients. */
  readonly clientOf?: ClientOf | undefined
}

/**
 * Called when messages may have been lost between two moments (ms since the epoch) on the channels
 * that `affects` names.
 */
export type GapListener = (from: number, to: number, affects: (channel: string) => boolean) => void

/**
 * Interval of the sweep over all sockets, and so the precision of each timeout of a socket and of a
 * handshake.
 */
const SWEEP_MS = 250
/** A sweep that is this late does not run any more. */
const SWEEP_LATE_MS = 4 * SWEEP_MS

/**
 * What all doors share: Redis and the stages of a connection, joined. It decides nothing about a
 * single socket.
 */
export class Core {
  readonly redis: RedisClient
  readonly bindings: Bindings
  readonly delivery: Delivery
  readonly sockets: OpenSockets
  readonly closer: Closer
  readonly receiver: Receiver
  readonly acceptor: Acceptor
  /** Undefined: no key of JWTs is configured. */
  readonly renewals: Renewals | undefined
  /** Undefined: there are neither tickets nor JWTs. */
  readonly revocations: Revocations | undefined
  readonly #keepalive: Keepalive
  readonly #jwts: JwtChecks | undefined
  readonly addresses: ClientAddresses
  readonly limits: ConnectLimits
  readonly #limitLog: LimitLog
  readonly #sweeping: NodeJS.Timeout
  #sweptAt = clockMs()
  /** Called when Redis, or a part of it, becomes ready: at the start and after each outage. */
  readonly onReady: (() => void)[] = []
  readonly onGap: GapListener[] = []

  constructor(parts: CoreParts) {
    const { config, metrics, log, tracing, draining, clientOf, jwts } = parts
    this.redis = this.#connect(parts)
    this.bindings = new Bindings(this.redis.feed)
    this.sockets = new OpenSockets(metrics, log)
    this.addresses = new ClientAddresses(config, clientOf)
    this.#limitLog = new LimitLog(log)
    const maxConnections = mostSockets(config)
    this.limits = new ConnectLimits({ ...config, maxConnections }, (exceeded, client, enforced) => {
      if (enforced) metrics.limitRefusals.inc({ limit: exceeded.limit })
      this.#limitLog.count(exceeded, client, enforced, clockMs())
    })
    const maxBytes = bufferBudget(config.maxBufferedBytes)
    const unsent = new UnsentBytes({ maxBytes, sockets: this.sockets, closer: () => this.closer, metrics, log })
    this.delivery = new Delivery(this.bindings, {
      maxBufferBytes: config.maxBufferBytes,
      maxDownBytes: config.maxDownMessageBytes,
      unsent,
      metrics,
      log,
      tooSlow: (connection) => this.closer.end(connection, closes.tooSlow),
    })
    const { bindings, sockets, delivery } = this
    const limits = this.limits
    const { slowCloseGraceMs } = config
    this.closer = new Closer({ slowCloseGraceMs, sockets, bindings, delivery, limits, metrics, log })
    this.#keepalive = new Keepalive({ options: config, sockets, delivery, closer: this.closer, metrics })
    this.receiver = new Receiver(this.closer, metrics, (address, now) => limits.pause(address, now))
    this.revocations = this.#revocations(parts)
    this.acceptor = new Acceptor({
      options: config,
      tokens: this.redis.tokens,
      jwts,
      isRevoked: this.revocations?.isRevoked,
      bindings,
      addresses: this.addresses,
      limits,
      metrics,
      log,
      tracing,
      redisReady: (channel) => this.redis.readyFor(channel),
      channelSuspect: (channel) => this.redis.suspects(channel),
      draining,
      opened: (connection) => this.closer.runGuarded(connection, this.#opened),
    })
    this.renewals =
      jwts &&
      new Renewals({
        options: config,
        jwts,
        isRevoked: (rights) => this.revocations!.set.hasJwt(rights),
        guard: (connection, work) => this.closer.runGuarded(connection, work),
        metrics,
        log,
      })
    this.#jwts = jwts
    metrics.auth.register(() => jwts?.source)
    this.#sweeping = setInterval(() => this.#sweep(), SWEEP_MS)
    metrics.register({
      channels: () => this.redis.feed.channels,
      held: () => this.redis.upstream.held,
    })
    metrics.onCollectorFailed((metric, reason) =>
      log.warn({ event: 'metric-failed', metric, reason }, 'the page of metrics was sent without this one'),
    )
    metrics.process.register({ droppedLogLines: () => log.droppedLines(), lostSpans: () => tracing?.lostSpans ?? 0 })
  }

  /** Stops the sweep: no socket is timed out any more. */
  stop(): void {
    clearInterval(this.#sweeping)
    this.revocations?.set.stop()
  }

  /**
   * Closes every open socket that `isSelected` names with 4403, within half a second, and refuses
   * such upgrades that are under way. Returns the number of both.
   */
  disconnect(isSelected: (client: Selectable) => boolean): number {
    let closed = this.acceptor.dismiss(isSelected)
    for (const connection of this.sockets) {
      if (isSelected(connection) && this.closer.endTogether(connection, closes.forbidden)) closed++
    }
    return closed
  }

  /** The keys of JWTs have changed: ends the sockets whose key was removed, after their notice. */
  keysChanged(): void {
    for (const connection of this.sockets) this.#judgeKey(connection)
  }

  #judgeKey(connection: Connection): void {
    const signedBy = connection.rights?.signedBy
    if (signedBy !== undefined && this.#jwts?.knows(signedBy) === false && !this.#jwts.isAway)
      this.#keepalive.keyRemoved(connection)
  }

  /** Whether the timer that looks at all sockets runs, measured by its last run. */
  get sweeping(): boolean {
    return clockMs() - this.#sweptAt < SWEEP_LATE_MS
  }

  #connect({ config, redisUrl, logins, metrics, log, tracing }: CoreParts): RedisClient {
    return new RedisClient({
      options: {
        ...config,
        url: redisUrl,
        logins,
        trials: trialsOf(config, redisAddressOf(redisUrl).database),
        afterTokenMs: config.authTokenMode === 'reusable' ? -1 : config.authReconnectGraceMs,
      },
      metrics,
      log,
      tracing,
      message: (wanted, payload, channel, batch) => this.delivery.message(wanted, payload, channel, batch),
      refused: (channel) => this.#forbidden(channel),
      ready: () => {
        for (const listener of this.onReady) listener()
      },
      gap: (...gap) => {
        for (const listener of this.onGap) listener(...gap)
      },
    })
  }

  /** Redis does not let the gateway listen to `channel`. */
  #forbidden(channel: string): void {
    const topic = this.bindings.find(channel)
    if (topic === undefined) return
    if (topic.source.refused) topic.source.refused(topic)
    else this.closer.endMembers(topic, closes.forbidden)
  }

  /** The upgrade is complete: what follows from it, in order. */
  readonly #opened = (connection: Connection): void => {
    this.sockets.add(connection)
    this.#keepalive.start(connection)
    this.delivery.flush(connection)
    connection.door.opened?.(connection)
    // The credential may have been revoked during the upgrade.
    this.revocations?.judge(connection)
    this.#judgeKey(connection)
  }

  #revocations({ config, metrics, log }: CoreParts): Revocations | undefined {
    if (config.resumeTicketTtlMs === 0 && !acceptsJwts(config)) return undefined
    const { sockets, redis } = this
    const revocations = new Revocations({ source: redis.revoked, sockets, closer: () => this.closer, log })
    const { authRevokedMax: limit } = config
    metrics.tickets.register(() => ({ entries: revocations.set.entries, limit, age: revocations.set.age }))
    // It may be another server.
    this.onReady.push(() => revocations.set.restart())
    return revocations
  }

  #sweep(): void {
    const now = clockMs()
    this.#sweptAt = now
    this.limits.sweep(now)
    this.#limitLog.sweep(now)
    this.acceptor.sweep(now)
    this.#keepalive.sweep()
  }
}

/** One channel of each kind that costs a client a token, of a session that no client uses. */
const trialsOf = ({ runAuth, runKeyPrefix }: Config, database: number): string[] => {
  const own = privateSession(randomBytes(8).toString('hex'))
  return [sessionDown(own), ...(runAuth === 'bearer' ? [runEvents(database, runKeyPrefix + own)] : [])]
}
