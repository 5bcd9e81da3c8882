import { type ApiResponse, json } from '../../http/response.ts'
import { type Context, NO_EVENT_TYPE, type Report } from '../check.ts'
import type { Runner } from '../runner.ts'

export interface ReadinessParts {
  /** Not shared with callers: its reports are recorded when they say something new only. */
  readonly runner: Runner
  /** Why no upgrade can be taken, where that is known without a run. */
  readonly known: () => 'draining' | 'redis-unavailable' | undefined
}

/** Whether upgrades are taken, and what is wrong where they are not. */
export type Ready = { readonly reason: 'draining' | 'redis-unavailable' } | { readonly report: Report }

/** No answer rests on an older run. */
const MAX_AGE_MS = 5000
/** While somebody asks, a run follows another after this pause, so that hardly anybody has to wait for one; sooner when something is wrong. */
const REFRESH_MS = 2000
const TICK_MS = 1000
/** Asked so long ago, nobody is about to ask again. */
const FORGOTTEN_MS = 60_000

const CONTEXT: Context = { mode: 'light', eventType: NO_EVENT_TYPE }

/** The light run behind `/ready`: at most 5 s old, one for all who ask. */
export class Readiness {
  readonly #parts: ReadinessParts
  #last: { readonly report: Report; readonly at: number } | undefined
  #askedAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(parts: ReadinessParts) {
    this.#parts = parts
  }

  /** What is known is said at once; else what the last run says, or, when that is too old, the next one. */
  async ask(): Promise<Ready> {
    const reason = this.#parts.known()
    if (reason !== undefined) return { reason }
    this.#askedAt = performance.now()
    this.#timer ??= this.#refresh()
    const last = this.#last
    if (last !== undefined && performance.now() - last.at <= MAX_AGE_MS) return { report: last.report }
    const report = await this.#run()
    const since = this.#parts.known()
    return since === undefined ? { report } : { reason: since }
  }

  /** What was known before Redis was away says nothing about now. */
  forget(): void {
    this.#last = undefined
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#askedAt = 0
  }

  async #run(): Promise<Report> {
    const report = await this.#parts.runner.run(CONTEXT, 'ready')
    this.#last = { report, at: performance.now() }
    return report
  }

  #refresh(): NodeJS.Timeout {
    const timer = setInterval(() => {
      if (performance.now() - this.#askedAt > FORGOTTEN_MS) {
        clearInterval(timer)
        this.#timer = undefined
      } else if (this.#isDue() && this.#parts.known() === undefined) void this.#run()
    }, TICK_MS)
    return timer.unref()
  }

  #isDue(): boolean {
    const last = this.#last
    // Half a tick early is not late.
    return !last?.report.healthy || performance.now() - last.at >= REFRESH_MS - TICK_MS / 2
  }
}

/** The answer to a load balancer: 503 names what is wrong. */
export function readyAnswer(ready: Ready): ApiResponse {
  if ('reason' in ready) return notReady({ reason: ready.reason })
  const { report } = ready
  if (report.healthy) return json('200 OK', { status: 'ready' })
  const failed = report.checks.filter(({ status }) => status === 'fail')
  return notReady({
    reason: 'preflight',
    failed: failed.map(({ name, message, remediation }) => ({ name, message, remediation })),
    checked_at: report.createdAt,
  })
}

const WORDS = { pass: 'healthy', warn: 'degraded', fail: 'unhealthy', skipped: 'unknown' } as const

/** The same for a dashboard: the state of the whole and of each part. */
export function healthOf(ready: Ready): { overall_status: string; components: Record<string, string> } {
  const components: Record<string, string> = { gateway: 'healthy', redis: 'healthy' }
  if ('reason' in ready) {
    const draining = ready.reason === 'draining'
    Object.assign(components, draining ? { gateway: 'draining' } : { redis: 'unhealthy' })
    return { overall_status: draining ? 'degraded' : 'unhealthy', components }
  }
  const { healthy, hasWarnings, checks } = ready.report
  for (const { name, status } of checks) components[name] = WORDS[status]
  return { overall_status: !healthy ? 'unhealthy' : hasWarnings ? 'degraded' : 'healthy', components }
}

const notReady = (why: object): ApiResponse => json('503 Service Unavailable', { status: 'not ready', ...why })
