/** The bench's command line. Tables go to stdout, progress to stderr; exit status 1 when a round was not reported. */
import { Command, InvalidArgumentError } from 'commander'
import { machine } from './report/machine.ts'
import type { Outcome } from './report/outcome.ts'
import { tableOf } from './report/table.ts'
import { runScenario } from './rounds.ts'
import type { Scenario, Settings } from './scenario.ts'
import { fanout } from './scenarios/fanout.ts'
import { handshake } from './scenarios/handshake.ts'
import { idle } from './scenarios/idle.ts'
import { reconnectStorm } from './scenarios/reconnect-storm.ts'
import { runsCrowd, runsMany } from './scenarios/runs.ts'
import { slowReaders } from './scenarios/slow-readers.ts'
import { streamPaced, streamSaturated } from './scenarios/stream.ts'
import { unicastPaced, unicastSaturated } from './scenarios/unicast.ts'
import { upstream } from './scenarios/upstream.ts'
import { SUBJECTS, type Subject } from './subjects.ts'

const SCENARIOS: Scenario[] = [
  handshake,
  unicastSaturated,
  unicastPaced,
  streamSaturated,
  streamPaced,
  fanout,
  upstream,
  idle,
  runsMany,
  runsCrowd,
  slowReaders,
  reconnectStorm,
]

interface Options {
  sockets?: number
  messages?: number
  rounds?: number
  rate?: number
  window?: number
  subject?: string[]
  quick?: boolean
  json?: boolean
}

const upTo = (most: number) => (text: string) => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new InvalidArgumentError(`A whole number from 1 to ${most} is needed.`)
}

const command = new Command('bench')
  .description('Compares the gateway with a hand-written one (ws + redis), in turn, on this machine.')
  .argument(
    '[scenario...]',
    `which ones, by the beginning of their names: ${SCENARIOS.map(({ name }) => name).join(', ')}`,
  )
  .option('--sockets <n>', 'sockets, each on a session of its own', upTo(15_000))
  .option('--messages <n>', 'messages measured in a round', upTo(50_000_000))
  .option('--rounds <n>', 'rounds of each scenario', upTo(50))
  .option('--rate <n>', 'messages a second, where they are paced', upTo(1_000_000))
  .option('--window <n>', 'messages under way, where they are not paced', upTo(1_000_000))
  .option('--subject <name...>', `only these: ${SUBJECTS.map(({ name }) => name).join(', ')}`)
  .option('--quick', 'one small round of each, under a minute')
  .option('--json', 'one JSON object instead of tables')
  .action(run)

function chosen<T extends { name: string }>(all: T[], names: string[] | undefined, kind: string): T[] {
  if (!names || names.length === 0) return all
  const unknown = names.find((name) => !all.some((one) => one.name.startsWith(name)))
  if (unknown !== undefined) command.error(`error: no ${kind} is called ${unknown}`, { exitCode: 2 })
  return all.filter((one) => names.some((name) => one.name.startsWith(name)))
}

function settingsOf(scenario: Scenario, { quick, rate, ...given }: Options): Settings {
  const { sockets, messages, rounds, window } = given
  const overrides = Object.entries({ sockets, messages, rounds, window, perSecond: rate })
  const set = Object.fromEntries(overrides.filter(([, value]) => value !== undefined))
  return { ...scenario.defaults, ...(quick && scenario.quick), ...set }
}

async function run(names: string[], options: Options): Promise<void> {
  const scenarios = chosen(SCENARIOS, names, 'scenario')
  const subjects: Subject[] = chosen(SUBJECTS, options.subject, 'subject')
  const outcomes: Outcome[] = []
  for (const scenario of scenarios) {
    const progress = (line: string) => process.stderr.write(`${line}\n`)
    const able = subjects.filter(({ name }) => scenario.subjects?.includes(name) ?? true)
    const outcome = await runScenario(scenario, settingsOf(scenario, options), able, progress)
    outcomes.push(outcome)
    if (!options.json) process.stdout.write(`\n${tableOf(outcome, scenario.metrics)}\n`)
  }
  if (options.json)
    process.stdout.write(`${JSON.stringify({ machine: machine(), arguments: options, outcomes }, null, 2)}\n`)
  const reported = outcomes.every(({ subjects }) =>
    subjects.every(({ rounds }) => rounds.every((round) => 'values' in round)),
  )
  process.exitCode = reported ? 0 : 1
}

process.once('SIGINT', () => process.exit(130)) // what was started is ended on exit
process.once('SIGTERM', () => process.exit(143))
await command.parseAsync()
