import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Address } from '../config/kinds.ts'
import { redisAddressOf } from '../config/redis-address.ts'
import type { Door } from '../connection/door.ts'
import { drain } from '../connection/drain.ts'
import { mount } from '../connection/mount.ts'
import { clockMs } from '../connection/times.ts'
import { holdKeyPrefix } from '../contract/names.ts'
import type { Ports } from '../contract/workers.ts'
import { weppChecklist } from '../doors/run/checklist.ts'
import { type Rest, serveRest } from '../http/fallback.ts'
import { type Route, type Serving, serve } from '../http/routes.ts'
import type { ProxyRelay } from '../platform/proxy-relay.ts'
import { asError, reasonOf } from '../platform/reason.ts'
import { checkTls, type TlsFiles, tlsFiles, watchTls } from '../platform/tls.ts'
import { Listeners, type TemplatedApp } from '../platform/uws.ts'
import { Preflight } from '../preflight/preflight.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { Core } from './core.ts'
import { runDoor, sessionDoor } from './doors.ts'
import { streamDoor } from './durable-streams.ts'
import { liveDoor } from './live.ts'
import { callerOf, jwtChecks, loginCalls, ownPageOf } from './login.ts'
import { deniedCalls, operators } from './operators.ts'
import type { GatewayOptions } from './options.ts'
import { type OwnDoors, ownDoors } from './own-doors.ts'
import { sessionsOfAll } from './peers.ts'
import { redisAccess } from './redis-access.ts'
import { LISTENERS, listenOn, proxyRelay } from './relay.ts'
import { allRoutes } from './routes.ts'

/** How long a worker that is replaced still accepts upgrades on connections that it has, in ms. */
const HAND_OVER_MS = 1000
/** Longest wait for the last commands and closes to leave the process. */
const SETTLE_MS = 1000

/**
 * The composition root. It builds every part in order, joins them, and stops them in reverse order
 * under one deadline. It decides nothing about a single socket.
 */
