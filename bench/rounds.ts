/**
 * The order of a run: all subjects in turn, round by round, each on a fresh stage. Every second
 * round goes the other way (A B, B A), so a machine that slows down steadily favours no subject.
 */
import { type Outcome, outcomeOf, type Round } from './report/outcome.ts'
import { Faulty, Refused, type Scenario, type Settings } from './scenario.ts'
import { onStage } from './stage/stage.ts'
import type { Subject } from './subject.ts'

/** Called before and after each round. */
export interface Progress {
  begins(what: string): void
  ended(what: string, how: string): void
}

/**
 * Runs all rounds of a scenario. The outcome holds the reason of a round that failed or was
 * refused.
 */
export async function runScenario(
  scenario: Scenario,
  settings: Settings,
  subjects: Subject[],
  progress: Progress,
): Promise<Outcome> {
  const rounds = new Map<string, Round[]>(subjects.map(({ name }) => [name, []]))
  for (let number = 1; number <= settings.rounds; number++) {
    for (const subject of number % 2 === 1 ? subjects : subjects.toReversed()) {
      const what = `${scenario.name} ${number}/${settings.rounds} ${subject.name}`
      progress.begins(what)
      const round = await runRound(scenario, settings, subject)
      rounds.get(subject.name)!.push(round)
      progress.ended(what, inShort(scenario, round))
    }
  }
  return outcomeOf(scenario, settings, rounds)
}

async function runRound(scenario: Scenario, settings: Settings, subject: Subject): Promise<Round> {
  try {
    const set = { ...subject, env: { ...subject.env, ...scenario.env } }
    const values = await onStage(set, (stage) => scenario.round(stage, settings))
    const odd = Object.keys(values).find((key) => !Number.isFinite(values[key]))
    // For example less CPU than /proc can show: there is nothing to divide by.
    if (odd !== undefined) throw new Refused(`too little happened to measure ${odd}`)
    return { values }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (error instanceof Faulty) return { refused: message, faulty: true }
    return error instanceof Refused ? { refused: message } : { failed: message }
  }
}

function inShort({ metrics }: Scenario, round: Round): string {
  if ('refused' in round) return `NOT REPORTED: ${round.refused}`
  if ('failed' in round) return `FAILED: ${round.failed}`
  const [first, second, third = second] = metrics
  const show = (metric = first!) => `${metric.label} ${round.values[metric.key]!.toFixed(metric.digits)}`
  return third ? `${show()}, ${show(third)}` : show()
}
