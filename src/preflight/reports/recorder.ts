import { DeadlinePassed, within } from '../../platform/deadline.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Report } from '../check.ts'

/** Somebody outside who is told of runs (Sentry). */
export interface ReportSink {
  send(report: Report): void
  /** Resolves when all is sent, or the time is over. */
  flush(timeoutMs: number): Promise<void>
}

export interface RecorderParts {
  /** Keeps a report; a second time it does nothing. @throws RedisUnavailable when it should be tried again. */
  readonly keep: (report: Report) => Promise<void>
  readonly metrics: Metrics
  readonly log: Logger
  /** Event types that may be a label; all others count as `other`. */
  readonly eventTypes: readonly string[]
  readonly sink?: ReportSink | undefined
}

/** Reports that wait for Redis. */
const MAX_WAITING = 100
const KEEP_MS = 2000
const RETRY_MS = 1000

/** Records runs. It never delays one and never throws; what could not be recorded is logged and counted. */
export class Recorder {
  readonly #parts: RecorderParts
  readonly #labels: ReadonlySet<string>
  readonly #waiting: Report[] = []
  #sending: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #stopped = false

  constructor(parts: RecorderParts) {
    this.#parts = parts
    this.#labels = new Set([...parts.eventTypes, 'none'])
  }

  /** Counts a run. */
  count({ mode, eventType, healthy, hasWarnings, checks }: Report): void {
    const { metrics } = this.#parts
    const result = !healthy ? 'fail' : hasWarnings ? 'warn' : 'pass'
    const event_type = this.#labels.has(eventType) ? eventType : 'other'
    metrics.preflightRuns.inc({ mode, event_type, result })
    for (const { name, status, durationMs } of checks) {
      if (status !== 'skipped') metrics.preflightChecks.observe({ check: name }, durationMs / 1000)
      if (status === 'fail') metrics.preflightFailures.inc({ check: name })
    }
  }

  /** Keeps a run, and tells whoever is to know; later, when Redis is away. */
  keep(report: Report): void {
    if (this.#stopped) return this.#lose(report, 'the process ended')
    this.#tell(report)
    if (this.#waiting.length >= MAX_WAITING) this.#lose(this.#waiting.shift()!, 'too many reports wait for Redis')
    this.#waiting.push(report)
    this.#send()
  }

  /** Tries for so long to record what is left, and counts the rest. */
  async stop(timeoutMs: number): Promise<void> {
    this.#send()
    // Sentry takes 0 for "as long as it lasts".
    const flushed = (async () => this.#parts.sink?.flush(Math.max(1, timeoutMs)))()
    await Promise.allSettled([this.#sending ?? Promise.resolve(), flushed].map((each) => within(each, timeoutMs)))
    this.#stopped = true
    clearTimeout(this.#retry)
    for (const report of this.#waiting.splice(0)) this.#lose(report, 'the process ended')
  }

  #send(): void {
    if (this.#sending) return
    clearTimeout(this.#retry)
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  async #sendAll(): Promise<void> {
    for (let report = this.#waiting[0]; report !== undefined; report = this.#waiting[0]) {
      try {
        await within(this.#parts.keep(report), KEEP_MS)
      } catch (error) {
        // A command that hangs is tried again as well.
        if (error instanceof RedisUnavailable || error instanceof DeadlinePassed) {
          this.#retry = setTimeout(() => this.#send(), RETRY_MS)
          this.#retry.unref()
          return
        }
        if (this.#waiting[0] === report) this.#lose(report, (error as Error).message)
      }
      if (this.#waiting[0] === report) this.#waiting.shift()
    }
  }

  #lose(report: Report, reason: string): void {
    this.#parts.metrics.preflightUnrecorded.inc()
    const { id, healthy } = report
    this.#parts.log.warn({ event: 'preflight-unrecorded', report: id, healthy, reason }, 'a report was not recorded')
  }

  #tell(report: Report): void {
    try {
      this.#parts.sink?.send(report)
    } catch (error) {
      this.#parts.metrics.error('preflight')
      this.#parts.log.warn({ err: error }, 'a report could not be told')
    }
  }
}
