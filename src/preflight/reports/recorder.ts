import { DeadlinePassed, within } from '../../platform/deadline.ts'
import { asError, reasonOf } from '../../platform/reason.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { NO_EVENT_TYPE, type Report } from '../check.ts'

/** External sink for unhealthy reports (Sentry). */
export interface ReportSink {
  send(report: Report): void
  /** Says what is called for each report that the sink did not take. */
  onLost?(listener: () => void): void
  /** Resolves when all reports are sent or the timeout (ms) has passed. */
  flush(timeoutMs: number): Promise<void>
}

export interface RecorderParts {
  /**
   * Stores a report; storing it twice has no effect. @throws RedisUnavailable when a retry may
   * help.
   */
  readonly keep: (report: Report) => Promise<void>
  readonly metrics: Metrics
  readonly log: Logger
  /**
   * The event types that become metric labels; all others count as `other`. Empty: the first 50
   * that occur.
   */
  readonly eventTypes: readonly string[]
  readonly sink?: ReportSink | undefined
}

/** The most event types that become labels by occurring. */
const MAX_LABELS = 50
/** The most reports that wait for Redis. */
const MAX_WAITING = 100
const KEEP_MS = 2000
const RETRY_MS = 1000

/**
 * Records runs. Never delays a run and never throws: it logs and counts what it could not record.
 */
export class Recorder {
  readonly #parts: RecorderParts
  readonly #labels: Set<string>
  readonly #waiting: Report[] = []
  #storing: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #stopped = false

  constructor(parts: RecorderParts) {
    this.#parts = parts
    parts.sink?.onLost?.(() => parts.metrics.error('preflight'))
    this.#labels = new Set([...parts.eventTypes, NO_EVENT_TYPE])
  }

  /** Counts a run. */
  count({ mode, eventType, healthy, hasWarnings, checks }: Report): void {
    const { metrics } = this.#parts
    const result = !healthy ? 'fail' : hasWarnings ? 'warn' : 'pass'
    const event_type = this.#labelOf(eventType)
    metrics.preflightRuns.inc({ mode, event_type, result })
    for (const { name, status, durationMs } of checks) {
      if (status !== 'skipped') metrics.preflightChecks.observe({ check: name }, durationMs / 1000)
      if (status === 'fail') metrics.preflightFailures.inc({ check: name })
    }
  }

  /** A caller chooses the event type, so the number of labels is bounded. */
  #labelOf(eventType: string): string {
    if (this.#parts.eventTypes.length === 0 && this.#labels.size <= MAX_LABELS) this.#labels.add(eventType)
    return this.#labels.has(eventType) ? eventType : 'other'
  }

  /** Sends the report to the sink and queues it for Redis. */
  keep(report: Report): void {
    if (this.#stopped) return this.#lose(report, 'the process ended')
    this.#sendToSink(report)
    if (this.#waiting.length >= MAX_WAITING) this.#lose(this.#waiting.shift()!, 'too many reports wait for Redis')
    this.#waiting.push(report)
    this.#startStoring()
  }

  /** Stores queued reports for at most `timeoutMs`, then logs and counts the rest as lost. */
  async stop(timeoutMs: number): Promise<void> {
    this.#startStoring()
    // Sentry reads 0 as "no timeout".
    const flushed = (async () => this.#parts.sink?.flush(Math.max(1, timeoutMs)))()
    await Promise.allSettled([this.#storing ?? Promise.resolve(), flushed].map((each) => within(each, timeoutMs)))
    this.#stopped = true
    clearTimeout(this.#retry)
    for (const report of this.#waiting.splice(0)) this.#lose(report, 'the process ended')
  }

  #startStoring(): void {
    if (this.#storing) return
    clearTimeout(this.#retry)
    this.#storing = this.#storeAll().finally(() => {
      this.#storing = undefined
    })
  }

  async #storeAll(): Promise<void> {
    for (let report = this.#waiting[0]; report !== undefined; report = this.#waiting[0]) {
      try {
        await within(this.#parts.keep(report), KEEP_MS)
      } catch (error) {
        // A command that hangs is retried, too.
        if (error instanceof RedisUnavailable || error instanceof DeadlinePassed) {
          this.#retry = setTimeout(() => this.#startStoring(), RETRY_MS)
          this.#retry.unref()
          return
        }
        if (this.#waiting[0] === report) this.#lose(report, reasonOf(error))
      }
      if (this.#waiting[0] === report) this.#waiting.shift()
    }
  }

  #lose(report: Report, reason: string): void {
    this.#parts.metrics.preflightUnrecorded.inc()
    const { id, healthy } = report
    this.#parts.log.warn(
      { event: 'preflight-unrecorded', report: id, healthy, reason },
      'preflight report was not recorded',
    )
  }

  #sendToSink(report: Report): void {
    try {
      this.#parts.sink?.send(report)
    } catch (error) {
      this.#parts.metrics.error('preflight')
      this.#parts.log.warn({ err: asError(error) }, 'report sink threw')
    }
  }
}
