import { randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { type Check, type CheckContext, type Context, LIGHT_PRIORITY, type Report, type Result } from './check.ts'
import { type CheckOutcome, verdictOf } from './verdict.ts'

export interface RunnerParts {
  readonly checks: readonly Check[]
  readonly surroundings: CheckContext
  /** For each check. */
  readonly timeoutMs: number
  /** Called once a run, however many share it. */
  readonly finished?: (report: Report) => void
}

/** Contexts that may be checked at one time. */
const MAX_RUNS = 100
/** A timer that is this late says that nothing else was done in time either. */
const STALL_MS = 50

/** Too many runs are under way; a caller may come back. */
export class TooManyRuns extends Error {
  override readonly name = 'TooManyRuns'
}

/** Runs checks, tier by tier. A run never throws: whatever a check does, the run ends with a report. */
export class Runner {
  readonly #parts: RunnerParts
  readonly #tiers: readonly (readonly Check[])[]
  readonly #running = new Map<string, Promise<Report>>()

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#tiers = tiersOf(parts.checks)
  }

  /**
   * One run, or a share in the run of the same context that is under way.
   * @throws TooManyRuns when a hundred other contexts are being checked.
   */
  async run(context: Context, triggeredBy?: string): Promise<Report> {
    const key = canonical(context)
    const shared = this.#running.get(key)
    if (shared) return shared
    if (context.mode === 'full' && this.#running.size >= MAX_RUNS)
      throw new TooManyRuns('too many preflight runs are under way')
    const run = this.#run(context, triggeredBy).finally(() => this.#running.delete(key))
    this.#running.set(key, run)
    return run
  }

  async #run(context: Context, triggeredBy: string | undefined): Promise<Report> {
    const startedAt = performance.now()
    const createdAt = this.#parts.surroundings.now()
    const checks: Result[] = []
    let failed: string[] = []
    for (const tier of this.#tiers) {
      const due = tier.filter((check) => concerns(check, context))
      if (failed.length > 0) checks.push(...due.map((check) => skipped(check, failed)))
      else checks.push(...(await Promise.all(due.map((check) => this.#check(check, context)))))
      if (failed.length === 0) failed = checks.filter(({ status }) => status === 'fail').map(({ name }) => name)
    }
    const report: Report = {
      id: reportId(createdAt),
      ...context,
      healthy: failed.length === 0,
      hasWarnings: checks.some(({ status }) => status === 'warn'),
      checks,
      durationMs: sinceMs(startedAt),
      ...(triggeredBy !== undefined && { triggeredBy }),
      createdAt: new Date(createdAt).toISOString(),
    }
    this.#parts.finished?.(report)
    return report
  }

  /** One check, and whatever it does, a result. */
  async #check(check: Check, context: Context): Promise<Result> {
    const { surroundings, timeoutMs } = this.#parts
    const startedAt = performance.now()
    const abort = new AbortController()
    // One listener a question to Redis: a check may have many.
    setMaxListeners(0, abort.signal)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<CheckOutcome>((resolve) => {
      const stop = () => {
        abort.abort(new Error(`not done within ${timeoutMs} ms`))
        // What it returns now is heard: it knows what it was waiting for.
        setImmediate(() => resolve({ late: timeoutMs }))
      }
      timer = setTimeout(() => {
        // A late timer: this process was busy, and the check has not had its time.
        const missedMs = performance.now() - startedAt - timeoutMs
        if (missedMs > STALL_MS) timer = setTimeout(stop, Math.min(missedMs, timeoutMs))
        else stop()
      }, timeoutMs)
    })
    const spoken = (async () => check.execute(context, abort.signal, surroundings))()
    const said = await Promise.race([
      spoken.then(
        (value): CheckOutcome => ({ value }),
        (thrown: unknown): CheckOutcome => ({ thrown }),
      ),
      late,
    ])
    clearTimeout(timer)
    const verdict = verdictOf(check.name, said)
    const isReason = abort.signal.aborted && (verdict.status !== 'fail' || 'thrown' in said)
    return {
      ...(isReason ? verdictOf(check.name, { late: timeoutMs }) : verdict),
      name: check.name,
      durationMs: sinceMs(startedAt),
    }
  }
}

function tiersOf(checks: readonly Check[]): Check[][] {
  const tiers = new Map<number, Check[]>()
  for (const check of checks) tiers.set(check.priority, [...(tiers.get(check.priority) ?? []), check])
  return [...tiers].sort(([one], [other]) => one - other).map(([, tier]) => tier)
}

const concerns = ({ priority, appliesTo }: Check, { mode, eventType }: Context): boolean =>
  (mode === 'full' || priority <= LIGHT_PRIORITY) && (appliesTo === 'all' || appliesTo.includes(eventType))

const skipped = ({ name }: Check, failed: readonly string[]): Result => ({
  name,
  status: 'skipped',
  message: `not run, because ${failed.join(', ')} failed`,
  durationMs: 0,
})

/** The same text for the same context, whatever the order of its members. */
const canonical = (context: Context): string =>
  JSON.stringify(context, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  )

/** Sorts by time, and cannot be guessed. */
const reportId = (createdAt: number): string =>
  `${createdAt.toString(36).padStart(9, '0')}-${randomBytes(8).toString('hex')}`

const sinceMs = (startedAt: number): number => Math.round((performance.now() - startedAt) * 1000) / 1000
