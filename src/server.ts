import { readFileSync } from 'node:fs'
import type { Config } from './config.ts'
import { Acceptor, type Door } from './connection/accept.ts'
import { Bindings } from './connection/bind.ts'
import { type Connection, Phase } from './connection/connection.ts'
import { Delivery } from './connection/deliver.ts'
import { Endings } from './connection/end.ts'
import { ConnectLimits } from './connection/limits.ts'
import { Receiver } from './connection/receive.ts'
import { closes } from './contract/codes.ts'
import { SessionDoor } from './doors/session.ts'
import { endpoints, type HttpParts, serve, serveRest } from './http.ts'
import type { Logger } from './log.ts'
import { Metrics } from './metrics.ts'
import { RedisClient } from './redis/client.ts'
import { listenExclusively, type TemplatedApp, type us_listen_socket, uWS, type WebSocketBehavior } from './uws.ts'

export interface GatewayOptions {
  readonly config: Config
  readonly redisUrl: string
  readonly log: Logger
}

/** A frame of a client may announce so many times the limit and still be read, so that the client gets its 1009; past it the connection is cut. */
const READ_FACTOR = 8
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
  readonly #apps: TemplatedApp[] = []
  readonly #listening: us_listen_socket[] = []
  readonly #cut = new AbortController()
  #draining = false
  #stopped: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const { config, redisUrl, log } = options
    const metrics = this.#metrics
    this.#options = options
    this.#redis = new RedisClient({
      options: {
        url: redisUrl,
        afterTokenMs: config.tokenMode === 'reusable' ? -1 : config.reconnectGraceMs,
        upstreamBufferMessages: config.upstreamBufferMessages,
        upstreamBufferBytes: config.upstreamBufferBytes,
      },
      metrics,
      log,
      message: (channel, payload) => delivery.message(channel, payload),
      gap: (from, to) => {
        for (const connection of this.#ends.open) if (connection.door === session) session.gap(connection, from, to)
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
    })
    this.#doors = [session]
    this.#ends = new Endings({ options: config, bindings, delivery, limits, metrics, log })
    this.#receiver = new Receiver(this.#ends, metrics)
    this.#acceptor = new Acceptor({
      options: config,
      tokens: this.#redis.tokens,
      bindings,
      limits,
      metrics,
      log,
      redisReady: () => this.#redis.ready,
      draining: () => this.#draining,
      opened: (connection) => this.#guard(connection, () => this.#ends.opened(connection)),
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
    const app = this.#app()
    for (const door of this.#doors) this.#mount(app, door)
    serve(app, probes, this.#fault)
    const adminApp = config.adminPort === undefined ? app : this.#app()
    serve(adminApp, admin, this.#fault)
    for (const each of this.#apps) serveRest(each, each === app ? this.#doors : [], this.#countRefusal)
    return {
      port: this.#listen(app, host, port),
      adminPort: config.adminPort === undefined ? undefined : this.#listen(adminApp, host, config.adminPort),
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
    for (const socket of this.#listening) uWS.us_listen_socket_close(socket)
    this.#acceptor.refusePending()
    if (!this.#redis.ready) this.#redis.upstream.refuseHeld()
    await Promise.race([this.#redis.upstream.settled(), this.#pause(SETTLE_MS)])
    const remainingMs = Math.max(0, deadline - performance.now())
    await this.#ends.drain(Math.min(config.drainWindowMs, remainingMs / 2), remainingMs, this.#cut.signal)
    await Promise.race([this.#redis.upstream.settled(), this.#pause(SETTLE_MS)])
    this.#ends.stop()
    this.#redis.close()
    for (const app of this.#apps) app.close()
    this.#metrics.stop()
    log.info({ event: 'drain-end' }, 'drained')
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

  #app(): TemplatedApp {
    const app = uWS.App()
    this.#apps.push(app)
    return app
  }

  #listen(app: TemplatedApp, host: string, port: number): number {
    let bound: us_listen_socket | false = false
    listenExclusively(app, host, port, (socket) => {
      bound = socket
    })
    if (!bound)
      throw new Error(`cannot listen on ${host}:${port}: the port is taken, or the address is not of this machine`)
    this.#listening.push(bound)
    return uWS.us_socket_local_port(bound)
  }

  #mount(app: TemplatedApp, door: Door): void {
    const behavior: WebSocketBehavior<{ connection: Connection }> = {
      maxPayloadLength: door.maxMessageBytes * READ_FACTOR,
      // Both are ours to watch: end.ts closes silent sockets with a code, deliver.ts bounds the buffer before uWebSockets.js sees a frame.
      idleTimeout: 0,
      sendPingsAutomatically: false,
      maxBackpressure: 0,
      upgrade: (res, req, context) => this.#acceptor.upgrade(door, res, req, context),
      // Nothing more may happen here: see Acceptor.
      open: (ws) => {
        ws.getUserData().connection.ws = ws
      },
      message: (ws, data, binary) =>
        this.#guard(ws.getUserData().connection, (connection) => this.#receiver.message(connection, data, binary)),
      ping: (ws) => this.#receiver.heard(ws.getUserData().connection),
      pong: (ws) => this.#receiver.heard(ws.getUserData().connection),
      drain: (ws) => this.#guard(ws.getUserData().connection, (connection) => this.#ends.drained(connection)),
      close: (ws, code) => this.#ends.closed(ws.getUserData().connection, code),
    }
    app.ws(door.pattern, behavior)
  }

  /** A fault of ours ends the socket that met it, with 1011, and nothing else. */
  #guard(connection: Connection, work: (connection: Connection) => void): void {
    try {
      work(connection)
    } catch (error) {
      this.#fault(error)
      this.#ends.end(connection, closes.internalError)
    }
  }

  #http(): HttpParts {
    return {
      pingRedis: (deadlineMs) => this.#redis.ping(deadlineMs),
      redisReady: () => this.#redis.ready,
      draining: () => this.#draining,
      sockets: () => this.#ends.open.size,
      version: { name: 'wsproxy', version: VERSION, node: process.version },
      metrics: async () => ({
        status: '200 OK',
        type: this.#metrics.registry.contentType,
        body: await this.#metrics.registry.metrics(),
      }),
      fault: this.#fault,
    }
  }

  readonly #fault = (error: unknown): void => {
    this.#metrics.errors.inc({ type: 'internal' })
    this.#options.log.error({ err: error }, 'fault in the gateway')
  }

  readonly #countRefusal = (door: Door, refusal: { code: string }): void => {
    this.#metrics.connections.inc({ door: door.name, result: refusal.code })
  };

  *#bufferedBytes(): Iterable<number> {
    for (const { ws, phase } of this.#ends.open) if (ws && phase !== Phase.closed) yield ws.getBufferedAmount()
  }
}

/** From the package that this file belongs to. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
