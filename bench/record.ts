/**
 * The recorded results: `--compare --record` writes them to bench/recorded.json, and with them the
 * generated part of the page about benchmarks. `npm run generate` writes that part again.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Machine } from './report/machine.ts'
import { withMeasured } from './report/measured.ts'
import type { Outcome, Round } from './report/outcome.ts'
import { Impossible, type Metric } from './scenario.ts'

const RECORDED = new URL('../../bench/recorded.json', import.meta.url)
export const PAGE = new URL('../../docs/development/benchmarks.md', import.meta.url)

/** What the page shows of a round. */
const KEPT = ['cpuUs', 'perCoreSecond', 'p50Ms', 'p99Ms', 'peakMb', 'machineIdle']
const DIGITS = 4

export interface RecordedOutcome {
  scenario: string
  about: string
  settings: Outcome['settings']
  metrics: Metric[]
  subjects: { subject: string; rounds: Round[] }[]
}

export interface Recorded {
  at: string
  /** The last commit that changed the gateway or its packages. */
  commit: string
  machine: Machine
  /** Whether the machine had other work, so that only CPU counts. */
  cpuOnly: boolean
  left: string[]
  outcomes: RecordedOutcome[]
}

/** Throws `Impossible` when the tree has changes: figures need a commit that can be built again. */
export function refuseUncommitted({ packages }: Machine): void {
  if (/-dirty$/.test(packages.wsproxy ?? '')) throw new Impossible('--record needs a commit, and the tree has changes')
}

/** Writes the results and the page. */
export function record(run: Omit<Recorded, 'outcomes' | 'commit'> & { outcomes: Outcome[] }): void {
  const recorded: Recorded = { ...run, commit: sourceCommit(), outcomes: run.outcomes.map(kept) }
  writeFileSync(RECORDED, `${JSON.stringify(recorded, null, 2)}\n`)
  writeFileSync(PAGE, pageText())
}

function sourceCommit(): string {
  const args = ['log', '-1', '--format=%h', '--', 'src', 'package-lock.json']
  const { stdout } = spawnSync('git', args, { cwd: new URL('../..', import.meta.url), encoding: 'utf8' })
  return stdout.trim()
}

/** The text that the page must have: what is written by hand, and the recorded results. */
export function pageText(): string {
  const recorded: Recorded = JSON.parse(readFileSync(RECORDED, 'utf8'))
  return withMeasured(readFileSync(PAGE, 'utf8'), recorded)
}

const kept = ({ scenario, about, settings, metrics, subjects }: Outcome): RecordedOutcome => ({
  scenario,
  about,
  settings,
  metrics: metrics.filter(({ key }) => KEPT.includes(key)),
  subjects: subjects.map(({ subject, rounds }) => ({ subject, rounds: rounds.map(keptOf) })),
})

function keptOf(round: Round): Round {
  if (!('values' in round)) return round
  const its = Object.entries(round.values).filter(([key]) => KEPT.includes(key))
  return { values: Object.fromEntries(its.map(([key, value]) => [key, Number(value.toPrecision(DIGITS))])) }
}
