/** The outcome of one scenario, as printed and as written to JSON. */
import type { Metric, Scenario, Settings, Values } from '../scenario.ts'
import { meanOf, type Summary, summarise } from './statistics.ts'

/** A round has values, or the reason why it has none. */
export type Round = { values: Values } | { refused: string; faulty?: true } | { failed: string }

export interface SubjectOutcome {
  subject: string
  rounds: Round[]
  /** By metric, over the rounds that have values. */
  summaries: Record<string, Summary>
}

export interface Outcome {
  scenario: string
  about: string
  settings: Partial<Settings> & { counted?: string }
  metrics: Metric[]
  subjects: SubjectOutcome[]
  /** By metric: the first subject's median over the second one's. */
  ratios: Record<string, number>
}

export function outcomeOf(scenario: Scenario, settings: Settings, rounds: Map<string, Round[]>): Outcome {
  const subjects = [...rounds].map(([subject, its]) => subjectOutcome(subject, its, scenario.metrics))
  const used = Object.fromEntries([...scenario.uses, 'rounds' as const].map((name) => [name, settings[name]]))
  const { name, about, metrics, counted } = scenario
  return {
    scenario: name,
    about,
    settings: { ...used, ...(counted && { counted }) },
    metrics,
    subjects,
    ratios: ratios(subjects, metrics),
  }
}

function subjectOutcome(subject: string, rounds: Round[], metrics: Metric[]): SubjectOutcome {
  const reported = rounds.flatMap((round) => ('values' in round ? [round.values] : []))
  const summaries: Record<string, Summary> = {}
  for (const { key, summary: way } of metrics) {
    const values = reported.map((each) => each[key]!)
    const summary = summarise(way === 'mean' && values.length > 0 ? [meanOf(values)] : values)
    if (summary) summaries[key] = summary
  }
  return { subject, rounds, summaries }
}

function ratios([first, second]: SubjectOutcome[], metrics: Metric[]): Record<string, number> {
  const compared = metrics.filter(({ key, better }) => {
    return better !== 'context' && first?.summaries[key] && second?.summaries[key]?.median
  })
  return Object.fromEntries(
    compared.map(({ key }) => [key, first!.summaries[key]!.median / second!.summaries[key]!.median]),
  )
}
