import type { Config } from './config.ts'
import { Acceptor, type Door } from './connection/accept.ts'
import { Bindings } from './connection/bind.ts'
import { Delivery } from './connection/deliver.ts'
import { Endings } from './connection/end.ts'
import { ConnectLimits } from './connection/limits.ts'
import { mount } from './connection/mount.ts'
import { Receiver } from './connection/receive.ts'
import { closes } from './contract/codes.ts'
import { sessionDown } from './contract/topics.ts'
import { FlowSignal } from './doors/flow.ts'
import { RunDoor } from './doors/run.ts'
import { SessionDoor } from './doors/session.ts'
import { type Answer, endpoints, type HttpParts, serve, serveRest } from './http.ts'
import type { Logger } from './log.ts'
import { Metrics } from './metrics.ts'
import { RedisClient } from './redis/client.ts'
import { type Checklist, weppChecklist } from './runs/checklist.ts'
import { RunWatches } from './runs/watch.ts'
import type { Tracing } from './tracing.ts'
import { Listeners } from './uws.ts'
import { VERSION } from './version.ts'

export interface GatewayOptions {
  readonly config: Config
  readonly redisUrl: string
  readonly log: Logger
  /** Undefined: off. */
  readonly tracing?: Tracing | undefined
  /** What the run door shows; by default that of WEPP runs. */
  readonly checklist?: Checklist
}

/** How long a run may take to be read. */
const RUN_READ_MS = 500
/** For the last commands and closes to leave the process. */
const SETTLE_MS = 1000

/**
 * The composition root: builds every part in order, joins them, and stops them in reverse under one deadline.
 * Nothing here decides anything about a single socket.
 */
