/**
 * The bench's command line. Tables go to stdout, progress to stderr. Exit status 1: a round was not
 * reported, the gate was missed, or a hot path costs more than in the other commit. Exit status 2:
 * invalid arguments.
 */

import { fileURLToPath } from 'node:url'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { againstOptions, beforeOf, changesOf, changeTable, hasFailed, lastRelease } from './against.ts'
import { compared } from './compare.ts'
import { type Gate, judge, readGate, verdictTable } from './gate.ts'
import { type Options, type Planned, planOf, withBuilt } from './plan.ts'
import { record, refuseUncommitted } from './record.ts'
import { checkWritable, writeWhole } from './report/file.ts'
import { machine, machineLine } from './report/machine.ts'
import type { Outcome } from './report/outcome.ts'
import { reportPage } from './report/page.ts'
import { progressLines } from './report/progress.ts'
import { tableOf } from './report/table.ts'
import { runScenario } from './rounds.ts'
import { Impossible, judgeCpuOnly } from './scenario.ts'
import { SCENARIOS } from './scenarios/all.ts'
import { redisServer } from './stage/installed.ts'
import { OURS, SUBJECTS } from './subjects.ts'

/** In the folder of the project, wherever the command is started. */
const REPORT = fileURLToPath(new URL('../../bench/results/report.html', import.meta.url))

interface Arguments extends Options {
  json?: boolean
  report?: string
  gate?: boolean
  compare?: boolean
  record?: boolean
  /** True for the last release. */
  against?: string | true
}

const upTo = (most: number) => (text: string) => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new InvalidArgumentError(`A whole number from 1 to ${most} is needed.`)
}

const names = (all: { name: string }[]) => all.map(({ name }) => name).join(', ')

const command = new Command('bench')
  .description('Compares the gateway with its alternatives, in turn, on this machine.')
  .argument('[scenario...]', `scenarios to run, by the beginning of their names: ${names(SCENARIOS)}`)
  .option('--sockets <n>', 'sockets, each on a session of its own', upTo(15_000))
  .option('--messages <n>', 'messages measured in a round', upTo(50_000_000))
  .option('--rounds <n>', 'rounds of each scenario', upTo(50))
  .option(
    '--rate <n>',
    'messages a second in paced scenarios; keeps the duration unless --messages is given',
    upTo(1_000_000),
  )
  .option('--window <n>', 'messages under way in saturated scenarios', upTo(1_000_000))
  .option('--subject <name...>', `only these: ${names(SUBJECTS)}`)
  .option('--quick', 'one small round of each scenario against the first peer, in a minute or two')
  .option('--compare', 'ours beside the peers of the same work (compare.ts), in ten minutes')
  .option('--record', 'with --compare: keep the results, and write them into the page about benchmarks')
  .option('--cpu-only', 'figures of CPU alone, which rounds have on a busy machine too')
  .addOption(
    new Option(
      '--against [ref]',
      'CPU of the hot paths beside another commit (default: the last release); exit status 1 when it has grown',
    ).conflicts(['quick', 'compare', 'subject', 'gate']),
  )
  .option('--json', 'print one JSON object instead of tables')
  .option(
    '--report <file>',
    'the file for the page with charts (default: bench/results/report.html; with --json, none)',
  )
  .addOption(
    new Option(
      '--gate',
      'run only the scenarios of gate.json against its peer; exit status 1 when a limit is missed',
    ).conflicts([
      // The gate judges the default settings of its scenarios.
      ...['quick', 'compare', 'subject', 'sockets', 'messages', 'rate', 'window'],
    ]),
  )
  .exitOverride()
  .action(run)

/** What is left out and why: printed at once, and listed in the report. */
const left: string[] = []

function leaveOut(what: string, why: string): void {
  left.push(`${what}: ${why}`)
  process.stderr.write(`${what}: ${why}\n`)
}

