/** The order of things: all subjects in turn, round by round, each on a fresh stage. */
import { type Outcome, outcomeOf, type Round } from './report/outcome.ts'
import { Refused, type Scenario, type Settings } from './scenario.ts'
import { onStage } from './stage/stage.ts'
import type { Subject } from './subjects.ts'

/** Runs all rounds of a scenario. A round that is refused or fails is in the outcome with its reason. */
export async function runScenario(
  scenario: Scenario,
  settings: Settings,
  subjects: Subject[],
  progress: (line: string) => void,
): Promise<Outcome> {
  const rounds = new Map<string, Round[]>(subjects.map(({ name }) => [name, []]))
  for (let number = 1; number <= settings.rounds; number++) {
    for (const subject of subjects) {
      const round = await runRound(scenario, settings, subject)
      rounds.get(subject.name)!.push(round)
      progress(`${scenario.name} ${number}/${settings.rounds} ${subject.name}: ${inShort(scenario, round)}`)
    }
  }
  return outcomeOf(scenario, settings, rounds)
}

async function runRound(scenario: Scenario, settings: Settings, subject: Subject): Promise<Round> {
  try {
    const set = { ...subject, env: { ...subject.env, ...scenario.env } }
    return { values: await onStage(set, (stage) => scenario.round(stage, settings)) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return error instanceof Refused ? { refused: message } : { failed: message }
  }
}

function inShort({ metrics }: Scenario, round: Round): string {
  if ('refused' in round) return `NOT REPORTED: ${round.refused}`
  if ('failed' in round) return `FAILED: ${round.failed}`
  const [first, , third] = metrics
  const show = (metric = first!) => `${metric.label} ${round.values[metric.key]!.toFixed(metric.digits)}`
  return `${show()}, ${show(third)}`
}
