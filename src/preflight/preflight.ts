import type { Config } from '../config/table.ts'
import { preflightReports } from '../contract/names.ts'
import type { Admin } from '../http/admin.ts'
import type { ApiResponse } from '../http/response.ts'
import type { Route } from '../http/routes.ts'
import type { TemplatedApp } from '../platform/uws.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Check, CheckContext, KeySetState, Launch, Report } from './check.ts'
import { healthOf, type NotReadyReason, Readiness, readyAnswer } from './http/ready.ts'
import { routes } from './http/routes.ts'
import { checkedGateway } from './probes/gateway.ts'
import { Loopback } from './probes/loopback.ts'
import { PreflightRedis, type RedisAccess } from './probes/redis.ts'
import { BUILT_IN, folderUrl, loadChecks } from './registry.ts'
import { Recorder, type ReportSink } from './reports/recorder.ts'
import { Reports } from './reports/reports.ts'
import { openSentry } from './reports/sentry.ts'
import { Runner } from './runner.ts'

/** What the process loads once, at start-up. */
export interface LoadedPreflight {
  readonly checks: readonly Check[]
  readonly sink?: ReportSink | undefined
}

/**
 * Loads the check files and opens the sink for unhealthy reports. `given` are further checks.
 * @throws ConfigError for a file that holds no valid check, and for a name that two checks share.
 */
export async function loadPreflight(
  config: Config,
  log: Logger,
  given: readonly Check[] = [],
): Promise<LoadedPreflight> {
  const { preflightChecksFolder: folder, sentryDsn } = config
  const checks = await loadChecks([BUILT_IN, ...(folder === undefined ? [] : [folderUrl(folder)])], given)
  return { checks, sink: sentryDsn === undefined ? undefined : await openSentry(sentryDsn, log) }
}

export interface PreflightParts {
  readonly config: Config
  readonly loaded: LoadedPreflight
  readonly redis: RedisAccess
  readonly redisUrl: string
  readonly metrics: Metrics
  readonly log: Logger
  /** The number of open sockets. */
  readonly sockets: () => number
  /** Addresses of proxies that TRUST_PROXY does not name. */
  readonly unknownProxies: () => readonly string[]
  /** What is known of AUTH_JWKS_URL. Default: it is not set. */
  readonly keySet?: () => Promise<KeySetState | undefined>
  /** Why the gateway does not accept every upgrade, where that is known without a run. */
  readonly notReadyReason: () => NotReadyReason | undefined
  /** A remark that the report puts behind the address of the test upgrade. */
  readonly note?: () => string
  /** How many processes share the limits and the memory. Default: 1. */
  readonly workers?: number | undefined
  /** Of the path of the test upgrade. Default: a random one. */
  readonly loopbackSecret?: string | undefined
}

/** The preflight of one process: checks, runs and reports. */
export class Preflight {
  readonly reports: Reports
  readonly loopback: Loopback
  readonly #runner: Runner
  readonly #recorder: Recorder
  readonly #readiness: Readiness
  readonly #redis: PreflightRedis
  readonly #log: Logger
  #lastOutcome = ''

  constructor(parts: PreflightParts) {
    const { config, loaded, redis, redisUrl, metrics, log, notReadyReason } = parts
    const { keySet = async () => undefined } = parts
    this.#log = log
    this.#redis = new PreflightRedis(redis, config, redisUrl)
    this.loopback = new Loopback(config, parts.loopbackSecret)
    this.reports = new Reports((args) => redis.command(preflightReports(), args), config.preflightRetentionMs)
    this.#recorder = new Recorder({
      keep: (report) => this.reports.add(report, Date.now()),
      metrics,
      log,
      eventTypes: config.preflightEventTypes,
      sink: loaded.sink,
    })
    const context: CheckContext = {
      redis: this.#redis,
      gateway: { ...checkedGateway(parts, this.loopback), keySet },
      now: Date.now,
    }
    const { checks } = loaded
    metrics.checks(checks.map(({ name }) => name))
    const runner = (finished: (report: Report) => void) =>
      new Runner({ checks, context, timeoutMs: config.preflightCheckTimeoutMs, finished })
    this.#runner = runner((report) => {
      this.#recorder.count(report)
      this.#recorder.keep(report)
    })
    this.#readiness = new Readiness({ runner: runner((report) => this.#finishedProbe(report)), notReadyReason })
  }

  /** The address of Redis without credentials. */
  get redisAddress(): string {
    return this.#redis.address
  }

  /** Adds the path of the test upgrade. The caller then sets the port of `loopback`. */
  mount(app: TemplatedApp): void {
    this.loopback.mount(app)
  }

  /** Runs all checks that apply to the launch. @throws TooManyRuns when 100 runs are under way. */
  run(launch: Launch, triggeredBy?: string): Promise<Report> {
    return this.#runner.run(launch, triggeredBy)
  }

  /** The response of `/ready`; `detailed` for operators only. */
  async ready(detailed: boolean): Promise<ApiResponse> {
    return readyAnswer(await this.#readiness.ask(), detailed)
  }

  /** The health of the gateway as the live door reports it. */
  async health(): Promise<ReturnType<typeof healthOf>> {
    return healthOf(await this.#readiness.ask())
  }

  /** The routes of the preflight API and of its page. */
  routes(admin: Admin): Route[] {
    return routes({ admin, reports: this.reports, run: (launch, triggeredBy) => this.run(launch, triggeredBy) })
  }

  /** Redis is back, so the last result behind `/ready` is out of date. */
  redisBack(): void {
    this.#readiness.forget()
  }

  /** Stops the runs behind `/ready` and writes queued reports, for at most `timeoutMs`. */
  async stop(timeoutMs: number): Promise<void> {
    this.#readiness.stop()
    await this.#recorder.stop(timeoutMs)
  }

  /**
   * Every instance runs the checks behind `/ready` every few seconds. Only a report whose outcome
   * differs from the one before is stored.
   */
  #finishedProbe(report: Report): void {
    this.#recorder.count(report)
    const outcome = report.checks.map(({ name, status }) => `${name} ${status}`).join()
    const isNew = outcome !== this.#lastOutcome && !(this.#lastOutcome === '' && report.healthy)
    this.#lastOutcome = outcome
    if (isNew) this.#recorder.keep(report)
    if (isNew) this.#say(report)
  }

  /** Logs that the outcome behind `/ready` has changed. */
  #say({ healthy, checks }: Report): void {
    if (healthy) return this.#log.info({ event: 'checks' }, 'all checks behind /ready pass again')
    const failed = checks.flatMap(({ name, status, message }) => (status === 'fail' ? [`${name}: ${message}`] : []))
    this.#log.warn({ event: 'checks', failed }, '/ready answers 503: checks fail')
  }
}
