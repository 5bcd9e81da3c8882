import type { Status, Verdict } from './check.ts'

/** How a check ended: it returned something, it threw something, or it took longer than it may. */
export type CheckOutcome = { readonly value: unknown } | { readonly thrown: unknown } | { readonly late: number }

const STATUSES: ReadonlySet<unknown> = new Set<Status>(['pass', 'warn', 'fail', 'skipped'])
/** A report is kept for weeks and shown to people: its texts have an end. */
const MAX_TEXT = 10_000
const MAX_DETAILS = 20_000

/** What a check said, or, where that is no verdict, a failure that says why. */
export function verdictOf(name: string, spoken: CheckOutcome): Verdict {
  try {
    return read(name, spoken)
  } catch {
    // A getter that throws, an object that cannot be printed.
    return ours('it returned or threw something that cannot be read')
  }
}

function read(name: string, spoken: CheckOutcome): Verdict {
  if ('late' in spoken) {
    return failed(
      `it was not done within ${spoken.late} ms`,
      'See whether what it asks is overloaded; PREFLIGHT_CHECK_TIMEOUT sets how long a check may take.',
    )
  }
  if ('thrown' in spoken) {
    const { thrown } = spoken
    return failed(cut(thrown instanceof Error && thrown.message !== '' ? thrown.message : String(thrown)))
  }
  const { value } = spoken
  if (typeof value !== 'object' || value === null) return ours('it returned nothing that is a result')
  const { name: other, status, message, details, remediation } = value as Record<string, unknown>
  if (other !== undefined && other !== name) return ours(`it returned the result of ${cut(JSON.stringify(other))}`)
  if (!STATUSES.has(status)) return ours(`it returned the status ${cut(JSON.stringify(status) ?? 'undefined')}`)
  return {
    status: status as Status,
    message: cut(typeof message === 'string' ? message : ''),
    ...(typeof details === 'object' && details !== null && { details: plain(details) }),
    ...(typeof remediation === 'string' && remediation !== '' && { remediation: cut(remediation) }),
  }
}

const failed = (message: string, remediation?: string): Verdict => ({
  status: 'fail',
  message,
  ...(remediation !== undefined && { remediation }),
})
const ours = (message: string): Verdict => failed(message, 'This is a fault of the check, and not of what it looks at.')

const cut = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text)

/** As it will be when it has been kept as JSON: nothing that cannot be, and not too much. */
function plain(details: object): Record<string, unknown> {
  try {
    const text = JSON.stringify(details)
    if (text.length <= MAX_DETAILS) return JSON.parse(text)
    return { omitted: `${text.length} characters of details` }
  } catch (error) {
    return { omitted: `details that are no JSON: ${(error as Error).message}` }
  }
}
