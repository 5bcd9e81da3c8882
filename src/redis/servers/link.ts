import { asError, reasonOf } from '../../platform/reason.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { knownRemedy } from '../remedy.ts'
import type { RedisConnection, Target } from '../wire/connection.ts'
import { cannotSave, endsConnection, isReply } from '../wire/errors.ts'
import { backoffMs } from './backoff.ts'
import { Pings } from './pings.ts'
import { NotMaster, RoleQuestion, showsReplica } from './role.ts'

/** `lost`: it was ready before and reconnects. `closed`: it never connects again. */
export type LinkState = 'connecting' | 'ready' | 'lost' | 'closed'

export interface LinkOptions<C extends RedisConnection> {
  /** Creates a connection that is not connected yet. */
  readonly open: (target: Target, name: string) => C
  readonly name: string
  /** Called before each attempt to connect. */
  readonly target: () => Promise<Target>
  readonly metrics: Metrics
  readonly log: Logger
  /**
   * Prepares each new connection before it counts as ready. When it throws, the link makes another
   * connection.
   */
  readonly prepare?: (client: C) => Promise<void>
  readonly ready: () => void
  readonly lost: () => void
  /** The server is a replica; called before `lost`, and also for an attempt that finds one. */
  readonly demoted?: (reason: Error) => void
  /**
   * The server has said that it is still the master. Every reply that was read before this call
   * came from a master. Called while replies are read: it must be quick.
   */
  readonly proved?: () => void
  /**
   * A counter of received bytes. While it grows the connection is alive, however late its answers
   * are.
   */
  readonly progress?: () => number
}

/** Time from connecting to ready. A server can accept a connection and then never answer. */
const START_TIMEOUT_MS = 4000
/**
 * Time between pings. After `MISSED_PINGS` unanswered ones the link counts as lost, whatever TCP
 * says.
 */
const PING_MS = 1000
const MISSED_PINGS = 3
/** The longest pause while the address leads to a replica: a fail-over is soon over. */
const REPLICA_RETRY_MAX_MS = 500
/** Every failure is logged up to this one, and then at most one in so many ms. */
const LOGGED_FAILURES = 5
const LOG_MS = 1000

/** Keeps one connection to Redis: connects, pings, and reconnects until it is closed. */
export class Link<C extends RedisConnection = RedisConnection> {
  readonly #options: LinkOptions<C>
  #state: LinkState = 'connecting'
  #client: C | undefined
  #address = ''
  /** Why the last connection failed or ended. */
  #failure: Error | undefined
  #giveUp: (reason: Error) => void = () => {}
  #endPause: () => void = () => {}
  #loggedAt = 0
  /**
   * Everything that Redis sent before this moment (ms since the epoch) has arrived. It is when the
   * last answered PING was sent, not when its answer came.
   */
  aliveAt = Date.now()
  /**
   * The server was the master at this moment (ms since the epoch): when the last question for its
   * role was sent. Undefined: the server does not say its role.
   */
  masterAt: number | undefined
  readonly #pings = new Pings()
  /** When the connection became ready (ms since the epoch); 0 before. */
  readyAt = 0
  /** Changes whenever the server has said that it is still the master. */
  proof = 0

  constructor(options: LinkOptions<C>) {
    this.#options = options
    void this.#run()
  }

  get state(): LinkState {
    return this.#state
  }