function planned(scenarios: string[], options: Arguments, gate: Gate | undefined): Planned[] {
  if (options.against !== undefined) {
    const before = beforeOf(options.against === true ? lastRelease() : options.against)
    const plan = planOf(...againstOptions(scenarios, options), leaveOut)
    return plan.map((one) => ({ ...one, able: [...one.able, before] }))
  }
  if (!gate) {
    const [names, all] = options.compare ? compared(scenarios, options) : [scenarios, options]
    return planOf(names, all, leaveOut)
  }
  if (scenarios.length > 0) throw new Impossible('--gate runs the scenarios of gate.json, and no others')
  const its = gate.limits.map(({ scenario }) => scenario)
  return planOf(its, { ...options, subject: [OURS.name, gate.peer] }, leaveOut)
}

async function run(scenarios: string[], options: Arguments): Promise<void> {
  const gate = options.gate ? readGate() : undefined
  if (options.record && !options.compare) throw new Impossible('--record keeps the results of --compare')
  if (redisServer() === undefined) throw new Impossible('neither redis-server nor valkey-server is on the PATH')
  const wanted = planned(scenarios, options, gate)
  if (options.cpuOnly || options.against !== undefined) judgeCpuOnly()
  const page = options.report ?? (options.json ? undefined : REPORT)
  const report = page === undefined ? undefined : checkWritable(page)
  const plan = withBuilt(wanted, leaveOut)
  const at = new Date()
  const on = machine([...new Set(plan.flatMap(({ able }) => able))])
  if (!options.json) process.stdout.write(`${machineLine(on)}\n`)
  const progress = progressLines(
    plan.reduce((sum, { settings, able }) => sum + settings.rounds * able.length, 0),
    process.stderr,
  )
  if (options.record) refuseUncommitted(on)
  const outcomes: Outcome[] = []
  for (const { scenario, settings, able } of plan) {
    const outcome = await runScenario(scenario, settings, able, progress)
    outcomes.push(outcome)
    if (!options.json) process.stdout.write(`\n${tableOf(outcome, scenario.metrics)}\n`)
    // Written after each scenario, so that an interrupted run keeps its results.
    if (options.record) record({ at: at.toISOString(), machine: on, cpuOnly: options.cpuOnly === true, left, outcomes })
    if (report !== undefined) writeWhole(report, reportPage({ machine: on, at, left, outcomes }))
  }
  const verdicts = gate && judge(gate, OURS.name, outcomes)
  const changes = options.against === undefined ? undefined : changesOf(outcomes)
  if (options.json) {
    const all = { at, machine: on, names: scenarios, arguments: options, left, outcomes, verdicts, changes }
    process.stdout.write(`${JSON.stringify(all, null, 2)}\n`)
  } else if (gate) process.stdout.write(`\n${verdictTable(gate.peer, verdicts!)}\n`)
  else if (changes) process.stdout.write(`\n${changeTable(on.packages.before ?? '', changes)}\n`)
  if (report !== undefined) {
    writeWhole(
      report,
      reportPage({ machine: on, at, left, outcomes, ...(gate && { gate: { ...gate, verdicts: verdicts! } }) }),
    )
    process.stderr.write(`report: ${report}\n`)
  }
  const passed = verdicts?.every((verdict) => verdict.passed) ?? (changes ? !hasFailed(changes) : allReported(outcomes))
  process.exitCode = passed ? 0 : 1
}

const allReported = (outcomes: Outcome[]): boolean =>
  outcomes.every(({ subjects }) => subjects.every(({ rounds }) => rounds.every((round) => 'values' in round)))

process.once('SIGINT', () => process.exit(130)) // the exit handlers end the started processes
process.once('SIGTERM', () => process.exit(143))
process.once('SIGHUP', () => process.exit(129)) // the terminal is gone
process.stdout.on('error', () => process.exit(1)) // the reader is gone, as with "| head"
try {
  await command.parseAsync()
} catch (error) {
  if (error instanceof Impossible) process.stderr.write(`error: ${error.message}\n`)
  else if (!(error instanceof CommanderError)) throw error // commander has already printed its message
  process.exitCode = error instanceof CommanderError && error.exitCode === 0 ? 0 : 2
}
