/** The bench's command line. Tables go to stdout, progress to stderr; exit status 1 when a round was not reported, or the gate was missed. */

import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import { judge, readGate, verdictTable } from './gate.ts'
import { machine, machineLine } from './report/machine.ts'
import type { Outcome } from './report/outcome.ts'
import { reportPage } from './report/page.ts'
import { progressLines } from './report/progress.ts'
import { tableOf } from './report/table.ts'
import { runScenario } from './rounds.ts'
import type { Scenario, Settings } from './scenario.ts'
import { fanout } from './scenarios/fanout.ts'
import { handshake } from './scenarios/handshake.ts'
import { http } from './scenarios/http.ts'
import { idle } from './scenarios/idle.ts'
import { liveFanout, liveFlood, liveMixed } from './scenarios/live.ts'
import { reconnectStorm } from './scenarios/reconnect-storm.ts'
import { runsCrowd, runsMany } from './scenarios/runs.ts'
import { slowReaders } from './scenarios/slow-readers.ts'
import { start } from './scenarios/start.ts'
import { streamPaced, streamSaturated } from './scenarios/stream.ts'
import { unicastPaced, unicastSaturated } from './scenarios/unicast.ts'
import { upstream } from './scenarios/upstream.ts'
import { OURS, SUBJECTS, type Subject } from './subjects.ts'

const SCENARIOS: Scenario[] = [
  handshake,
  unicastSaturated,
  unicastPaced,
  streamSaturated,
  streamPaced,
  fanout,
  upstream,
  idle,
  start,
  runsMany,
  runsCrowd,
  slowReaders,
  reconnectStorm,
  http,
  liveFanout,
  liveMixed,
  liveFlood,
]

/** Of the project, wherever it is started. */
const REPORT = fileURLToPath(new URL('../../bench/results/report.html', import.meta.url))

interface Options {
  sockets?: number
  messages?: number
  rounds?: number
  rate?: number
  window?: number
  subject?: string[]
  quick?: boolean
  json?: boolean
  report?: string
  gate?: boolean
}

/** What takes no part, and why: said at once, and in the report. */
const left: string[] = []

function leaveOut(what: string, why: string): void {
  left.push(`${what}: ${why}`)
  process.stderr.write(`${what}: ${why}\n`)
}

const upTo = (most: number) => (text: string) => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new InvalidArgumentError(`A whole number from 1 to ${most} is needed.`)
}

const command = new Command('bench')
  .description('Compares the gateway with what people use instead, in turn, on this machine.')
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
  .option('--quick', 'one small round of each against the first peer, under a minute')
  .option('--json', 'one JSON object instead of tables')
  .option(
    '--report <file>',
    'where the page with charts goes, one file (default: bench/results/report.html; with --json, none)',
  )
  .addOption(
    new Option('--gate', 'only what gate.json holds, against its peer; exit status 1 when a limit is missed').conflicts(
      [
        'quick', // too small: 2,000 handshakes are 0.2 s of CPU
        'subject',
      ],
    ),
  )
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

/** Those that are named, or all; of all, a quick run leaves out the long ones. */
function scenariosOf(names: string[], { quick }: Options): Scenario[] {
  const slow = names.length === 0 && quick ? SCENARIOS.filter(({ long }) => long) : []
  for (const { name } of slow) leaveOut(name, 'not in a quick run, unless it is named')
  return chosen(SCENARIOS, names, 'scenario').filter((scenario) => !slow.includes(scenario))
}

const subjectsOf = ({ quick, subject }: Options): string[] | undefined =>
  subject ?? (quick ? SUBJECTS.slice(0, 2).map(({ name }) => name) : undefined)

/** Which subjects take part in a scenario; who does not is named, with the reason. */
function partakers(scenario: Scenario, subjects: Subject[]): Subject[] {
  const { subjects: those } = scenario
  if (those && subjects.some(({ name }) => !those.includes(name))) leaveOut(scenario.name, `only ${those} can do it`)
  return subjects.filter(({ name, cannot = {} }) => {
    if (those && !those.includes(name)) return false
    const why = Object.entries(cannot).find(([beginning]) => scenario.name.startsWith(beginning))?.[1]
    if (why !== undefined) leaveOut(`${scenario.name}: without ${name}`, why)
    return why === undefined
  })
}

/** Those that are installed; who is not is named. */
function installed(subjects: Subject[]): Subject[] {
  return subjects.filter(({ name, missing }) => {
    const why = missing?.()
    if (why !== undefined) leaveOut(`skipped: ${name}`, why)
    return why === undefined
  })
}

/** A page that cannot be written is an error before the first round, and not after the last. */
function refuseUnlessWritable(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    closeSync(openSync(file, 'a'))
  } catch (error) {
    command.error(`error: the report cannot be written: ${(error as Error).message}`, { exitCode: 2 })
  }
}

async function run(names: string[], options: Options): Promise<void> {
  if (options.gate && names.length > 0)
    command.error('error: --gate runs the scenarios of gate.json, and no others', { exitCode: 2 })
  const gate = options.gate ? readGate() : undefined
  const scenarios = gate
    ? scenariosOf(
        gate.limits.map(({ scenario }) => scenario),
        options,
      )
    : scenariosOf(names, options)
  const subjects = installed(chosen(SUBJECTS, gate ? [OURS.name, gate.peer] : subjectsOf(options), 'subject'))
  const plan = scenarios.map((scenario) => {
    return { scenario, settings: settingsOf(scenario, options), able: partakers(scenario, subjects) }
  })
  const total = plan.reduce((sum, { settings, able }) => sum + settings.rounds * able.length, 0)
  if (total === 0) command.error('error: none of the subjects can do any of the scenarios', { exitCode: 2 })
  const report = options.report ?? (options.json ? undefined : REPORT)
  if (report !== undefined) refuseUnlessWritable(report)
  const at = new Date()
  const progress = progressLines(total, process.stderr)
  const on = machine(subjects)
  if (!options.json) process.stdout.write(`${machineLine(on)}\n`)
  const outcomes: Outcome[] = []
  for (const { scenario, settings, able } of plan) {
    if (able.length === 0) continue
    const outcome = await runScenario(scenario, settings, able, progress)
    outcomes.push(outcome)
    if (!options.json) process.stdout.write(`\n${tableOf(outcome, scenario.metrics)}\n`)
  }
  const verdicts = gate && judge(gate, OURS.name, outcomes)
  if (report !== undefined) {
    writeFileSync(report, reportPage({ machine: on, at, left, outcomes }))
    process.stderr.write(`report: ${report}\n`)
  }
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ at, machine: on, names, arguments: options, left, outcomes, verdicts }, null, 2)}\n`,
    )
  else if (gate) process.stdout.write(`\n${verdictTable(gate.peer, verdicts!)}\n`)
  process.exitCode = (verdicts ? verdicts.every(({ passed }) => passed) : allReported(outcomes)) ? 0 : 1
}

const allReported = (outcomes: Outcome[]): boolean =>
  outcomes.every(({ subjects }) => subjects.every(({ rounds }) => rounds.every((round) => 'values' in round)))

process.once('SIGINT', () => process.exit(130)) // what was started is ended on exit
process.once('SIGTERM', () => process.exit(143))
process.once('SIGHUP', () => process.exit(129)) // the terminal is gone
await command.parseAsync()
