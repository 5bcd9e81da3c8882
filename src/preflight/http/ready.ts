import { type ApiResponse, json } from '../../http/response.ts'
import { type Launch, NO_EVENT_TYPE, type Report, type Result } from '../check.ts'
import type { Runner } from '../runner.ts'

export interface ReadinessParts {
  /** A runner of its own: its reports are stored only when the outcome changes. */
  readonly runner: Runner
  /** Why the gateway does not accept every upgrade, where that is known without a run. */
  readonly notReadyReason: () => NotReadyReason | undefined
}

export type NotReadyReason =
  | 'draining'
  | 'redis-unavailable'
  /** Some servers of a cluster are away, and most upgrades work. The text names the servers. */
  | { readonly partial: string }

/** Either a reason that needs no run, or the report of a light run. */
export type Ready = { readonly reason: NotReadyReason } | { readonly report: Report }

/** The oldest report that an answer may use. */
const MAX_AGE_MS = 5000
/**
 * While callers keep asking, a new run starts after this pause, so that few callers wait for one.
 * After an unhealthy report the next run starts at the next tick.
 */
const REFRESH_MS = 2000
const TICK_MS = 1000
/** The background runs stop when the last call is this old. */
const FORGOTTEN_MS = 60_000

/** Checks whose warning concerns one door. */
const DEGRADES: ReadonlySet<string> = new Set(['redis-channels', 'keyspace-events'])
const LAUNCH: Launch = { mode: 'light', eventType: NO_EVENT_TYPE }

/** The light run behind `/ready`: at most 5 s old, shared by all callers. */
export class Readiness {
  readonly #parts: ReadinessParts
  #last: { readonly report: Report; readonly at: number } | undefined
  #askedAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(parts: ReadinessParts) {
    this.#parts = parts
  }

  /**
   * Returns a known reason at once, else the last report, else (when that is too old) a new one.
   */
  async ask(): Promise<Ready> {
    const reason = this.#parts.notReadyReason()
    if (reason !== undefined) return { reason }
    this.#askedAt = performance.now()
    this.#timer ??= this.#refresh()
    const last = this.#last
    if (last !== undefined && performance.now() - last.at <= MAX_AGE_MS) return { report: last.report }
    const report = await this.#run()
    const newReason = this.#parts.notReadyReason()
    return newReason === undefined ? { report } : { reason: newReason }
  }

  /** Drops the last report, so that the next caller starts a run. */
  forget(): void {
    this.#last = undefined
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#askedAt = 0
  }

  async #run(): Promise<Report> {
    const report = await this.#parts.runner.run(LAUNCH, 'ready')
    this.#last = { report, at: performance.now() }
    return report
  }

  #refresh(): NodeJS.Timeout {
    const timer = setInterval(() => {
      if (performance.now() - this.#askedAt > FORGOTTEN_MS) {
        clearInterval(timer)
        this.#timer = undefined
      } else if (this.#isDue() && this.#parts.notReadyReason() === undefined) void this.#run()
    }, TICK_MS)
    return timer.unref()
  }

  #isDue(): boolean {
    const last = this.#last
    // The timer has a granularity of one tick: half a tick early counts as due.
    return !last?.report.healthy || performance.now() - last.at >= REFRESH_MS - TICK_MS / 2
  }
}

/**
 * The response for a load balancer. A 503 names what is wrong.
 * @param detailed whether the caller is an operator. Messages hold addresses and names, so only the
 * names of failed checks are for strangers.
 */
export function readyAnswer(ready: Ready, detailed: boolean): ApiResponse {
  if ('reason' in ready) return withoutReport(ready.reason, detailed)
  const { report } = ready
  // One door is out of order, or late, although the instance is ready for the others.
  const degraded = report.checks.filter(({ name, status }) => DEGRADES.has(name) && status === 'warn')
  const shown = ({ name, message, remediation }: Result) => (detailed ? { name, message, remediation } : { name })
  if (report.healthy)
    return json('200 OK', {
      status: 'ready',
      ...(degraded.length > 0 && { degraded: degraded.map(shown) }),
    })
  const failed = report.checks.filter(({ status }) => status === 'fail')
  return notReady({
    reason: 'preflight',
    failed: failed.map(shown),
    checked_at: report.createdAt,
  })
}

/** Balancers would take every instance out of service, because all have the same cluster. */
const withoutReport = (reason: NotReadyReason, detailed: boolean): ApiResponse =>
  typeof reason === 'string'
    ? notReady({ reason })
    : json('200 OK', {
        status: 'ready',
        degraded: [{ name: 'redis', ...(detailed && { message: reason.partial, remediation: PARTIAL_REMEDY }) }],
      })

const PARTIAL_REMEDY = 'Bring the server back, or let a replica take its slots over (CLUSTER NODES).'

const WORDS = { pass: 'healthy', warn: 'degraded', fail: 'unhealthy', skipped: 'unknown' } as const

/** The state of the gateway and of each component, for a dashboard. */
export function healthOf(ready: Ready): { overall_status: string; components: Record<string, string> } {
  const components: Record<string, string> = { gateway: 'healthy', redis: 'healthy' }
  if ('reason' in ready) {
    if (typeof ready.reason !== 'string')
      return { overall_status: 'degraded', components: { ...components, redis: 'degraded' } }
    const draining = ready.reason === 'draining'
    Object.assign(components, draining ? { gateway: 'draining' } : { redis: 'unhealthy' })
    return { overall_status: draining ? 'degraded' : 'unhealthy', components }
  }
  const { healthy, hasWarnings, checks } = ready.report
  for (const { name, status } of checks) components[name] = WORDS[status]
  return { overall_status: !healthy ? 'unhealthy' : hasWarnings ? 'degraded' : 'healthy', components }
}

const notReady = (why: object): ApiResponse => json('503 Service Unavailable', { status: 'not ready', ...why })
