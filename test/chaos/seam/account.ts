/** One message, as its agent knows it. Its number `n` is its index in the list of its session. */
export interface Said {
  readonly text: string
  /** Its offset in the log; 0: Redis did not confirm it, so that it may be in the log or not. */
  readonly offset: number
}

/** What a client had before it came back: `undefined` when it asks for what comes from now on. */
export interface Place {
  readonly epoch: string
  readonly offset: number
}

/** One frame that a client got, in order, over all its connections. */
export type Event =
  | { readonly kind: 'position'; readonly to: Place; readonly from: Place | undefined; readonly reason?: string }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number; readonly reason: string }
  | { readonly kind: 'message'; readonly offset: number; readonly text: string }

export interface Account {
  readonly complaints: readonly string[]
  /** Confirmed messages that did not come. */
  readonly lost: number
  /** Those of them that a frame said to be missing, or that Redis itself has lost. */
  readonly told: number
  readonly duplicated: number
  readonly reordered: number
}

/** The beginning of every message. */
export const textOf = (n: number, padding: string): string => `{"n":${n},"padding":"${padding}"}`

const numberOf = (text: string): number => Number(/^\{"n":(\d+),/.exec(text)?.[1] ?? Number.NaN)

export interface Case {
  readonly name: string
  readonly events: readonly Event[]
  /** All that the agent said, by number. */
  readonly said: readonly Said[]
  /** The last number that the client is owed. */
  readonly upTo: number
  /** Whether the run has a reason to lose messages of which a frame says so. */
  readonly isExcused: (reason: string) => boolean
  /** Whether Redis itself has lost a message that it had confirmed. */
  readonly isGone: (n: number) => boolean
}

/**
 * Checks by the numbers of the agent all that a client got. Each confirmed message behind the place
 * where the client began came once and in order, or a frame said that it is missing.
 */
export function accountOf({ name, events, said, upTo, isExcused, isGone }: Case): Account {
  const complaints: string[] = []
  const say = (what: string) => complaints.push(`${name}: ${what}`)
  const came = new Set<number>()
  const told = new Set<number>()
  let [duplicated, reordered, last, begin] = [0, 0, -1, -1]
  const missing = (from: number, to: number, reason: string) => {
    for (let offset = from; offset <= to; offset++) told.add(offset)
    const lost = said.some((each) => each.offset >= from && each.offset <= to)
    if (lost && !isExcused(reason)) say(`${from} to ${to} are said to be missing (${reason}) without a fault`)
  }
  for (const event of events) {
    if (event.kind === 'gap') missing(event.from, event.to, event.reason)
    else if (event.kind === 'position') {
      const { to, from, reason } = event
      if (begin < 0) begin = (from ?? to).offset
      if (reason === undefined) continue
      // Behind a fail-over the same offsets come again for other messages.
      for (const offset of told) if (offset > to.offset) told.delete(offset)
      if (from !== undefined && from.offset < to.offset) missing(from.offset + 1, to.offset, reason)
      else if (!isExcused(reason)) say(`the numbers go back to ${to.offset} (${reason}) without a fault`)
    } else {
      const n = numberOf(event.text)
      const of = said[n]
      if (of?.text !== event.text) say(`${event.text.slice(0, 40)} is not what was said`)
      else if (of.offset > 0 && of.offset !== event.offset) say(`${n} has the offset ${event.offset}, not ${of.offset}`)
      if (came.has(n)) duplicated++
      else if (n < last) reordered++
      if (told.has(event.offset)) say(`${event.offset} was said to be missing and came`)
      came.add(n)
      last = Math.max(last, n)
    }
  }
  const owed = (n: number) => begin >= 0 && n <= upTo && said[n]!.offset > begin
  const lost = [...said.keys()].filter((n) => owed(n) && !came.has(n))
  const silent = lost.filter((n) => !told.has(said[n]!.offset) && !isGone(n))
  if (begin < 0) say('it never got a position')
  if (silent.length > 0) say(`lost in silence: ${rangesOf(silent)}`)
  if (duplicated > 0) say(`${duplicated} came twice`)
  if (reordered > 0) say(`${reordered} came behind a later one`)
  return { complaints, lost: lost.length, told: lost.length - silent.length, duplicated, reordered }
}

function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = []
  for (const n of numbers) {
    const range = ranges.at(-1)
    if (range && range[1] === n - 1) range[1] = n
    else ranges.push([n, n])
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}