export class Gateway {
  readonly #options: GatewayOptions
  readonly #metrics = new Metrics()
  readonly #redis: RedisClient
  readonly #ends: Endings
  readonly #receiver: Receiver
  readonly #acceptor: Acceptor
  readonly #doors: readonly Door[]
  readonly #listeners = new Listeners()
  readonly #flow: FlowSignal | undefined
  readonly #cut = new AbortController()
  #draining = false
  #stopped: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const { config, redisUrl, log, tracing } = options
    const metrics = this.#metrics
    this.#options = options
    this.#redis = new RedisClient({
      options: {
        ...config,
        url: redisUrl,
        afterTokenMs: config.tokenMode === 'reusable' ? -1 : config.reconnectGraceMs,
        sharded: config.shardedPubSub,
      },
      metrics,
      log,
      tracing,
      message: (wanted, payload, channel) => delivery.message(wanted, payload, channel),
      refused: (channel) => {
        for (const member of bindings.find(channel)?.members.slice() ?? []) this.#ends.end(member, closes.internalError)
      },
      ready: () => watches.refresh(),
      gap: (from, to, affects) => {
        for (const connection of this.#ends.open) {
          if (connection.door === session && affects(sessionDown(connection.subject))) session.gap(connection, from, to)
        }
      },
    })
    const bindings = new Bindings(this.#redis.feed)
    const limits = new ConnectLimits(config)
    const delivery = new Delivery(bindings, {
      maxBufferBytes: config.maxBufferBytes,
      metrics,
      log,
      tooSlow: (connection) => this.#ends.end(connection, closes.tooSlow),
    })
    this.#flow = config.sessionFlowSignal ? new FlowSignal(this.#redis.flow) : undefined
    const session = new SessionDoor({
      options: {
        upstream: config.sessionUpstream,
        maxMessageBytes: config.maxMessageBytes ?? 1024 * 1024,
        rate: config.sessionRate,
        rateBurst: config.sessionRateBurst,
        streamEndTimeoutMs: config.streamEndTimeoutMs,
        idleTimeoutMs: config.sessionIdleTimeoutMs,
      },
      upstream: this.#redis.upstream,
      metrics,
      enqueue: (connection, frame) => delivery.enqueue(connection, frame),
      flow: this.#flow,
    })
    const watches: RunWatches = new RunWatches({
      options: {
        readTimeoutMs: RUN_READ_MS,
        resyncMs: config.runResyncIntervalMs,
        maxRetries: config.runRedisMaxRetries,
      },
      checklist: options.checklist ?? weppChecklist,
      read: (runId) => this.#redis.hashes.read(runId),
      changed: (topic, frame) => run.changed(topic, frame),
      gaveUp: (topic) => {
        for (const member of topic.members.slice()) this.#ends.end(member, closes.redisGone)
      },
      fault: (runId, error) => {
        metrics.errors.inc({ type: 'run' })
        log.warn({ event: 'run-fault', run: runId, reason: error.message }, 'a run could not be read')
      },
    })
    const run = new RunDoor({
      options: {
        bearer: config.runAuth === 'bearer',
        database: databaseOf(redisUrl),
        maxMessageBytes: config.maxMessageBytes ?? 64 * 1024,
        pingIntervalMs: config.runPingIntervalMs,
        pongTimeoutMs: config.runPongTimeoutMs,
      },
      metrics,
      watches,
      enqueue: (connection, frame) => delivery.enqueue(connection, frame),
      unparseable: (connection) =>
        log.connection(connection).debug({ event: 'unparseable' }, 'a client frame is not JSON'),
    })
    this.#doors = [session, run]
    this.#ends = new Endings({ options: config, bindings, delivery, limits, metrics, log })
    this.#receiver = new Receiver(this.#ends, metrics)
    this.#acceptor = new Acceptor({
      options: config,
      tokens: this.#redis.tokens,
      bindings,
      limits,
      metrics,
      log,
      tracing,
      redisReady: (channel) => this.#redis.readyFor(channel),
      draining: () => this.#draining,
      opened: (connection) => this.#ends.guard(connection, () => this.#ends.opened(connection)),
    })
    metrics.channels = () => this.#redis.feed.channels
    metrics.held = () => this.#redis.upstream.held
    metrics.bufferedBytes = () => this.#bufferedBytes()
  }

  /** Starts to listen. @throws when an address is taken. Redis need not be there yet: until it is, upgrades are refused with 503. */
  listen(): { port: number; adminPort: number | undefined } {
    const { config } = this.#options
    const { host, port } = config.listen
    const { probes, admin } = endpoints(this.#http())
    const app = this.#listeners.app()
    const stages = { acceptor: this.#acceptor, receiver: this.#receiver, ends: this.#ends }
    for (const door of this.#doors) mount(app, door, stages)
    serve(app, probes, this.#fault)
    const adminApp = config.adminPort === undefined ? app : this.#listeners.app()
    serve(adminApp, admin, this.#fault)
    serveRest(app, this.#doors, this.#countRefusal)
    if (adminApp !== app) serveRest(adminApp, [], this.#countRefusal)
    return {
      port: this.#listeners.listen(app, host, port),
      adminPort: config.adminPort === undefined ? undefined : this.#listeners.listen(adminApp, host, config.adminPort),
    }
  }

  /** Whether Redis is there and all channels are subscribed. */
  get redisReady(): boolean {
    return this.#redis.ready
  }

  /**
   * Drains: not ready, no more upgrades, what was accepted is delivered, each socket gets its goodbye and 1001, stragglers are cut.
   * A second call cuts at once. Resolves when all is stopped.
   */
  stop(): Promise<void> {
    if (this.#stopped) this.#cut.abort()
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const { config, log } = this.#options
    const deadline = performance.now() + config.shutdownGraceMs
    this.#draining = true
    log.info({ event: 'drain-start', sockets: this.#ends.open.size }, 'draining')
    await this.#pause(config.drainDelayMs)
    this.#listeners.close()
    this.#acceptor.refusePending()
    if (!this.#redis.ready) this.#redis.upstream.refuseHeld()
    await Promise.race([this.#redis.upstream.settled(), this.#pause(SETTLE_MS)])
    const remainingMs = Math.max(0, deadline - performance.now())
    const cut = await this.#ends.drain(Math.min(config.drainWindowMs, remainingMs / 2), remainingMs, this.#cut.signal)
    this.#flow?.stop()
    const { upstream, flow } = this.#redis
    await Promise.race([Promise.all([upstream.settled(), flow.settled()]), this.#pause(SETTLE_MS)])
    this.#ends.stop()
    this.#redis.close()
    this.#listeners.stop()
    this.#metrics.stop()
    log.info({ event: 'drain-end', cut }, 'drained')
  }

  /** Waits, but not when the rest is to be cut at once. */
  async #pause(ms: number): Promise<void> {
    if (ms === 0 || this.#cut.signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#cut.signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #http(): HttpParts {
    return {
      pingRedis: (deadlineMs) => this.#redis.ping(deadlineMs),
      redisReady: () => this.#redis.ready,
      draining: () => this.#draining,
      sockets: () => this.#ends.open.size,
      version: { name: 'wsproxy', version: VERSION, node: process.version },
      metrics: this.#options.config.metricsEnabled ? () => this.#page() : undefined,
      fault: this.#fault,
    }
  }

  async #page(): Promise<Answer> {
    const { registry } = this.#metrics
    return { status: '200 OK', type: registry.contentType, body: await registry.metrics() }
  }

  readonly #fault = (error: unknown): void => {
    this.#metrics.errors.inc({ type: 'internal' })
    this.#options.log.error({ err: error }, 'fault in the gateway')
  }

  readonly #countRefusal = (door: Door, refusal: { code: string }): void => {
    this.#metrics.connections.inc({ door: door.name, result: refusal.code })
  };

  *#bufferedBytes(): Iterable<number> {
    for (const { ws } of this.#ends.open) if (ws) yield ws.getBufferedAmount()
  }
}

/** The number in the path of a Redis URL; 0 where there is none. */
const databaseOf = (redisUrl: string): number => Number(new URL(redisUrl).pathname.slice(1))
