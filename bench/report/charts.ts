/** SVG charts of an outcome. Colours are classes; the page defines them for light and dark mode. */
import type { Metric } from '../scenario.ts'
import { escaped } from './markup.ts'
import type { SubjectOutcome } from './outcome.ts'
import { number } from './table.ts'

const WIDTH = 480
const LEFT = 78
const RIGHT = 74
const PLOT = WIDTH - LEFT - RIGHT
const ROW = 34
const TOP = 26
const AXIS = 22
/** The width of a percentile's name. */
const LABEL = 30

/** The subjects that have a value, in the order of the outcome, with the number of their colour. */
function withValues(subjects: SubjectOutcome[], key: string) {
  return subjects.flatMap(({ subject, rounds, summaries }, index) => {
    const summary = summaries[key]
    const values = rounds.flatMap((round) => ('values' in round ? [round.values[key]!] : []))
    return summary ? [{ subject, values, index, ...summary }] : []
  })
}

/**
 * A bar for each subject's median, a line from the least to the greatest value, and a dot for each
 * round. Returns '' without values.
 */
export function barChart(subjects: SubjectOutcome[], metric: Metric): string {
  const rows = withValues(subjects, metric.key)
  if (rows.length === 0) return ''
  const most = Math.max(...rows.map(({ max }) => max), Number.MIN_VALUE)
  const x = (value: number) => LEFT + (Math.max(0, value) / most) * PLOT
  const bodies = rows.map(({ subject, median, min, max, values, index }, row) => {
    const y = TOP + row * ROW + ROW / 2
    const dots = values.map((value) => `<circle class="dot" cx="${x(value).toFixed(1)}" cy="${y}" r="2.5"/>`)
    return (
      `<text class="name" x="${LEFT - 8}" y="${y + 4}">${escaped(subject)}</text>` +
      `<rect class="s${index}" x="${LEFT}" y="${y - 9}" width="${(x(median) - LEFT).toFixed(1)}" height="18" rx="2"/>` +
      `<line class="spread" x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${y}" y2="${y}"/>${dots.join('')}` +
      `<text class="value" x="${WIDTH - RIGHT + 8}" y="${y + 4}">${number(median, metric.digits)}</text>`
    )
  })
  const better = metric.better === 'context' ? '' : ` (${metric.better} is better)`
  return svg(TOP + rows.length * ROW, `${metric.label}${better}`, bodies)
}

/**
 * p50, p99 and p99.9 of each subject on one logarithmic axis, in ms. Returns '' without such
 * latencies.
 */
export function latencyChart(subjects: SubjectOutcome[], metrics: Metric[]): string {
  const found = LATENCIES.flatMap(({ key, name }) => (metrics.some((each) => each.key === key) ? [{ key, name }] : []))
  const points = found.map(({ key, name }) => ({ name, rows: withValues(subjects, key) }))
  const all = points.flatMap(({ rows }) => rows.map(({ median }) => median)).filter((value) => value > 0)
  if (found.length < 2 || all.length === 0) return ''
  const [low, high] = decades(all)
  const x = (value: number) => LEFT + ((Math.log10(value) - low) / (high - low)) * PLOT
  const height = TOP + subjects.length * ROW
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)).map(
    (value) =>
      `<line class="grid" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${TOP}" y2="${height}"/>` +
      `<text class="tick" x="${x(value).toFixed(1)}" y="${height + 15}">${value} ms</text>`,
  )
  const bodies = subjects.map(({ subject }, index) => {
    const y = TOP + index * ROW + ROW / 2
    const its = points.flatMap(({ name, rows }) =>
      rows.filter((row) => row.index === index).map((row) => ({ name, at: x(row.median) })),
    )
    if (its.length === 0) return ''
    const dots = its.map(({ name, at }, i) => {
      const crowded = i > 0 && at - its[i - 1]!.at < LABEL
      const label = crowded ? '' : `<text class="point" x="${at.toFixed(1)}" y="${y - 8}">${name}</text>`
      return `<circle class="s${index}" cx="${at.toFixed(1)}" cy="${y}" r="5"/>${label}`
    })
    return (
      `<text class="name" x="${LEFT - 8}" y="${y + 4}">${escaped(subject)}</text>` +
      `<line class="s${index} way" x1="${its[0]!.at.toFixed(1)}" x2="${its.at(-1)!.at.toFixed(1)}" y1="${y}" y2="${y}"/>${dots.join('')}`
    )
  })
  return svg(height + AXIS, 'latency, ms, logarithmic (to the left is better)', [...ticks, ...bodies])
}

/** The keys of the percentiles, shared by most scenarios. */
export const LATENCIES = [
  { key: 'p50Ms', name: 'p50' },
  { key: 'p99Ms', name: 'p99' },
  { key: 'p999Ms', name: 'p99.9' },
]

/** The powers of ten around all values, as exponents; at least two different ones. */
export function decades(values: number[]): [number, number] {
  const low = Math.floor(Math.log10(Math.min(...values)))
  return [low, Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))))]
}

function svg(height: number, title: string, bodies: string[]): string {
  const name = escaped(title)
  return (
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${name}">` +
    `<text class="title" x="0" y="13">${name}</text>${bodies.join('')}</svg>`
  )
}