export class Gateway {
  readonly #options: GatewayOptions
  readonly #metrics = new Metrics()
  readonly #core: Core
  #doors: readonly Door[]
  readonly #live: ReturnType<typeof liveDoor>
  readonly #sessions: ReturnType<typeof sessionDoor>
  readonly #streams: ReturnType<typeof streamDoor>
  readonly #preflight: Preflight
  readonly #admin: ReturnType<typeof operators>
  readonly #loginCalls: readonly Route[]
  readonly #listeners: Listeners
  /** Set with TRUST_PROXY=proxy-protocol: it takes the clients; the doors are on loopback. */
  readonly #relay: ProxyRelay | undefined
  #inner: Address | undefined
  #routes: { probes: Route[]; rest: Route[] } | undefined
  #unwatch = () => {}
  readonly #releasePrefix: () => void
  readonly #cut = new AbortController()
  #draining = false
  /** Undefined: it does not listen yet. */
  #ports: Ports | undefined
  #stopped: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    const { config, redisUrl, logins, log, tracing, jwts, login, checklist = weppChecklist } = options
    const metrics = this.#metrics
    this.#options = options
    this.#listeners = new Listeners(tlsFiles(config))
    this.#releasePrefix = holdKeyPrefix(config.redisKeyPrefix)
    const relay = proxyRelay(config, metrics, log)
    this.#relay = relay
    const clientOf = relay && ((peer: string) => relay.clientOf(peer))
    const draining = () => this.#draining
    const verifier = jwtChecks(jwts, login)
    this.#core = new Core({ config, redisUrl, logins, metrics, log, tracing, jwts: verifier, draining, clientOf })
    jwts?.onChange(() => this.#core.keysChanged())
    const parts = { config, core: this.#core, metrics, log, draining }
    this.#admin = operators(config.adminToken, metrics, log, callerOf(options, this.#core))
    this.#loginCalls = loginCalls(login, parts)
    this.#preflight = new Preflight({
      ...parts,
      loaded: options.preflight ?? { checks: [] },
      redis: redisAccess(this.#core),
      redisUrl,
      loopbackSecret: options.sharing?.secret,
      workers: options.sharing?.workers,
      sockets: () => this.#core.sockets.size,
      unknownProxies: () => this.#core.addresses.unknownProxies(clockMs()),
      keySet: async () => jwts?.verifier.source,
      notReadyReason: () => (this.#draining ? 'draining' : this.#core.redis.outage),
    })
    this.#core.onReady.push(() => this.#preflight.redisBack())
    this.#sessions = sessionDoor(parts, verifier)
    const session = this.#sessions.door
    const operated = { admin: this.#admin, jwts: verifier, fault: this.#fault }
    this.#streams = streamDoor({ ...parts, ...this.#sessions, ...operated })
    const run = config.runDoor ? [runDoor(parts, checklist, redisAddressOf(redisUrl).database)] : []
    this.#live = liveDoor({
      ...parts,
      admin: this.#admin,
      jwts: verifier,
      sessionsByAgent: () => sessionsOfAll(options.sharing?.peers, this.#sessionsByAgent),
      health: () => this.#preflight.health(),
      isOperator: (request) => !config.wsAuthRequired || this.#admin.authorize(request, 'viewer') === undefined,
    })
    // The first door whose path matches gets the request: `/live` could be the path of a run as
    // well.
    const { streams } = this.#sessions
    this.#doors = [...this.#live.doors, session, ...(streams ? [streams.door] : []), ...run]
  }

  /**
   * Adds doors of the caller, before `listen`; their paths come first. @throws what `make` throws,
   * and an Error for a name or a path that another door has.
   */
  addDoors(make: OwnDoors): void {
    const parts = { config: this.#options.config, core: this.#core, metrics: this.#metrics, log: this.#options.log }
    this.#doors = [...ownDoors(parts, make, this.#doors), ...this.#doors]
  }

  /**
   * Starts to listen and returns the ports. Until Redis is ready, upgrades are refused with 503.
   * @param others the ports of workers that listen already: this one joins them.
   * @throws when an address is taken.
   */
  listen(others?: Ports): { port: number; adminPort: number | undefined } {
    const { config, sharing } = this.#options
    const { host } = config.listenAddr
    if (sharing) this.#listeners.sharing = others ? 'joins' : 'first'
    const tls = tlsFiles(config)
    // Before the apps read the files: a change in between must count as one.
    if (tls) this.#unwatch = watchTls(tls, () => this.#renew(tls), this.#notRenewed)
    const { app, adminApp } = this.#apps()
    const at = { host, port: others?.port ?? config.listenAddr.port }
    const { port: listening, inner } = listenOn(this.#listeners, this.#relay, app, at, LISTENERS)
    this.#inner = inner
    this.#preflight.loopback.listening(listening)
    const adminPort = adminApp && this.#listeners.listen(adminApp, host, config.adminPort!)
    this.#ports = { port: listening, adminPort }
    return { port: listening, adminPort }
  }

  /** Makes the app of the doors, and that of the admin port when there is one, with all routes. */
  #apps(): { app: TemplatedApp; adminApp: TemplatedApp | undefined } {
    const app = this.#listeners.app()
    for (const door of this.#doors) mount(app, door, this.#core)
    for (const each of [this.#streams, this.#preflight]) each.mount(app)
    const adminApp = this.#options.config.adminPort === undefined ? undefined : this.#listeners.app()
    const serving: Serving = {
      admin: this.#admin,
      addresses: this.#core.addresses,
      fault: this.#fault,
      ownPage: ownPageOf(this.#options),
      denied: deniedCalls(this.#metrics, this.#options.log),
      acted: (action) => this.#options.log.info({ event: 'admin-action', ...action }, 'an operator made a call'),
    }
    this.#routes ??= allRoutes(this.#options, {
      core: this.#core,
      metrics: this.#metrics,
      preflight: this.#preflight,
      admin: this.#admin,
      live: this.#live,
      loginCalls: this.#loginCalls,
      sessionsByAgent: this.#sessionsByAgent,
    })
    serve(app, this.#routes.probes, serving)
    serve(app, this.#sessions.streams?.routes ?? [], serving)
    serve(adminApp ?? app, this.#routes.rest, serving)
    const unknown: Rest<Door>['unknown'] = (...request) => this.#core.acceptor.unknown(...request)
    serveRest(app, this.#doors, { counted: this.#countRefusal, unknown })
    if (adminApp) serveRest(adminApp, [], { counted: this.#countRefusal, unknown })
    return { app, adminApp }
  }

  /**
   * Takes the changed certificate into use: new apps listen on the same ports, then the old
   * listeners close. Open sockets stay on the old apps.
   */
  #renew(tls: TlsFiles): void {
    if (this.#draining || this.#ports === undefined) return
    const { adminPort } = this.#ports
    const { host } = this.#options.config.listenAddr
    const certificate = checkTls(tls)
    const { app, adminApp } = this.#apps()
    const closeOld = this.#listeners.succeed([
      { app, ...this.#inner!, listeners: LISTENERS },
      ...(adminApp ? [{ app: adminApp, host, port: adminPort!, listeners: 1 }] : []),
    ])
    // As in a drain: connections still in the accept queue of the old listeners would be reset. One
    // that comes between the last turn and the close still is; its client connects again.
    void (async () => {
      for (let turn = 0; turn < 3; turn++) await setImmediate()
      closeOld()
      this.#options.log.info({ event: 'certificate-renewed', ...certificate }, 'every listener has the new certificate')
    })()
  }

  readonly #notRenewed = (error: Error): void => {
    this.#options.log.warn(
      { event: 'certificate-refused', reason: reasonOf(error) },
      'the changed certificate cannot be used; the old one stays',
    )
  }

  /** Whether Redis is ready and all channels are subscribed. */
  get redisReady(): boolean {
    return this.#core.redis.ready
  }

  /** Why Redis cannot be reached, with what mends it; undefined where no attempt has failed. */
  get redisFailure(): string | undefined {
    return this.#core.redis.failure
  }

  /**
   * Drains and stops: reports not ready, refuses upgrades, delivers what was accepted, closes each
   * socket with its goodbye and 1001, and cuts the stragglers. A second call cuts all sockets at
   * once. Resolves when everything has stopped.
   */
  stop(): Promise<void> {
    if (this.#stopped) this.#cut.abort()
    this.#stopped ??= this.#stop(false)
    return this.#stopped
  }

  /**
   * As `stop`, for a worker whose successor listens on the same port: it closes its listener first,
   * and refuses no upgrade.
   */
  retire(): Promise<void> {
    this.#stopped ??= this.#stop(true)
    return this.#stopped
  }

  async #stop(isReplaced: boolean): Promise<void> {
    const { config, log } = this.#options
    const { redis, sockets, closer, acceptor } = this.#core
    const deadline = performance.now() + config.shutdownGracePeriodMs
    this.#draining = !isReplaced
    this.#unwatch()
    this.#options.jwts?.stop()
    log.info({ event: 'drain-start', sockets: sockets.size }, 'draining')
    // A gateway that does not listen is at no balancer, which would need the delay.
    if (!isReplaced && this.#ports) await this.#pause(config.drainDelayMs)
    await this.#relay?.close()
    // Closing the listener resets connections still in the accept queue: run three loop turns so
    // that they are accepted, read, and refused with 503.
    for (let turn = 0; turn < 3; turn++) await setImmediate()
    this.#listeners.close()
    // Connections that were accepted send their upgrade, and get it.
    if (isReplaced) await this.#pause(HAND_OVER_MS)
    this.#draining = true
    acceptor.refusePending()
    redis.upstream.drain()
    await Promise.race([Promise.all([redis.upstream.settled(), this.#streams.stop()]), this.#pause(SETTLE_MS)])
    const remainingMs = Math.max(0, deadline - performance.now())
    const cut = await drain(sockets, closer, {
      windowMs: Math.min(config.drainWindowMs, remainingMs / 2),
      graceMs: remainingMs,
      cut: this.#cut.signal,
    })
    this.#sessions.stop()
    await Promise.race([Promise.all([redis.upstream.settled(), this.#sessions.settled()]), this.#pause(SETTLE_MS)])
    this.#core.stop()
    await this.#preflight.stop(redis.ready && !this.#cut.signal.aborted ? SETTLE_MS : 0)
    this.#live.stop()
    redis.close()
    this.#listeners.stop()
    await this.#relay?.stop()
    if (this.#options.sharing) await this.#options.sharing.peers.last(await this.#metrics.page())
    this.#metrics.stop()
    this.#releasePrefix()
    log.info({ event: 'drain-end', cut }, 'drained')
  }

  /** Waits `ms`, or until a second `stop` cuts the sockets. */
  async #pause(ms: number): Promise<void> {
    if (ms > 0) await setTimeout(ms, undefined, { signal: this.#cut.signal }).catch(() => {})
  }

  /** Counts an unexpected error that the process caught outside the gateway. */
  fault(): void {
    this.#metrics.error('internal')
  }

  readonly #sessionsByAgent = () => this.#sessions.door.countByAgent(this.#core.sockets)

  readonly #fault = (error: unknown): void => {
    this.fault()
    this.#options.log.error({ err: asError(error) }, 'unexpected error in the gateway')
  }

  readonly #countRefusal = (door: Door, refusal: { code: string }): void => {
    this.#metrics.connections.inc({ door: door.name, result: refusal.code })
  }
}
