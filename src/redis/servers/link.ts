import { asError, reasonOf } from '../../platform/reason.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RedisConnection, Target } from '../wire/connection.ts'
import { cannotSave, isReply } from '../wire/errors.ts'

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
const FIRST_RETRY_MS = 50
const RETRY_BASE_MS = 100
const RETRY_MAX_MS = 5000

/**
 * Returns the pause in ms before the next attempt: at most 50 ms after the first failure, then
 * doubling from 100 ms to 5 s. Jitter over the upper half keeps instances from reconnecting
 * together.
 */
export function backoffMs(failures: number, random: () => number): number {
  if (failures <= 1) return FIRST_RETRY_MS * random()
  return Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** (failures - 2)) * (0.5 + random() / 2)
}

/** Keeps one connection to Redis: connects, pings, and reconnects until it is closed. */
export class Link<C extends RedisConnection = RedisConnection> {
  readonly #options: LinkOptions<C>
  #state: LinkState = 'connecting'
  #client: C | undefined
  #address = ''
  #giveUp: (reason: Error) => void = () => {}
  #endPause: () => void = () => {}
  /**
   * Everything that Redis sent before this moment (ms since the epoch) has arrived. It is when the
   * last answered PING was sent, not when its answer came.
   */
  aliveAt = Date.now()

  constructor(options: LinkOptions<C>) {
    this.#options = options
    void this.#run()
  }

  get state(): LinkState {
    return this.#state
  }

  /** The ready connection. @throws RedisUnavailable in any other state. */
  get client(): C {
    if (this.#state !== 'ready') throw new RedisUnavailable(`the ${this.#options.name} connection is ${this.#state}`)
    return this.#client!
  }

  /** Where the last attempt went: `host:port`, or the path of a socket. */
  get address(): string {
    return this.#address
  }

  /** Drops the connection and makes another one. */
  restart(reason: string): void {
    this.#giveUp(new Error(reason))
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
    const { name, log, metrics } = this.#options
    let failures = 0
    let everReady = false
    while (this.#state !== 'closed') {
      const reason = await this.#live(() => {
        failures = 0
        if (everReady) metrics.redisReconnects.inc({ link: name })
        everReady = true
      })
      if (this.#closed()) return
      failures++
      const pauseMs = Math.round(backoffMs(failures, Math.random))
      metrics.error('redis')
      log.warn(
        { event: 'redis-lost', link: name, reason: reasonOf(reason), failures, pauseMs },
        'no connection to Redis: trying again after the pause',
      )
      await new Promise<void>((resolve) => {
        this.#endPause = resolve
        setTimeout(resolve, pauseMs).unref()
      })
    }
  }

  /** Runs one connection from connecting to its end; resolves with the reason for the end. */
  async #live(becameReady: () => void): Promise<Error> {
    const target = await this.#options.target().catch(toError)
    if (target instanceof Error || this.#closed()) return target instanceof Error ? target : new Error('closed')
    this.#address = addressOf(target)
    const client = this.#options.open(target, `wsproxy-${this.#options.name}`)
    const ended = new Promise<Error>((resolve) => {
      this.#giveUp = resolve
      client.on('error', resolve)
    })
    let preparedAt = 0
    const started = (async () => {
      await client.connect()
      // A server that still loads its data accepts connections and answers PING with an error.
      await assertAnswers(client)
      if (target.master) await assertMaster(client)
      preparedAt = Date.now()
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
      becameReady()
      this.#options.log.info({ event: 'redis-ready', link: this.#options.name }, 'connected to Redis')
      this.#notify(this.#options.ready)
      watch = this.#watch(client)
    }
    const reason = failed ?? (await ended)
    clearInterval(watch)
    // Set the state before the waiting commands fail: their callers must not see the link as ready.
    if (this.#state === 'ready') {
      this.#state = 'lost'
      this.#notify(this.#options.lost)
    }
    this.#client = undefined
    client.destroy()
    return reason
  }

  /**
   * Detects a hanging server, whose TCP connection stays. Counts ticks, not time: this process may
   * have been blocked.
   */
  #watch(client: RedisConnection): NodeJS.Timeout {
    let unanswered = 0
    const { progress = () => 0 } = this.#options
    let arrived = progress()
    return setInterval(() => {
      if (progress() !== arrived) unanswered = 0
      arrived = progress()
      if (unanswered >= MISSED_PINGS) return this.#giveUp(new Error(`no answer to ${MISSED_PINGS} pings`))
      unanswered++
      const sentAt = Date.now()
      assertAnswers(client).then(
        () => {
          unanswered = 0
          this.aliveAt = sentAt
        },
        () => {},
      )
    }, PING_MS)
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
async function assertAnswers(client: RedisConnection): Promise<void> {
  await client.ping().catch((error) => {
    if (!cannotSave(error)) throw error
  })
}

/**
 * A demoted master still accepts connections, and Sentinels may not know it yet (guidelines for
 * Sentinel clients, step 3).
 */
async function assertMaster(client: RedisConnection): Promise<void> {
  const role = await client.sendCommand<readonly unknown[]>(['ROLE']).catch((error) => {
    if (isReply(error)) return ['master'] // An ACL forbids ROLE.
    throw error
  })
  const [what] = role
  if (String(what) !== 'master') throw new Error(`the server is a ${what}, not the master`)
}

/** Where the server is: `host:port`, or the path of its socket. */
export const addressOf = ({ host, port, path }: Target): string => path ?? `${host}:${port}`

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
