import { upgradeResults } from '../contract/codes.ts'
import {
  ADMIN_RESULTS,
  ERROR_TYPES,
  type ErrorType,
  GAP_REASONS,
  type GapReason,
  LIMIT_NAMES,
  LOSS_REASONS,
  type LossReason,
  PROXY_HEADERS,
} from '../contract/reasons.ts'
import { AuthMetrics } from './auth.ts'
import { FixedHistogram } from './histogram.ts'
import { LiveMetrics } from './live.ts'
import { ProcessMetrics } from './process.ts'
import { Counter, type CounterConfiguration, Gauge, Histogram, type Metric, Registry } from './prometheus.ts'
import { Scrape } from './scrape.ts'
import { SessionMetrics } from './sessions.ts'
import { StreamMetrics } from './streams.ts'
import { TicketMetrics } from './tickets.ts'
import { UserMetrics } from './users.ts'

/**
 * Counts of one door. They rise a million times a second, so they are plain numbers that a scrape
 * reads.
 */
export interface DoorStats {
  framesOut: number
  bytesOut: number
  /** Frames dropped because the send buffer was full. */
  dropped: number
  framesIn: number
  bytesIn: number
  /** Client frames dropped because they were over the rate. */
  overRate: number
  active: number
}

/** Values that other parts of the gateway keep. The registry reads them at each scrape. */
export interface Readings {
  /** Channels that Redis has confirmed. */
  readonly channels: () => number
  /** Client frames held until Redis is back. */
  readonly held: () => number
}

const PREFIX = 'wsproxy_'
const SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const CHECK_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const BYTES = [0, 1, 16, 64, 256, 1024, 2048, 4096, 8192, 16384].map((kib) => kib * 1024)
/** The two connections that the gateway keeps to each Redis server. */
const REDIS_LINKS = ['commands', 'subscriber']

/** All metrics, by their Prometheus names. Each gateway has one instance. No label holds an id. */
export class Metrics {
  readonly registry = new Registry()
  readonly received = { redis: 0, client: 0 }
  readonly live = new LiveMetrics(this.registry)
  readonly sessions = new SessionMetrics(this.registry)
  readonly streams = new StreamMetrics(this.registry)
  readonly tickets = new TicketMetrics(this.registry)
  readonly auth = new AuthMetrics(this.registry)
  readonly process = new ProcessMetrics(this.registry)
  readonly users = new UserMetrics(this.registry)
  readonly #scrape = new Scrape(this.registry)
  #collectorFailed: (metric: string, reason: string) => void = () => {}
  readonly #doors = new Map<string, DoorStats>()
  #readings: Readings = { channels: () => 0, held: () => 0 }

