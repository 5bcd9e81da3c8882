/** All clients of the bench. Connects them with bounded concurrency and knows which are open. */
import { createHistogram } from 'node:perf_hooks'
import { Client, type ClientOwner, type Door } from './client.ts'
import { nowUs } from './clock.ts'
import { DIALECTS, type DialectName } from './dialects.ts'
import { jwtOf } from './jwts.ts'
import { runId } from './runs.ts'
import { sessionToken } from './sessions.ts'
import type { Counter } from './tally.ts'
import { Usage } from './usage.ts'

const HANDSHAKE_DEADLINE_US = 10_000_000
const LONGEST_US = 60_000_000

/** The sessions to connect to, one socket each: `first` and the `count - 1` after it. */
export interface ConnectOrder {
  port: number
  first: number
  count: number
  /** The number of handshakes under way at the same time. */
  inFlight: number
  /** Connect to this many runs, in turn, and not to sessions. */
  runs?: number
  /** The dialect of the subject's clients; `plain` by default. */
  dialect?: DialectName
  /** Bring a JWT to each session that is valid until then, in seconds since the epoch. */
  jwtsUntil?: number
  /** Connect all sockets to the session `first`. */
  together?: boolean
  /** Connect to these paths, in turn. */
  paths?: string[]
}

export interface ConnectResult {
  opened: number
  failed: number
  /** The number of failures for each reason. */
  reasons: Record<string, number>
  seconds: number
  p50Ms: number
  p99Ms: number
  p999Ms: number
  /** The CPU share of the generator meanwhile. */
  generatorShare: number
}

export class Fleet implements ClientOwner {
  /** Sockets that were open and are closed now, by reason. */
  readonly lost: Record<string, number> = {}
  /** Among those, the lowest sequence number that was due next. */
  leastDue = Number.POSITIVE_INFINITY
  readonly #tally: Counter
  readonly #connecting = new Set<Client>()
  readonly #open = new Set<Client>()
  #attempt = newAttempt({ port: 0, first: 0, count: 0, inFlight: 0 }, [], () => {})

  constructor(tally: Counter) {
    this.#tally = tally
  }

  get size(): number {
    return this.#open.size
  }

  /**
   * Connects as ordered. Resolves when every handshake has succeeded or failed, after at most 10 s.
   * JWTs are signed before the clock starts: that takes longer than the rest of a handshake.
   */
  async connect(order: ConnectOrder): Promise<ConnectResult> {
    const doors = Array.from({ length: order.count }, (_, i) => doorOf(order, order.first + i))
    const usage = new Usage()
    const startedUs = nowUs()
    const sweep = setInterval(() => this.#giveUpOnLate(), 500)
    await new Promise<void>((done) => {
      this.#attempt = newAttempt(order, doors, done)
      if (order.count === 0) done()
      else this.#startMore()
    })
    clearInterval(sweep)
    const { opened, failed, reasons, latencyUs } = this.#attempt
    const seconds = (nowUs() - startedUs) / 1e6
    const at = (percentile: number) => latencyUs.percentile(percentile) / 1000
    const latency = { p50Ms: at(50), p99Ms: at(99), p999Ms: at(99.9) }
    return { opened, failed, reasons, seconds, ...latency, generatorShare: usage.used().generatorShare }
  }

  /** Stops reading from the `count` sockets that were opened last. */
  pauseLast(count: number): void {
    for (const client of [...this.#open].slice(-count)) client.pause()
  }

  /** All open clients, in the order in which they were opened. */
  clients(): Client[] {
    return [...this.#open]
  }

  opened(client: Client): void {
    this.#open.add(client)
    this.#attempt.opened++
    this.#attempt.latencyUs.record(Math.max(1, Math.round(nowUs() - client.startedUs)))
    this.#finished(client)
  }

  failed(client: Client, why: string): void {
    this.#attempt.failed++
    countReason(this.#attempt.reasons, why)
    this.#finished(client)
  }

  closed(client: Client, why: string): void {
    this.#open.delete(client)
    this.leastDue = Math.min(this.leastDue, client.due)
    countReason(this.lost, why)
  }

  #finished(client: Client): void {
    this.#connecting.delete(client)
    const { opened, failed, order, done } = this.#attempt
    if (opened + failed === order.count) done()
    else this.#startMore()
  }

  #startMore(): void {
    const { order, doors } = this.#attempt
    while (this.#connecting.size < order.inFlight && this.#attempt.started < order.count) {
      this.#connecting.add(new Client(doors[this.#attempt.started++]!, this, this.#tally))
    }
  }

  #giveUpOnLate(): void {
    const oldest = nowUs() - HANDSHAKE_DEADLINE_US
    for (const client of this.#connecting) if (client.startedUs < oldest) client.end('no answer within 10 s')
  }
}

function doorOf(order: ConnectOrder, index: number): Door {
  const { port, first, runs, paths, together, jwtsUntil, dialect = 'plain' } = order
  if (paths !== undefined) {
    const place = index % paths.length
    return { port, path: paths[place]!, token: 'not-asked-for', session: place }
  }
  if (runs !== undefined) return { port, path: `/${runId(index % runs)}`, token: 'not-asked-for' }
  const session = together ? first : index
  return {
    port,
    path: DIALECTS[dialect].path(session),
    token: jwtsUntil === undefined ? sessionToken(session) : jwtOf(session, jwtsUntil),
    dialect: DIALECTS[dialect],
    session,
  }
}

/** The state of one `connect`. */
function newAttempt(order: ConnectOrder, doors: readonly Door[], done: () => void) {
  const latencyUs = createHistogram({ lowest: 1, highest: LONGEST_US, figures: 3 })
  const reasons: Record<string, number> = {}
  return { order, doors, done, started: 0, opened: 0, failed: 0, reasons, latencyUs }
}

function countReason(reasons: Record<string, number>, why: string): void {
  reasons[why] = (reasons[why] ?? 0) + 1
}
