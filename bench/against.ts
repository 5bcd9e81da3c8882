/**
 * `--against REF`: CPU of the hot paths of this tree and of another commit, in paired rounds. It
 * fails when a path costs more than a tenth more, and the spread does not explain that.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { reasonOf } from '../src/platform/reason.ts'
import type { Options } from './plan.ts'
import type { Outcome, SubjectOutcome } from './report/outcome.ts'
import { summarise } from './report/statistics.ts'
import { align } from './report/table.ts'
import { Impossible, type Settings } from './scenario.ts'
import type { Subject } from './subject.ts'
import { OURS } from './subjects.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BEFORE = 'before'

/** The hot paths, with rounds just long enough for CPU to be exact to a hundredth. */
export const HOT_PATHS: Record<string, Partial<Settings>> = {
  'unicast-saturated': { messages: 600_000, rounds: 8 },
  'stream-saturated': { messages: 1_000_000, rounds: 8 },
  'unicast-paced': { messages: 100_000, rounds: 8 },
  fanout: { messages: 200_000, rounds: 8 },
  upstream: { messages: 100_000, rounds: 8 },
  handshake: { sockets: 5000, rounds: 8 },
}

const METRIC = 'cpuUs'
/** A hot path may cost so much more. */
const ALLOWED = 1.1
/** Fewer pairs than this prove nothing. */
const FEWEST = 6
/** The slower commit may win one pair in eight by chance. */
const LUCKY_SHARE = 1 / 8

export const againstOptions = (names: string[], options: Options): [string[], Options] => [
  names.length > 0 ? names : Object.keys(HOT_PATHS),
  { ...options, subject: [OURS.name], works: HOT_PATHS, cpuOnly: true },
]

export interface Change {
  scenario: string
  /** The ratios of the pairs, ours over before. */
  ratios: number[]
  verdict: 'slower' | 'unsure' | 'as before' | 'faster' | 'no figures'
  why?: string
}

/** Judges each hot path by its pairs: the rounds of the two commits with the same number. */
export const changesOf = (outcomes: Outcome[]): Change[] =>
  outcomes.map(({ scenario, subjects }) => {
    const [ours, before] = [OURS.name, BEFORE].map((name) => subjects.find(({ subject }) => subject === name))
    const ratios = ours && before ? ratiosOf(ours, before) : []
    const fault = ours && faultOf(ours)
    if (fault !== undefined) return { scenario, ratios, verdict: 'no figures', why: fault }
    if (ratios.length < FEWEST)
      return { scenario, ratios, verdict: 'no figures', why: `${ratios.length} pairs, and ${FEWEST} are needed` }
    return { scenario, ratios, ...verdictOf(ratios) }
  })

function ratiosOf(ours: SubjectOutcome, before: SubjectOutcome): number[] {
  return ours.rounds.flatMap((round, place) => {
    const other = before.rounds[place]
    if (!('values' in round) || other === undefined || !('values' in other)) return []
    return [round.values[METRIC]! / other.values[METRIC]!]
  })
}

/** A loss is no matter of speed, and no other round makes up for it. */
function faultOf({ rounds }: SubjectOutcome): string | undefined {
  for (const round of rounds) {
    if ('failed' in round) return round.failed
    if ('refused' in round && round.faulty) return round.refused
  }
  return undefined
}

function verdictOf(ratios: number[]): Pick<Change, 'verdict' | 'why'> {
  const { median } = summarise(ratios)!
  const lucky = ratios.filter((ratio) => ratio <= 1).length
  if (median <= ALLOWED) return { verdict: median < 1 / ALLOWED ? 'faster' : 'as before' }
  if (lucky <= ratios.length * LUCKY_SHARE) return { verdict: 'slower' }
  return { verdict: 'unsure', why: `${lucky} of ${ratios.length} pairs say otherwise: repeat it on a calm machine` }
}

/** Whether the job fails. A spread that explains a difference does not fail it. */
export const hasFailed = (changes: Change[]): boolean =>
  changes.length === 0 || changes.some(({ verdict }) => verdict === 'slower' || verdict === 'no figures')

export function changeTable(ref: string, changes: Change[]): string {
  const rows = changes.map(({ scenario, ratios, verdict, why }) => {
    const summary = summarise(ratios)
    const spread = summary ? `${summary.min.toFixed(2)}..${summary.max.toFixed(2)}` : '-'
    return [scenario, summary?.median.toFixed(2) ?? '-', spread, String(ratios.length), verdict, why ?? '']
  })
  return [`CPU of this tree over ${ref}`, '', ...align([['', 'median', 'pairs', '', '', ''], ...rows])].join('\n')
}

/**
 * The gateway of another commit as a subject, built in a folder of its own. Throws `Impossible`
 * when there is no such commit, or when it cannot be built.
 */
export function beforeOf(ref: string): Subject {
  const commit = git('rev-parse', '--verify', '--quiet', `${ref}^{commit}`)
  if (commit === undefined) throw new Impossible(`there is no commit ${ref}`)
  const folder = join(ROOT, 'bench/results/against', commit)
  const file = pathToFileURL(join(folder, 'dist/src/cli/main.js'))
  return { ...OURS, name: BEFORE, file, build: () => buildIn(folder, commit), version: () => commit.slice(0, 12) }
}

/** The newest tag before this commit. Throws `Impossible` without one. */
export function lastRelease(): string {
  const tag = git('describe', '--tags', '--abbrev=0', 'HEAD^')
  if (tag === undefined) throw new Impossible('there is no release to compare with: name a commit (--against REF)')
  return tag
}

function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

function buildIn(folder: string, commit: string): void {
  if (existsSync(join(folder, '.built'))) return
  process.stderr.write(`${BEFORE}: building ${commit.slice(0, 12)} in ${folder}\n`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  try {
    const archive = join(folder, 'tree.tar')
    must('git', ['archive', '--output', archive, commit], ROOT)
    must('tar', ['-xf', archive], folder)
    rmSync(archive)
    // The same packages can be shared. Other ones are part of what is compared.
    if (lockIn(folder) === lockIn(ROOT)) symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    else must('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], folder)
    must(join(folder, 'node_modules/.bin/tsc'), ['--project', folder], folder)
    writeFileSync(join(folder, '.built'), '')
  } catch (error) {
    throw new Impossible(`${commit.slice(0, 12)} cannot be built: ${reasonOf(error)}`)
  }
}

const lockIn = (folder: string): string => readFileSync(join(folder, 'package-lock.json'), 'utf8')

function must(command: string, args: string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error ?? `${stderr}${stdout}`.trim().slice(-400)}`)
}
