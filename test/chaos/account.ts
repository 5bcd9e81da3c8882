/** An interval, in milliseconds since the epoch. */
export interface Interval {
  readonly from: number
  readonly to: number
}

/** One message of an agent: when it was sent to Redis, and when Redis confirmed it. */
export interface Published {
  readonly text: string
  readonly at: Interval
  /** Whether Redis confirmed the message. Otherwise it may or may not have been published. */
  readonly sure: boolean
}

/** Everything that a socket observed by the end of a run. */
export interface Witness {
  readonly name: string
  readonly openedAt: number
  readonly closeCode: number | undefined
  readonly frames: readonly string[]
  /** The number of frames that it sent on :up, numbered from 0. */
  readonly sent: number
}

/** The tolerance in ms between timestamps, which several clocks round to whole milliseconds. */
const CLOCK_SLACK_MS = 2

const touches = (a: Interval, b: Interval): boolean =>
  a.from <= b.to + CLOCK_SLACK_MS && b.from <= a.to + CLOCK_SLACK_MS

/** The intervals of the gap frames that a socket received. */
export function gapsOf({ frames }: Witness): Interval[] {
  return frames
    .filter((frame) => frame.startsWith('{"type":"control","command":"gap"'))
    .map((frame) => JSON.parse(frame))
    .map(({ from, to }) => ({ from: Date.parse(from), to: Date.parse(to) }))
}

/** The number of error frames with this code that a socket received. */
const errorsOf = ({ frames }: Witness, code: string): number =>
  frames.filter((frame) => frame.startsWith('{"type":"error"') && frame.includes(`"code":"${code}"`)).length

/**
 * Checks all that was published to the session of a socket, by number. Each message arrived once,
 * in order and unchanged, or it was published within a gap that the socket was notified of. Each
 * gap must follow from a fault. Returns the complaints.
 */
export function accountDown(witness: Witness, published: readonly Published[], faults: readonly Interval[]): string[] {
  const complaints: string[] = []
  const say = (what: string) => complaints.push(`${witness.name}: ${what}`)
  if (witness.closeCode !== undefined) say(`closed with ${witness.closeCode}`)
  const came = new Set<number>()
  let last = -1
  for (const frame of witness.frames) {
    const number = numberOf(frame)
    if (number === undefined) continue
    if (number <= last) say(`${number} came after ${last}`)
    if (published[number]?.text !== frame) say(`${number} is not what was published`)
    came.add(number)
    last = number
  }
  const gaps = gapsOf(witness)
  for (const [number, { at, sure }] of published.entries()) {
    if (came.has(number) || !sure || at.from <= witness.openedAt) continue
    if (!gaps.some((gap) => touches(gap, at))) say(`${number}, published ${stamp(at)}, is missing in silence`)
  }
  for (const gap of gaps) if (!faults.some((fault) => touches(gap, fault))) say(`the gap ${stamp(gap)} has no reason`)
  return complaints
}

/**
 * Checks all frames that a socket sent. Each was heard once and in order, or refused, or reported
 * as uncertain. Returns the complaints.
 */
export function accountUp(witness: Witness, heard: readonly number[], unheard = 0): string[] {
  const complaints: string[] = []
  const say = (what: string) => complaints.push(`${witness.name}: ${what}`)
  for (const [i, number] of heard.entries()) {
    if (i > 0 && number <= heard[i - 1]!) say(`frame ${number} was heard after ${heard[i - 1]}`)
    if (number >= witness.sent) say(`frame ${number} was heard and never sent`)
  }
  const refused = errorsOf(witness, 'upstream-unavailable')
  const uncertain = errorsOf(witness, 'upstream-uncertain')
  const sums = `${witness.sent} sent, ${heard.length} heard, ${refused} refused, ${uncertain} uncertain`
  if (heard.length + refused + uncertain + unheard < witness.sent) say(`frames are missing in silence: ${sums}`)
  if (heard.length + refused > witness.sent) say(`frames were refused that were published: ${sums}`)
  return complaints
}

/** The beginning of every message of an agent. */
export const numbered = (number: number, padding: string): string => `{"n":${number},"padding":"${padding}"}`

function numberOf(frame: string): number | undefined {
  const [, number] = /^\{"n":(\d+),/.exec(frame) ?? []
  return number === undefined ? undefined : Number(number)
}

const stamp = ({ from, to }: Interval): string => `${new Date(from).toISOString()} to ${new Date(to).toISOString()}`
