import type { Config } from '../config/load.ts'
import { PREFLIGHT_REPORTS } from '../contract/names.ts'
import type { Admin } from '../http/admin.ts'
import type { ApiResponse } from '../http/response.ts'
import type { Route } from '../http/routes.ts'
import type { TemplatedApp } from '../platform/uws.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Check, CheckContext, Context, Report } from './check.ts'
import { healthOf, Readiness, readyAnswer } from './http/ready.ts'
import { routes } from './http/routes.ts'
import { checkedGateway } from './probes/gateway.ts'
import { Loopback } from './probes/loopback.ts'
import { PreflightRedis, type RedisAccess } from './probes/redis.ts'
import { BUILT_IN, folderUrl, loadChecks } from './registry.ts'
import { Recorder, type ReportSink } from './reports/recorder.ts'
import { Reports } from './reports/reports.ts'
import { openSentry } from './reports/sentry.ts'
import { Runner } from './runner.ts'

/** What is read once, at the start. */
export interface LoadedPreflight {
  readonly checks: readonly Check[]
  readonly told?: ReportSink | undefined
}

/** @param contributed checks of parts of the gateway. @throws ConfigError when a check file is none, or two have one name. */
export async function loadPreflight(
  config: Config,
  log: Logger,
  contributed: readonly Check[] = [],
): Promise<LoadedPreflight> {
  const { preflightChecksFolder: folder, sentryDsn } = config
  const checks = await loadChecks([BUILT_IN, ...(folder === undefined ? [] : [folderUrl(folder)])], contributed)
  return { checks, told: sentryDsn === undefined ? undefined : await openSentry(sentryDsn, log) }
}

export interface PreflightParts {
  readonly config: Config
  readonly loaded: LoadedPreflight
  readonly redis: RedisAccess
  readonly redisUrl: string
  readonly metrics: Metrics
  readonly log: Logger
  /** Open sockets. */
  readonly sockets: () => number
  /** Why no upgrade can be taken, where that is known without a run. */
  readonly known: () => 'draining' | 'redis-unavailable' | undefined
  /** What goes with the address of the upgrade in the report. */
  readonly note?: () => string
}

/** All of preflight that one process needs: checks, runs, reports. */
export class Preflight {
  readonly reports: Reports
  readonly loopback: Loopback
  readonly #runner: Runner
  readonly #recorder: Recorder
  readonly #readiness: Readiness
  readonly #redis: PreflightRedis
  #lastOutcome = ''

  constructor(parts: PreflightParts) {
    const { config, loaded, redis, redisUrl, metrics, log, sockets, known, note } = parts
    this.#redis = new PreflightRedis(redis, config, redisUrl)
    this.loopback = new Loopback(config.listen)
    this.reports = new Reports((args) => redis.command(PREFLIGHT_REPORTS, args), config.preflightRetentionMs)
    this.#recorder = new Recorder({
      keep: (report) => this.reports.add(report, Date.now()),
      metrics,
      log,
      eventTypes: config.preflightEventTypes,
      told: loaded.told,
    })
    const surroundings: CheckContext = {
      redis: this.#redis,
      gateway: checkedGateway(config, this.loopback, sockets, note),
      now: Date.now,
    }
    const { checks } = loaded
    metrics.checks(checks.map(({ name }) => name))
    const runner = (finished: (report: Report) => void) =>
      new Runner({ checks, surroundings, timeoutMs: config.preflightTimeoutMs, finished })
    this.#runner = runner((report) => {
      this.#recorder.count(report)
      this.#recorder.keep(report)
    })
    this.#readiness = new Readiness({ runner: runner((report) => this.#probed(report)), known })
  }

  /** Where Redis is, without credentials. */
  get redisAddress(): string {
    return this.#redis.address
  }

  /** Makes the checks of the listener possible; then its port is to be told to `loopback`. */
  mount(app: TemplatedApp): void {
    this.loopback.mount(app)
  }

  /** @throws TooManyRuns. */
  run(context: Context, triggeredBy?: string): Promise<Report> {
    return this.#runner.run(context, triggeredBy)
  }

  /** What `/ready` answers. */
  async ready(): Promise<ApiResponse> {
    return readyAnswer(await this.#readiness.ask())
  }

  /** What the live door tells of the whole. */
  async health(): Promise<ReturnType<typeof healthOf>> {
    return healthOf(await this.#readiness.ask())
  }

  /** The API and the page. */
  routes(admin: Admin): Route[] {
    return routes({ admin, reports: this.reports, run: (context, triggeredBy) => this.run(context, triggeredBy) })
  }

  /** Redis is back: what `/ready` knows is from before. */
  redisBack(): void {
    this.#readiness.forget()
  }

  /** Takes so long at the most. */
  async stop(timeoutMs: number): Promise<void> {
    this.#readiness.stop()
    await this.#recorder.stop(timeoutMs)
  }

  /** The runs of `/ready` come every few seconds from every instance: a report is kept when the outcome is another than before. */
  #probed(report: Report): void {
    this.#recorder.count(report)
    const outcome = report.checks.map(({ name, status }) => `${name} ${status}`).join()
    const isNews = outcome !== this.#lastOutcome && !(this.#lastOutcome === '' && report.healthy)
    this.#lastOutcome = outcome
    if (isNews) this.#recorder.keep(report)
  }
}
