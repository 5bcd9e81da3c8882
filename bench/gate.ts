/** What CI watches: ratios of ours to the peer of the same run, each with a limit. They are in gate.json, and this file only judges. */
import { readFileSync } from 'node:fs'
import type { Outcome } from './report/outcome.ts'
import { align } from './report/table.ts'

export interface Limit {
  scenario: string
  metric: string
  /** One of the two: the ratio of the medians, ours over the peer's. */
  atMost?: number
  atLeast?: number
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

/** The project's gate. */
export function readGate(): Gate {
  return JSON.parse(readFileSync(new URL('../../bench/gate.json', import.meta.url), 'utf8'))
}

/** Judges each limit by the outcomes of one run. What was not measured is missed: a gate that nobody ran has not been passed. */
export function judge({ peer, limits }: Gate, ours: string, outcomes: Outcome[]): Verdict[] {
  return limits.map((limit) => {
    const outcome = outcomes.find(({ scenario }) => scenario === limit.scenario)
    if (!outcome) return missed(limit, 'the scenario did not run')
    const medianOf = (name: string) =>
      outcome.subjects.find(({ subject }) => subject === name)?.summaries[limit.metric]?.median
    const [own, other] = [medianOf(ours), medianOf(peer)]
    if (own === undefined) return missed(limit, `no round of ${ours} has it`)
    if (other === undefined) return missed(limit, `no round of ${peer} has it`)
    const ratio = own / other
    if (!Number.isFinite(ratio)) return missed(limit, `${own} over ${other} is no ratio`)
    return { limit, ratio, passed: ratio <= (limit.atMost ?? Infinity) && ratio >= (limit.atLeast ?? 0) }
  })
}

function missed(limit: Limit, why: string): Verdict {
  return { limit, ratio: undefined, passed: false, why }
}

export function verdictTable(peer: string, verdicts: Verdict[]): string {
  const rows = verdicts.map(({ limit, ratio, passed, why }) => {
    const bound = limit.atMost === undefined ? `at least ${limit.atLeast}` : `at most ${limit.atMost}`
    return [
      `${limit.scenario} ${limit.metric}`,
      ratio?.toFixed(2) ?? '-',
      bound,
      passed ? 'passed' : `MISSED ${why ?? ''}`,
    ]
  })
  return [`gate: ours/${peer}`, '', ...align([['', 'ratio', 'limit', ''], ...rows]), ''].join('\n')
}
