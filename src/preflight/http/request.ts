import { isEventType, isId, isRunId } from '../../contract/names.ts'
import { type Launch, NO_EVENT_TYPE } from '../check.ts'

/** A request with an invalid member; `field` names it. */
export class InvalidField extends Error {
  override readonly name = 'InvalidField'
  readonly field: string

  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

const MAX_TEXT = 256
const MAX_METADATA = 4096
const MAX_STREAMERS = 100

type Rule = (value: unknown) => string | undefined

const text =
  (accepts: (text: string) => boolean, expected: string): Rule =>
  (value) =>
    typeof value === 'string' && accepts(value) ? undefined : expected
const id = text(isId, 'must be 1 to 200 of [A-Za-z0-9_.~@=+:-]')
const short = text(
  (value) => value.length > 0 && value.length <= MAX_TEXT,
  `must be a string of 1 to ${MAX_TEXT} characters`,
)

const RULES: Readonly<Record<string, Rule>> = {
  mode: (value) => (value === 'full' || value === 'light' ? undefined : 'must be "full" or "light"'),
  eventType: text(isEventType, 'must be 1 to 64 of [a-z0-9_.-]'),
  campaignId: id,
  agentId: id,
  sessionId: id,
  runId: text(isRunId, 'must be 1 to 200 of [A-Za-z0-9_.~@=+;-]'),
  userId: short,
  streamerIds: (value) =>
    Array.isArray(value) && value.length <= MAX_STREAMERS && value.every((each) => short(each) === undefined)
      ? undefined
      : `must be a list of at most ${MAX_STREAMERS} strings of 1 to ${MAX_TEXT} characters`,
  triggeredBy: short,
  metadata: (value) =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? 'must be an object'
      : lengthOf(value) > MAX_METADATA
        ? `must be at most ${MAX_METADATA} characters of JSON, and not nested too deeply to encode`
        : undefined,
}

/** The length of the value as JSON; infinite when it nests deeper than the stack allows. */
function lengthOf(value: object): number {
  try {
    return JSON.stringify(value).length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * Validates the body of a run request. Defaults: `mode` is full, `eventType` is `none`.
 * @throws InvalidField naming the first invalid or unknown member.
 */
export function launchOf(value: unknown): { launch: Launch; triggeredBy: string | undefined } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidField('', 'The body must be a JSON object.')
  }
  for (const [field, member] of Object.entries(value)) {
    const rule = Object.hasOwn(RULES, field) ? RULES[field] : undefined
    if (rule === undefined) throw new InvalidField(field, `${field}: no such member`)
    const problem = rule(member)
    if (problem !== undefined) throw new InvalidField(field, `${field}: ${problem}`)
  }
  const { triggeredBy, ...given } = value as Partial<Launch> & { triggeredBy?: string }
  return { launch: { mode: 'full', eventType: NO_EVENT_TYPE, ...given }, triggeredBy }
}
