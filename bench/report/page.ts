/** The report as one self-contained HTML page: no script, no other file, no request. */

import { VERDICT_HEAD, type Verdict, verdictRow } from '../gate.ts'
import type { Metric } from '../scenario.ts'
import { barChart, LATENCIES, latencyChart } from './charts.ts'
import { type Machine, machineLine } from './machine.ts'
import { escaped } from './markup.ts'
import type { Outcome } from './outcome.ts'
import { cell, ratio, remarks, settingsLine } from './table.ts'

interface Report {
  machine: Machine
  at: Date
  /** What was left out, and why. */
  left: string[]
  outcomes: Outcome[]
  /** The gate and its verdicts. */
  gate?: { peer: string; verdicts: Verdict[] }
}

const MOST_BARS = 2

/** The page. Everything that comes from outside is escaped. */
export function reportPage({ machine, at, left, outcomes, gate }: Report): string {
  const absent = left.map((line) => `<li>${escaped(line)}</li>`)
  const names = outcomes.map(({ scenario }) => `<a href="#${escaped(scenario)}">${escaped(scenario)}</a>`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>wsproxy bench</title>
<style>${STYLE}</style>
<h1>wsproxy bench</h1>
<p class="machine">${escaped(machineLine(machine))}<br><time>${at.toISOString()}</time></p>
<p>${ABOUT}</p>
${absent.length > 0 ? `<details><summary>What took no part</summary><ul>${absent.join('')}</ul></details>` : ''}
<nav>${names.join(' ')}</nav>
${gate ? judged(gate) : ''}
${outcomes.map(section).join('\n')}
</html>
`
}

function judged({ peer, verdicts }: NonNullable<Report['gate']>): string {
  const columns = VERDICT_HEAD.map((text) => `<th scope="col">${text}</th>`).join('')
  const rows = verdicts.map((verdict) => {
    const [what, ...cells] = verdictRow(verdict).map(escaped)
    return `<tr${verdict.passed ? '' : ' class="faults"'}><th scope="row">${what}</th>${cells.map((text) => `<td>${text}</td>`).join('')}</tr>`
  })
  return `<h2>The gate: ours/${escaped(peer)}</h2>
<div class="wide"><table><thead><tr>${columns}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

const ABOUT =
  'Subjects took turns in one run, each round on fresh processes. Medians of the rounds, with the least and the most; dots are rounds. ' +
  'All share the cores of one machine: compare ratios and CPU, not messages a second, with another machine&#39;s.'

function section(outcome: Outcome): string {
  const { scenario, about, settings, subjects, metrics } = outcome
  const charts = [...charted(metrics).map((metric) => barChart(subjects, metric)), latencyChart(subjects, metrics)]
  const faults = remarks(subjects).map((line) => `<li>${escaped(line)}</li>`)
  return `<section id="${escaped(scenario)}">
<h2>${escaped(scenario)}</h2>
<p>${escaped(about)}<br><small>${escaped(settingsLine(settings))}</small></p>
${faults.length > 0 ? `<ul class="faults">${faults.join('')}</ul>` : ''}
<div class="charts">${charts
    .filter(Boolean)
    .map((chart) => `<figure>${chart}</figure>`)
    .join('')}</div>
${table(outcome)}
</section>`
}

/** The first few comparable metrics, without percentiles and inverses of others. */
function charted(metrics: Metric[]): Metric[] {
  const others = [
    ...LATENCIES.map(({ key }) => key),
    ...(metrics.some(({ key }) => key === 'cpuUs') ? ['perCoreSecond'] : []),
  ]
  return metrics.filter(({ key, better }) => better !== 'context' && !others.includes(key)).slice(0, MOST_BARS)
}

function table({ subjects, metrics, ratios }: Outcome): string {
  const compared = subjects.length > 1
  const names = subjects.map(({ subject }) => subject)
  const head = [...names, ...(compared ? [`${names[0]}/${names[1]}`] : [])]
  const rows = metrics.map((metric) => {
    const cells = subjects.map(({ summaries }) => cell(summaries[metric.key], metric.digits))
    const all = [...cells, ...(compared ? [ratio(ratios[metric.key], metric)] : [])]
    return `<tr><th scope="row">${escaped(metric.label)}</th>${all.map((text) => `<td>${escaped(text)}</td>`).join('')}</tr>`
  })
  const columns = head.map((text) => `<th scope="col">${escaped(text)}</th>`).join('')
  return `<div class="wide"><table><thead><tr><td></td>${columns}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`
}

const STYLE = `
:root { --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --paper: #fff; --card: #f6f8fa; --fault: #b42318;
  --s0: #0b6bcb; --s1: #c2620c; --s2: #6e56a8; --s3: #2f855a; --s4: #8a6d1d }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --soft: #9aa5b1; --line: #343b44; --paper: #12161b; --card: #1a2027; --fault: #ff8f85;
  --s0: #58a6ff; --s1: #f0a35b; --s2: #b39ddb; --s3: #6fcf97; --s4: #d9bd6a } }
body { margin: 2rem auto; max-width: 1400px; padding: 0 1.25rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
h1 { margin: 0 } h2 { margin: 2.5rem 0 0; font-size: 1.2rem } p { max-width: 80ch } a { color: var(--s0) }
small, .machine { color: var(--soft) } nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem }
.faults { color: var(--fault) }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1rem }
figure { margin: 0; padding: .75rem; background: var(--card); border: 1px solid var(--line); border-radius: 6px }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; fill: var(--ink) }
.title { font-weight: 600; font-size: 13px } .name { text-anchor: end } .value { font-variant-numeric: tabular-nums }
.tick, .point { text-anchor: middle; fill: var(--soft); font-size: 10px }
.grid { stroke: var(--line) } .spread { stroke: var(--ink); stroke-width: 1.5 } .dot { fill: var(--paper); stroke: var(--ink) } .way { stroke-width: 2 }
.s0 { fill: var(--s0); stroke: var(--s0) } .s1 { fill: var(--s1); stroke: var(--s1) } .s2 { fill: var(--s2); stroke: var(--s2) }
.s3 { fill: var(--s3); stroke: var(--s3) } .s4 { fill: var(--s4); stroke: var(--s4) }
.wide { overflow-x: auto } table { margin-top: 1rem; border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .75rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap } tbody th { text-align: left; font-weight: 400 }
`
