/** An outcome as a table for the terminal. */
import type { Metric, Settings } from '../scenario.ts'
import type { Outcome, SubjectOutcome } from './outcome.ts'
import type { Summary } from './statistics.ts'

export function tableOf(outcome: Outcome, metrics: Metric[]): string {
  const { scenario, about, settings, subjects, ratios } = outcome
  const compared = subjects.length > 1
  const header = [
    '',
    ...subjects.map(({ subject }) => subject),
    ...(compared ? [`${subjects[0]!.subject}/${subjects[1]!.subject}`] : []),
  ]
  const rows = metrics.map((metric) => {
    const cells = subjects.map(({ summaries }) => cell(summaries[metric.key], metric.digits))
    return [metric.label, ...cells, ...(compared ? [ratio(ratios[metric.key], metric)] : [])]
  })
  return [
    `${scenario}: ${about}`,
    settingsLine(settings),
    '',
    ...align([header, ...rows]),
    ...remarks(subjects),
    '',
  ].join('\n')
}

const SETTING_LABELS: Partial<Record<keyof Settings, string>> = { perSecond: 'a second', window: 'under way at most' }

/**
 * The settings in words. Message counts are published messages unless the scenario counts others.
 */
export function settingsLine({ counted = 'published', ...settings }: Outcome['settings']): string {
  const label = (name: string) =>
    name === 'messages' ? `messages ${counted}` : (SETTING_LABELS[name as keyof Settings] ?? name)
  return Object.entries(settings)
    .map(([name, value]) =>
      value === 1 && name === 'rounds' ? '1 round' : `${number(Number(value ?? 0), 0)} ${label(name)}`,
    )
    .join(', ')
}

/** A median with its spread, as text. */
export function cell(summary: Summary | undefined, digits: number): string {
  if (!summary) return '-'
  const { median, min, max } = summary
  const spread = min === max ? '' : ` (${number(min, digits)}..${number(max, digits)})`
  return number(median, digits) + spread
}

/** The ratio, and in words whether it is a gain: `0.40 (better)`. */
export function ratio(value: number | undefined, { better }: Metric): string {
  if (value === undefined) return ''
  const gain = better === 'higher' ? value : 1 / value
  return `${number(value, 2)} ${gain > 1.05 ? 'better' : gain < 0.95 ? 'worse' : 'same'}`
}

/** The rounds without values, and why. */
export function remarks(subjects: Pick<SubjectOutcome, 'subject' | 'rounds'>[]): string[] {
  return subjects.flatMap(({ subject, rounds }) =>
    rounds.flatMap((round, index) => {
      if ('values' in round) return []
      const why = 'refused' in round ? `NOT REPORTED: ${round.refused}` : `FAILED: ${round.failed}`
      return [`! ${subject}, round ${index + 1} ${why}`]
    }),
  )
}

/** Pads columns to equal width: the first aligned left, the others right. */
export function align(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const pad = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!)
  return rows.map((row) => `  ${row.map(pad).join('   ')}`.trimEnd())
}

/** A number with thousands separators. */
export const number = (value: number, digits: number): string =>
  value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
