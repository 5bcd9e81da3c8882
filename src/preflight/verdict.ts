import { reasonOf } from '../platform/reason.ts'
import { redact } from '../platform/redact.ts'
import type { Status, Verdict } from './check.ts'

/** How a check ended: it returned a value, it threw, or it ran past its timeout (ms). */
export type CheckOutcome = { readonly value: unknown } | { readonly thrown: unknown } | { readonly late: number }

const STATUSES: ReadonlySet<unknown> = new Set<Status>(['pass', 'warn', 'fail', 'skipped'])
/** Reports are stored for weeks and shown on a page, so their texts are bounded. */
const MAX_TEXT = 10_000
const MAX_DETAILS = 20_000

/** The verdict that a check returned, or a failure that says why it returned none. */
export function verdictOf(name: string, outcome: CheckOutcome): Verdict {
  try {
    return read(name, outcome)
  } catch {
    // A getter threw, or the value cannot be printed.
    return faulty('it returned or threw a value that cannot be read')
  }
}

function read(name: string, outcome: CheckOutcome): Verdict {
  if ('late' in outcome) {
    return failed(
      `it did not finish within ${outcome.late} ms`,
      'Look for overload in the service that the check asks, or raise PREFLIGHT_CHECK_TIMEOUT.',
    )
  }
  if ('thrown' in outcome) {
    const { thrown } = outcome
    return failed(cut(reasonOf(thrown)))
  }
  const { value } = outcome
  if (typeof value !== 'object' || value === null) return faulty('it returned no result')
  const { name: other, status = statusOf(value), details, remediation } = value as Record<string, unknown>
  if (other !== undefined && other !== name) return faulty(`it returned the result of ${cut(JSON.stringify(other))}`)
  if (!STATUSES.has(status))
    return faulty(`it returned the unknown status ${cut(JSON.stringify(status) ?? 'undefined')}`)
  return {
    status: status as Status,
    message: cut(messageIn(value)),
    ...(typeof details === 'object' && details !== null && { details: plain(details) }),
    ...(typeof remediation === 'string' && remediation !== '' && { remediation: cut(remediation) }),
  }
}

/** The status of a result in the words of older programs: `{success, message, error?}`. */
function statusOf(value: object): Status | undefined {
  const { success } = value as { success?: unknown }
  return typeof success === 'boolean' ? (success ? 'pass' : 'fail') : undefined
}

/** The message of a result, and the error behind it where the check names one apart. */
function messageIn(value: object): string {
  const { message, error } = value as { message?: unknown; error?: unknown }
  const text = typeof message === 'string' ? message : ''
  const cause = error instanceof Error ? error.message : error
  if (typeof cause !== 'string' || cause === '' || text.includes(cause)) return text
  return text === '' ? cause : `${text}: ${cause}`
}

const failed = (message: string, remediation?: string): Verdict => ({
  status: 'fail',
  message,
  ...(remediation !== undefined && { remediation }),
})
const faulty = (message: string): Verdict => failed(message, 'The check itself is faulty: correct its code.')

/** Secrets are replaced first: one that is cut in two would not be recognised later. */
function cut(text: string): string {
  const shown = redact(text)
  return shown.length > MAX_TEXT ? `${shown.slice(0, MAX_TEXT)}...` : shown
}

/** Normalised through JSON and bounded to MAX_DETAILS characters. */
function plain(details: object): Record<string, unknown> {
  try {
    const text = JSON.stringify(details)
    if (text.length <= MAX_DETAILS) return JSON.parse(text)
    return { omitted: `${text.length} characters of details` }
  } catch (error) {
    return { omitted: `details that are not JSON: ${reasonOf(error)}` }
  }
}
