import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { canonicalJson } from '../platform/canonical-json.ts'
import { redactIn } from '../platform/redact.ts'
import { type Check, type CheckContext, type Launch, LIGHT_PRIORITY, type Report, type Result } from './check.ts'
import { type CheckOutcome, verdictOf } from './verdict.ts'

export interface RunnerParts {
  readonly checks: readonly Check[]
  readonly context: CheckContext
  /** The time that one check may take. */
  readonly timeoutMs: number
  /** Called once a run, also when several callers share the run. */
  readonly finished?: (report: Report) => void
}

/** The most launches that are checked at the same time. */
const MAX_RUNS = 100
/** A timer this late shows that the process stalled, so the check had no fair chance either. */
const STALL_MS = 50

/** Too many runs are under way. The caller may try again. */
export class TooManyRuns extends Error {
  override readonly name = 'TooManyRuns'
}

/**
 * Runs checks tier by tier, and after a failure the rest side by side. A run never throws: it
 * returns a report whatever a check does.
 */
export class Runner {
  readonly #parts: RunnerParts
  readonly #tiers: readonly (readonly Check[])[]
  readonly #running = new Map<string, Promise<Report>>()

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#tiers = tiersOf(parts.checks)
  }

  /**
   * Starts a run, or joins the run of an equal launch that is under way.
   * @throws TooManyRuns when 100 other launches are being checked.
   */
  async run(launch: Launch, triggeredBy?: string): Promise<Report> {
    const key = canonicalJson(launch)!
    const shared = this.#running.get(key)
    if (shared) return shared
    if (launch.mode === 'full' && this.#running.size >= MAX_RUNS)
      throw new TooManyRuns('too many preflight runs are under way')
    const run = this.#run(launch, triggeredBy).finally(() => this.#running.delete(key))
    this.#running.set(key, run)
    return run
  }

  async #run(launch: Launch, triggeredBy: string | undefined): Promise<Report> {
    const startedAt = performance.now()
    const createdAt = this.#parts.context.now()
    const checks: Result[] = []
    let tiers = this.#tiers.map((tier) => tier.filter((check) => applies(check, launch)))
    while (tiers.length > 0) {
      const [due = [], ...later] = tiers
      const isRedisDown = checks.some((result) => result.name === 'redis' && isFailed(result))
      checks.push(...(await Promise.all(due.map((check) => this.#check(check, launch, isRedisDown)))))
      // Later tiers one by one would each wait for the timeout where Redis hangs.
      tiers = checks.some(isFailed) && later.length > 1 ? [later.flat()] : later
    }
    const healthy = !checks.some(isFailed)
    // Stored, shown and sent to Sentry: an error that a check quotes may hold a secret.
    const report: Report = redactIn({
      id: reportId(createdAt),
      ...launch,
      healthy,
      success: healthy,
      hasWarnings: checks.some(({ status }) => status === 'warn'),
      checks,
      durationMs: sinceMs(startedAt),
      ...(triggeredBy !== undefined && { triggeredBy }),
      createdAt: new Date(createdAt).toISOString(),
    })
    this.#parts.finished?.(report)
    return report
  }

  /** Runs one check. Returns a result even if the check throws, hangs or returns nonsense. */
  async #check(check: Check, launch: Launch, isRedisDown: boolean): Promise<Result> {
    const { context, timeoutMs } = this.#parts
    const startedAt = performance.now()
    const abort = new AbortController()
    // A check may send many commands to Redis, and each adds a listener to the signal.
    setMaxListeners(0, abort.signal)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<CheckOutcome>((resolve) => {
      const stop = () => {
        abort.abort(new Error(`not done within ${timeoutMs} ms`))
        // A check that ends because of the abort may still name what it was waiting for.
        setImmediate(() => resolve({ late: timeoutMs }))
      }
      timer = setTimeout(() => {
        // A late timer means that this process was busy: give the check the time that it lost.
        const missedMs = performance.now() - startedAt - timeoutMs
        if (missedMs > STALL_MS) timer = setTimeout(stop, Math.min(missedMs, timeoutMs))
        else stop()
      }, timeoutMs)
    })
    const running = (async () => check.execute(launch, abort.signal, context))()
    const outcome = await Promise.race([
      running.then(
        (value): CheckOutcome => ({ value }),
        (thrown: unknown): CheckOutcome => ({ thrown }),
      ),
      late,
    ])
    clearTimeout(timer)
    if (isRedisDown && 'thrown' in outcome && isUnavailable(outcome.thrown)) return unknown(check)
    const verdict = verdictOf(check.name, outcome)
    const isLate = abort.signal.aborted && (verdict.status !== 'fail' || 'thrown' in outcome)
    return {
      ...(isLate ? verdictOf(check.name, { late: timeoutMs }) : verdict),
      name: check.name,
      priority: check.priority,
      durationMs: sinceMs(startedAt),
    }
  }
}

function tiersOf(checks: readonly Check[]): Check[][] {
  const tiers = new Map<number, Check[]>()
  for (const check of checks) tiers.set(check.priority, [...(tiers.get(check.priority) ?? []), check])
  return [...tiers].sort(([one], [other]) => one - other).map(([, tier]) => tier)
}

const applies = ({ priority, appliesTo }: Check, { mode, eventType }: Launch): boolean =>
  (mode === 'full' || priority <= LIGHT_PRIORITY) && (appliesTo === 'all' || appliesTo.includes(eventType))

const isFailed = ({ status }: Result): boolean => status === 'fail'

const isUnavailable = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'RedisUnavailable'

/** The check `redis` has failed already and names the cause: one cause is one failure. */
const unknown = ({ name, priority }: Check): Result => ({
  name,
  priority,
  status: 'skipped',
  message: 'cannot tell without Redis: see the check redis',
  durationMs: 0,
})

/** An id that sorts by time and cannot be guessed. */
const reportId = (createdAt: number): string =>
  `${createdAt.toString(36).padStart(9, '0')}-${randomBytes(8).toString('hex')}`

const sinceMs = (startedAt: number): number => Math.round((performance.now() - startedAt) * 1000) / 1000
