import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { RedisConnection, Target } from '../wire/connection.ts'
import { cannotSave, isReply } from '../wire/errors.ts'

/** `lost` was ready before; `closed` is for good. */
export type LinkState = 'connecting' | 'ready' | 'lost' | 'closed'

export interface LinkOptions<C extends RedisConnection> {
  /** Makes a connection that is not connected yet. */
  readonly open: (target: Target, name: string) => C
  readonly name: string
  /** Asked before each attempt to connect. */
  readonly target: () => Promise<Target>
  readonly metrics: Metrics
  readonly log: Logger
  /** Runs on each new connection before it counts as ready; when it throws, the connection is given up and another is made. */
  readonly prepare?: (client: C) => Promise<void>
  readonly ready: () => void
  readonly lost: () => void
  /** Grows with what arrives here: a connection that brings messages is alive, however far behind its answers are. */
  readonly progress?: () => number
}

/** How long a connection may take from its first packet until it is ready: a server that accepts may still say nothing. */
const START_TIMEOUT_MS = 4000
/** A PING goes out this often; a link with `MISSED_PINGS` of them unanswered is dead, whatever TCP says. */
const PING_MS = 1000
const MISSED_PINGS = 3
const FIRST_RETRY_MS = 50
const RETRY_BASE_MS = 100
const RETRY_MAX_MS = 5000

/**
 * The pause before the next attempt: at most 50 ms after the first failure, then doubling from 100 ms to 5 s with full jitter
 * over its upper half, so that instances do not come back together.
 */
export function backoffMs(failures: number, random: () => number): number {
  if (failures <= 1) return FIRST_RETRY_MS * random()
  return Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** (failures - 2)) * (0.5 + random() / 2)
}

/** Keeps one connection to Redis: connects, watches, and connects again for as long as the process lives. */
export class Link<C extends RedisConnection = RedisConnection> {
  readonly #options: LinkOptions<C>
  #state: LinkState = 'connecting'
  #client: C | undefined
  #address = ''
  #giveUp: (reason: Error) => void = () => {}
  #wake: () => void = () => {}
  /** Everything that Redis sent here before this moment (ms since the epoch) has arrived: when the last answered PING left, not when its answer came. */
  aliveAt = Date.now()

  constructor(options: LinkOptions<C>) {
    this.#options = options
    void this.#run()
  }

  get state(): LinkState {
    return this.#state
  }

  /** The connection. @throws RedisUnavailable when there is none at the moment. */
  get client(): C {
    if (this.#state !== 'ready') throw new RedisUnavailable(`the ${this.#options.name} connection is ${this.#state}`)
    return this.#client!
  }

  /** `host:port` of the server that was last tried. */
  get address(): string {
    return this.#address
  }

  /** Throws the connection away and makes another. */
  restart(reason: string): void {
    this.#giveUp(new Error(reason))
  }

  /** The server is there, as somebody else has found: the next attempt is made now, whatever the pause. */
  hurry(): void {
    this.#wake()
  }

  close(): void {
    this.#state = 'closed'
    this.#giveUp(new Error('closed'))
    this.#wake()
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
      log.warn({ event: 'redis-lost', link: name, reason: reason.message, failures, pauseMs }, 'no connection to Redis')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, pauseMs).unref()
      })
    }
  }

  /** The life of one connection; resolves with the reason for its end. */
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
      // A server that still loads its data takes connections, and answers this with an error.
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
      this.#tell(this.#options.ready)
      watch = this.#watch(client)
    }
    const reason = failed ?? (await ended)
    clearInterval(watch)
    // Before anybody learns what became of his command: he must not take it for ready.
    if (this.#state === 'ready') {
      this.#state = 'lost'
      this.#tell(this.#options.lost)
    }
    this.#client = undefined
    client.destroy()
    return reason
  }

  /** A server that hangs keeps its TCP connection. Ticks are counted, not time: when this process itself was blocked, that is no fault of Redis. */
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

  /** A fault of who is told must not be the end of the link: nobody would connect any more. */
  #tell(listener: () => void): void {
    try {
      listener()
    } catch (error) {
      this.#options.metrics.error('internal')
      this.#options.log.error({ err: error, link: this.#options.name }, 'fault of who was told of the connection')
    }
  }

  #closed(): boolean {
    return this.#state === 'closed'
  }
}

/** @throws what it says against it; that it cannot save is nothing against a server that is there. */
async function assertAnswers(client: RedisConnection): Promise<void> {
  await client.ping().catch((error) => {
    if (!cannotSave(error)) throw error
  })
}

/** A server that was just demoted still accepts connections, and Sentinels may not know it yet (Redis: guidelines for Sentinel clients, step 3). */
async function assertMaster(client: RedisConnection): Promise<void> {
  const role = await client.sendCommand<readonly unknown[]>(['ROLE']).catch((error) => {
    if (isReply(error)) return ['master'] // It forbids the question.
    throw error
  })
  const [what] = role
  if (String(what) !== 'master') throw new Error(`the server is a ${what}`)
}

export const addressOf = ({ host, port }: Target): string => `${host}:${port}`

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