  readonly connections = this.#counter(
    'connections_total',
    'Upgrades by outcome: accepted, aborted, or the refusal code',
    ['door', 'result'],
  )
  readonly limitRefusals = this.#counter('limit_refusals_total', 'Upgrades that a limit refused', ['limit'])
  readonly adminCalls = this.#counter('admin_calls_total', 'Requests with an admin token', ['result'])
  readonly proxyHeaders = this.#counter('proxy_headers_total', 'Connections by their PROXY header', ['result'])
  readonly disconnections = this.#counter('disconnections_total', 'Closed sockets by close code', ['door', 'code'])
  readonly #errors = this.#counter('errors_total', 'Faults by kind', ['type'])
  readonly backpressure = this.#counter(
    'backpressure_events_total',
    'Sockets whose send buffer passed 80 % (warning) or was full',
    ['stage'],
  )
  /** Plain numbers: a client that floods raises them 100,000 times a second. */
  readonly rateLimited = { connect: 0, frame: 0, bytes: 0 }
  readonly #lost = new Map<LossReason, number>(LOSS_REASONS.map((reason) => [reason, 0]))
  readonly #gaps = this.#counter('gaps_total', 'Intervals in which messages may have been lost', ['reason'])
  readonly redisReconnects = this.#counter(
    'redis_reconnects_total',
    'Connections to Redis that were lost and made again',
    ['link'],
  )
  readonly canariesLost = this.#counter('redis_canaries_lost_total', 'Canaries that did not come back in time', [])
  readonly canary = new Histogram({
    name: `${PREFIX}redis_canary_seconds`,
    help: 'From the publication of a canary to its return',
    buckets: SECONDS,
    registers: [this.registry],
  })
  /** Client frames published with no subscriber: a plain number too. */
  publishedToNobody = 0
  readonly keyspaceMissing = this.#gauge(
    'redis_keyspace_events_missing',
    'Whether notify-keyspace-events lacks K or h, which the run door needs: 1 or 0',
    [],
  )
  readonly redisUp = this.#gauge('redis_up', 'Whether Redis is there: 1 or 0', [])
  readonly handshake = new Histogram({
    name: `${PREFIX}handshake_seconds`,
    help: 'From the upgrade request to the 101',
    buckets: SECONDS,
    registers: [this.registry],
  })
  readonly preflightRuns = this.#counter('preflight_runs_total', 'Preflight runs by outcome: pass, warn or fail', [
    'mode',
    'event_type',
    'result',
  ])
  readonly preflightFailures = this.#counter('preflight_failures_total', 'Preflight checks that failed', ['check'])
  readonly preflightUnrecorded = this.#counter(
    'preflight_unrecorded_total',
    'Preflight reports that could not be recorded',
    [],
  )
  readonly preflightChecks = new Histogram({
    name: `${PREFIX}preflight_check_duration_seconds`,
    help: 'How long a preflight check took',
    labelNames: ['check'],
    buckets: CHECK_SECONDS,
    registers: [this.registry],
  })
  readonly latency = new FixedHistogram(
    `${PREFIX}message_latency_seconds`,
    'From the arrival of a message from Redis to its hand-over to the socket',
    SECONDS,
  )
  /** Changed when bytes of a socket begin or cease to wait, so that a scrape asks no socket. */
  readonly buffered = new FixedHistogram(
    `${PREFIX}buffer_utilization_bytes`,
    'Unsent bytes of the open sockets, at this moment',
    BYTES,
  )
  /** Sockets closed because all together held too many unsent bytes. */
  budgetCloses = 0

  constructor() {
    this.registry.registerMetric(this.latency as unknown as Metric)
    this.#beginAtZero()
    this.#scraped('messages_received_total', 'Messages received', ['source'], () => [
      [{ source: 'redis' }, this.received.redis],
      [{ source: 'client' }, this.received.client],
    ])
    this.#scraped('messages_sent_total', 'Frames handed to sockets', ['door'], () =>
      this.#byDoor((door) => door.framesOut),
    )
    this.#scraped('bytes_sent_total', 'Payload bytes handed to sockets', ['door'], () =>
      this.#byDoor((door) => door.bytesOut),
    )
    this.#scraped('rate_limited_total', 'Upgrades and client frames over a rate limit', ['what'], () =>
      Object.entries(this.rateLimited).map(([what, count]) => [{ what }, count]),
    )
    this.#scraped('upstream_unheard_total', 'Client frames published with no subscriber', [], () => [
      [{}, this.publishedToNobody],
    ])
    this.#scraped('lost_messages_total', 'Messages that did not reach their receiver', ['reason'], () =>
      [...this.#lost].map(([reason, count]) => [{ reason }, count]),
    )
    this.#scraped('buffer_budget_closes_total', 'Sockets closed because MAX_BUFFERED_BYTES was exceeded', [], () => [
      [{}, this.budgetCloses],
    ])
    this.#gauge('active_connections', 'Open sockets', ['door'], (gauge) => {
      for (const [door, { active }] of this.#doors) gauge.set({ door }, active)
    })
    this.#gauge('redis_pubsub_channels_active', 'Channels that Redis has confirmed', [], (gauge) =>
      gauge.set(this.#readings.channels()),
    )
    this.#gauge('upstream_held_messages', 'Client frames held until Redis is back', [], (gauge) =>
      gauge.set(this.#readings.held()),
    )
    this.registry.registerMetric(this.buffered as unknown as Metric)
  }

  /**
   * Prometheus' `increase()` misses a series whose first sample is already 1, so every series
   * starts at 0.
   */
  #beginAtZero(): void {
    for (const reason of GAP_REASONS) this.#gaps.inc({ reason }, 0)
    // Upgrades on paths that no door has.
    this.connections.inc({ door: 'none', result: 'not-found' }, 0)
    for (const result of ADMIN_RESULTS) this.adminCalls.inc({ result }, 0)
    for (const result of PROXY_HEADERS) this.proxyHeaders.inc({ result }, 0)
    for (const limit of LIMIT_NAMES) this.limitRefusals.inc({ limit }, 0)
    for (const type of ERROR_TYPES) this.#errors.inc({ type }, 0)
    for (const stage of ['warning', 'full']) this.backpressure.inc({ stage }, 0)
    for (const link of REDIS_LINKS) this.redisReconnects.inc({ link }, 0)
  }

  /** Counts one error of the given part of the gateway. */
  error(type: ErrorType): void {
    this.#errors.inc({ type })
  }

  /** Says where values of `Readings` are read. A value that no part has registered is 0. */
  register(readings: Partial<Readings>): void {
    this.#readings = { ...this.#readings, ...readings }
  }

  /** Says what is called when a metric begins to have no value for a scrape. */
  onCollectorFailed(listener: (metric: string, reason: string) => void): void {
    this.#collectorFailed = listener
  }

  /** All metrics in the Prometheus text format, without those that have no value. */
  page(): Promise<string> {
    return this.#scrape.page((metric, reason) => {
      this.error('metrics')
      this.#collectorFailed(metric, reason)
    })
  }

  /** Counts messages that did not reach their receiver. */
  lose(reason: LossReason, messages = 1): void {
    this.#lost.set(reason, (this.#lost.get(reason) ?? 0) + messages)
  }

  /** Counts an interval in which messages may have been lost. */
  gap(reason: GapReason): void {
    this.#gaps.inc({ reason })
  }

  /** The counts of one door. The first call makes them, and starts its upgrade results at 0. */
  door(name: string): DoorStats {
    const known = this.#doors.get(name)
    if (known !== undefined) return known
    const stats = { framesOut: 0, bytesOut: 0, dropped: 0, framesIn: 0, bytesIn: 0, overRate: 0, active: 0 }
    this.#doors.set(name, stats)
    this.auth.begin(name)
    for (const result of upgradeResults) this.connections.inc({ door: name, result }, 0)
    return stats
  }

  /** Starts the failures of these preflight checks at 0. */
  checks(names: Iterable<string>): void {
    for (const check of names) this.preflightFailures.inc({ check }, 0)
  }

  /** The counts of all doors. */
  doors(): DoorStats[] {
    return [...this.#doors.values()]
  }

  /** Stops the measuring. */
  stop(): void {
    this.process.stop()
    this.registry.clear()
  }

  #byDoor(pick: (stats: DoorStats) => number): [object, number][] {
    return [...this.#doors].map(([door, stats]) => [{ door }, pick(stats)])
  }

  #counter<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    collect?: CounterConfiguration<L>['collect'],
  ) {
    return new Counter<L>({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [this.registry],
      ...(collect && { collect }),
    })
  }

  /** A counter whose values are read at each scrape. */
  #scraped<L extends string>(name: string, help: string, labelNames: L[], read: () => [object, number][]): void {
    this.#counter(name, help, labelNames, function collect() {
      this.reset()
      for (const [labels, value] of read()) this.inc(labels, value)
    })
  }

  #gauge<L extends string>(name: string, help: string, labelNames: L[], collect?: (gauge: Gauge<L>) => void) {
    const gauge: Gauge<L> = new Gauge<L>({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [this.registry],
      ...(collect && { collect: () => collect(gauge) }),
    })
    return gauge
  }
}