  /** The ready connection. @throws RedisUnavailable in any other state, with the last failure. */
  get client(): C {
    if (this.#state !== 'ready')
      throw new RedisUnavailable(`the ${this.#options.name} connection is ${this.#state}`, { cause: this.#failure })
    return this.#client!
  }

  /** Sends a PING. @throws RedisUnavailable; the error reply. */
  ping(): Promise<void> {
    return this.#pings.send(this.client)
  }

  /** The round trip in ms, where PINGs of the last second show that the server answers in time. */
  roundTripMs(deadlineMs: number): number | undefined {
    return this.#pings.known(deadlineMs)
  }

  /** Why the last attempt to connect failed; undefined before it, and while the link is ready. */
  get failure(): Error | undefined {
    return this.#state === 'ready' ? undefined : this.#failure
  }

  /** Where the last attempt went: `host:port`, or the path of a socket. */
  get address(): string {
    return this.#address
  }

  /** Drops the connection and makes another one. */
  restart(reason: string | Error): void {
    this.#giveUp(toError(reason))
  }

  /**
   * Ends the pause: another link has just reached the same server, so the next attempt can be made
   * now.
   */
  hurry(): void {
    this.#endPause()
  }

  close(): void {
    this.#state = 'closed'
    this.#giveUp(new Error('closed'))
    this.#endPause()
  }

  async #run(): Promise<void> {
    const { metrics } = this.#options
    let failures = 0
    let failedAt = 0
    let everReady = false
    let reason: Error | undefined
    while (this.#state !== 'closed') {
      reason = await this.#live((proved) => {
        // A replica that does not say its role would be connected again and again without a pause.
        if (proved || !showsReplica(reason)) failures = 0
        if (everReady) metrics.redisReconnects.inc({ link: this.#options.name })
        everReady = true
      })
      if (this.#closed()) return
      failures++
      this.#failure = reason
      if (failures === 1) failedAt = performance.now()
      const backoff = backoffMs(failures, performance.now() - failedAt, Math.random)
      const pauseMs = Math.round(showsReplica(reason) ? Math.min(backoff, REPLICA_RETRY_MAX_MS) : backoff)
      metrics.error('redis')
      this.#logFailure(reason, failures, pauseMs)
      await new Promise<void>((resolve) => {
        this.#endPause = resolve
        setTimeout(resolve, pauseMs).unref()
      })
    }
  }

  #logFailure(reason: Error, failures: number, pauseMs: number): void {
    const { name, log } = this.#options
    const now = performance.now()
    if (failures > LOGGED_FAILURES && now - this.#loggedAt < LOG_MS) return
    this.#loggedAt = now
    const text = reasonOf(reason)
    const remedy = knownRemedy(text)
    log.warn(
      { event: 'redis-lost', link: name, reason: text, ...(remedy && { remedy }), failures, pauseMs },
      'no connection to Redis: trying again after the pause',
    )
  }

  /** Runs one connection from connecting to its end; resolves with the reason for the end. */
  async #live(becameReady: (proved: boolean) => void): Promise<Error> {
    const target = await this.#options.target().catch(toError)
    if (target instanceof Error || this.#closed()) return target instanceof Error ? target : new Error('closed')
    this.#address = addressOf(target)
    const client = this.#options.open(target, `wsproxy-${this.#options.name}`)
    const ended = new Promise<Error>((resolve) => {
      this.#giveUp = resolve
      client.on('error', resolve)
    })
    let preparedAt = 0
    let proved = false
    const role = new RoleQuestion()
    const started = (async () => {
      await client.connect()
      // A server that still loads its data accepts connections and answers PING with an error.
      await assertAnswers(() => this.#pings.send(client))
      preparedAt = Date.now()
      proved = await role.assertMaster(client)
      await this.#options.prepare?.(client)
    })()
    started.catch(this.#giveUp)
    const late = setTimeout(() => this.#giveUp(new Error(`not ready within ${START_TIMEOUT_MS} ms`)), START_TIMEOUT_MS)
    const failed = await Promise.race([started.then(() => undefined, toError), ended])
    clearTimeout(late)
    let watch: NodeJS.Timeout | undefined
    if (failed === undefined && !this.#closed()) {
      this.#client = client
      this.#state = 'ready'
      this.aliveAt = preparedAt
      this.readyAt = preparedAt
      this.masterAt = proved ? preparedAt : undefined
      this.proof++
      becameReady(proved)
      this.#options.log.info({ event: 'redis-ready', link: this.#options.name }, 'connected to Redis')
      this.#notify(this.#options.ready)
      watch = this.#watch(client, role)
    }
    const reason = failed ?? (await ended)
    clearInterval(watch)
    // Set the state before the waiting commands fail: their callers must not see the link as ready.
    if (this.#state === 'ready') {
      this.#state = 'lost'
      if (showsReplica(reason)) this.#notify(() => this.#options.demoted?.(reason))
      this.#notify(this.#options.lost)
    } else if (showsReplica(reason)) this.#notify(() => this.#options.demoted?.(reason))
    this.#client = undefined
    client.destroy()
    return reason
  }

  /**
   * Detects a hanging server, whose TCP connection stays. Counts ticks, not time: this process may
   * have been blocked.
   */
  #watch(client: RedisConnection, role: RoleQuestion): NodeJS.Timeout {
    let unanswered = 0
    const { progress = () => 0 } = this.#options
    let arrived = progress()
    return setInterval(() => {
      if (progress() !== arrived) unanswered = 0
      arrived = progress()
      if (unanswered >= MISSED_PINGS) return this.#giveUp(new Error(`no answer to ${MISSED_PINGS} pings`))
      unanswered++
      const sentAt = Date.now()
      const answered = () => {
        unanswered = 0
        this.aliveAt = sentAt
      }
      // A busy server answers PING with an error, and it still delivers messages.
      this.#pings.send(client).then(answered, (error) => {
        if (isReply(error) && !endsConnection(error)) answered()
      })
      role.ask(client, (is) => this.#heardRole(is, sentAt))
    }, PING_MS)
  }

  /**
   * A fail-over behind one address leaves the connection open: the old master lives on as a
   * replica, answers every PING, and clients that connect later reach the new master.
   */
  #heardRole(role: string | undefined, askedAt: number): void {
    if (role === undefined) return
    if (role !== 'master') return this.#giveUp(new NotMaster(role))
    this.masterAt = askedAt
    this.proof++
    this.#options.proved?.()
  }

  /** A throwing listener must not end the reconnect loop. */
  #notify(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.metrics.error('internal')
      this.#options.log.error({ err: asError(error), link: this.#options.name }, 'connection listener threw')
    }
  }

  #closed(): boolean {
    return this.#state === 'closed'
  }
}

/** @throws the error reply to PING, except MISCONF: a server that cannot save still serves. */
async function assertAnswers(ping: () => Promise<void>): Promise<void> {
  await ping().catch((error) => {
    if (!cannotSave(error)) throw error
  })
}

/** Where the server is: `host:port`, or the path of its socket. */
export const addressOf = ({ host, port, path }: Target): string => path ?? `${host}:${port}`

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
