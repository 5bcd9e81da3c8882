/** The generated part of the page about benchmarks: tables of the recorded results, in Markdown. */
import type { Recorded, RecordedOutcome } from '../record.ts'
import type { Machine } from './machine.ts'
import type { Round } from './outcome.ts'
import { summarise } from './statistics.ts'
import { cell, remarks, settingsLine } from './table.ts'

const BEGIN =
  '<!-- measured: written by `npm run bench -- --compare --record` from bench/recorded.json. Do not edit. -->'
const END = '<!-- /measured -->'
const OURS = 'ours'
const CPU = 'cpuUs'
const LATENCY = 'p99Ms'
/** Figures that differ by at most this share are the same. */
const SAME = 0.05

/** The page with the tables of these results. Throws when it has no place for them. */
export function withMeasured(page: string, recorded: Recorded): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the page has no ${BEGIN} and ${END}`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${measuredText(recorded)}\n\n${page.slice(end)}`
}

function measuredText({ at, commit, machine, cpuOnly, left, outcomes }: Recorded): string {
  const names = outcomes[0]?.subjects.map(({ subject }) => subject) ?? []
  const peers = names.filter((name) => name !== OURS)
  const others = cpuOnly ? ' The machine had other work, so latencies are not reported and only ratios count.' : ''
  return [
    `Measured on ${at.slice(0, 10)} with the gateway of commit ${commit}: ${machineText(machine)}.${others}`,
    table(
      ['CPU, us: median (least..most)', ...names],
      outcomes.map((each) => rowOf(each, names, CPU)),
    ),
    'CPU of wsproxy over that of the peer, median of the pairs of rounds. "Less" and "more" mean that every pair agrees, and "same" a difference of at most 5 %:',
    table(
      ['', ...peers],
      outcomes.map((each) => [workOf(each), ...peers.map((peer) => ratioOf(each, peer))]),
    ),
    ...(cpuOnly
      ? []
      : [
          table(
            ['p99, ms', ...names],
            outcomes.map((each) => rowOf(each, names, LATENCY)),
          ),
        ]),
    bullets(outcomes.map((each) => `${each.scenario}: ${settingsLine(each.settings)}.`)),
    ...notReported(outcomes, left),
    versionsOf(machine, names),
  ].join('\n\n')
}

function machineText({ cpus, cpuModel, kernel, node, redis, load }: Machine): string {
  return `${cpus} x ${cpuModel}, Linux ${kernel}, Node ${node}, Redis ${redis}, load ${load.toFixed(1)} at the start`
}

function versionsOf({ packages }: Machine, names: string[]): string {
  const libraries = ['uWebSockets.js', 'redis', 'ws'].map((name) => `${name} ${packages[name]}`)
  const programs = names.filter((name) => packages[name] !== undefined).map((name) => `${name}: ${packages[name]}`)
  return `Versions: ${[libraries.join(', '), ...programs].join('; ')}.`
}

/** A work in words: what is counted, from the label of its CPU. */
function workOf({ scenario, metrics }: RecordedOutcome): string {
  const label = metrics.find(({ key }) => key === CPU)?.label ?? ''
  return `${scenario}, ${label.replace(/^CPU |, us$/g, '')}`
}

const valuesOf = (rounds: Round[], key: string): number[] =>
  rounds.flatMap((round) => ('values' in round && key in round.values ? [round.values[key]!] : []))

function rowOf(outcome: RecordedOutcome, names: string[], key: string): string[] {
  const digits = outcome.metrics.find((metric) => metric.key === key)?.digits ?? 2
  return [workOf(outcome), ...names.map((name) => cell(summarise(valuesOf(roundsOf(outcome, name), key)), digits))]
}

const roundsOf = ({ subjects }: RecordedOutcome, name: string): Round[] =>
  subjects.find(({ subject }) => subject === name)?.rounds ?? []

function ratioOf(outcome: RecordedOutcome, peer: string): string {
  const theirs = roundsOf(outcome, peer)
  const ratios = roundsOf(outcome, OURS).flatMap((round, place) => {
    const [own, other] = [valuesOf([round], CPU)[0], valuesOf(theirs.slice(place, place + 1), CPU)[0]]
    return own === undefined || other === undefined ? [] : [own / other]
  })
  const summary = summarise(ratios)
  if (!summary) return ''
  const { median, min, max } = summary
  const word = Math.abs(median - 1) <= SAME ? 'same' : max < 1 ? 'less' : min > 1 ? '**more**' : 'unsure'
  return `${median.toFixed(2)} ${word}`
}

function notReported(outcomes: RecordedOutcome[], left: string[]): string[] {
  const lines = outcomes.flatMap((outcome) =>
    remarks(outcome.subjects).map((line) => `${outcome.scenario}, ${line.replace(/^! /, '')}`),
  )
  return lines.length + left.length === 0 ? [] : ['Not reported:', bullets([...left, ...lines])]
}

const bullets = (lines: string[]): string => lines.map((line) => `- ${line}`).join('\n')

const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
