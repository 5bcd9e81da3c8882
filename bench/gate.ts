/**
 * What CI watches: ratios of ours to the peer of the same run, each with a limit. gate.json lists
 * them; this file only judges.
 */
import { readFileSync } from 'node:fs'
import type { Outcome } from './report/outcome.ts'
import { align } from './report/table.ts'

interface Limit {
  scenario: string
  metric: string
  /** Limits of the ratio of the medians, ours over the peer's; at least one is set. */
  atMost?: number
  atLeast?: number
  /** Judge the largest value of ours, not the median: no round may be an exception. */
  worst?: true
}

export interface Gate {
  peer: string
  limits: Limit[]
}

export interface Verdict {
  limit: Limit
  ratio: number | undefined
  passed: boolean
  /** Why there is no ratio. */
  why?: string
}

/** Reads the project's gate. Throws when a limit has no bound, because it would limit nothing. */
export function readGate(file = new URL('../../bench/gate.json', import.meta.url)): Gate {
  const gate: Gate = JSON.parse(readFileSync(file, 'utf8'))
  const loose = gate.limits.find(({ atMost, atLeast }) => typeof atMost !== 'number' && typeof atLeast !== 'number')
  if (loose) throw new Error(`gate.json: ${loose.scenario} ${loose.metric} has neither atMost nor atLeast`)
  return gate
}

/** Judges each limit by the outcomes of one run. A ratio that was not measured counts as missed. */
export function judge({ peer, limits }: Gate, ours: string, outcomes: Outcome[]): Verdict[] {
  return limits.map((limit) => {
    const outcome = outcomes.find(({ scenario }) => scenario === limit.scenario)
    if (!outcome) return missed(limit, 'the scenario did not run')
    const medianOf = (name: string) =>
      outcome.subjects.find(({ subject }) => subject === name)?.summaries[limit.metric]?.median
    const few = [ours, peer].find((name) => !hasMost(outcome, name))
    const fault = faultOf(outcome, ours)
    if (fault !== undefined) return missed(limit, `a round of ${ours}: ${fault}`)
    const largest = outcome.subjects.find(({ subject }) => subject === ours)?.summaries[limit.metric]?.max
    const [own, other] = [limit.worst ? largest : medianOf(ours), medianOf(peer)]
    if (few !== undefined) return missed(limit, `less than half of the rounds of ${few} are reported`)
    if (own === undefined) return missed(limit, `no round of ${ours} has it`)
    if (other === undefined) return missed(limit, `no round of ${peer} has it`)
    const ratio = own / other
    // Memory that the process gave back meanwhile makes a slope negative; a ratio of such slopes
    // means nothing.
    if (!(own > 0 && other > 0 && Number.isFinite(ratio))) return missed(limit, `${own} over ${other} is no ratio`)
    return { limit, ratio, passed: ratio <= (limit.atMost ?? Infinity) && ratio >= (limit.atLeast ?? 0) }
  })
}

/** Whether most rounds of a subject have values: a single valid round may be a lucky one. */
function hasMost({ subjects }: Outcome, name: string): boolean {
  const rounds = subjects.find(({ subject }) => subject === name)?.rounds ?? []
  return rounds.filter((round) => 'values' in round).length > rounds.length / 2
}

/**
 * The fault of a subject in one of its rounds, which no other round makes up for. A busy machine is
 * not such a fault.
 */
function faultOf({ subjects }: Outcome, name: string): string | undefined {
  const rounds = subjects.find(({ subject }) => subject === name)?.rounds ?? []
  const faults = rounds.flatMap((round) =>
    'failed' in round ? [round.failed] : 'refused' in round && round.faulty ? [round.refused] : [],
  )
  return faults[0]
}

function missed(limit: Limit, why: string): Verdict {
  return { limit, ratio: undefined, passed: false, why }
}

export const verdictTable = (peer: string, verdicts: Verdict[]): string =>
  [`gate: ours/${peer}`, '', ...align([VERDICT_HEAD, ...verdicts.map(verdictRow)]), ''].join('\n')

export const VERDICT_HEAD = ['', 'ratio', 'limit', '']

/** A table of the measured medians, the ratio, its limit, and the verdict. */
export function verdictRow({ limit, ratio, passed, why }: Verdict): string[] {
  const bound = limit.atMost === undefined ? `at least ${limit.atLeast}` : `at most ${limit.atMost}`
  const how = passed ? 'passed' : `MISSED ${why ?? ''}`.trim()
  return [`${limit.scenario} ${limit.metric}${limit.worst ? ' (worst)' : ''}`, ratio?.toFixed(2) ?? '-', bound, how]
}
