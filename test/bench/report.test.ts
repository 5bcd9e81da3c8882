import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decades } from '../../bench/report/charts.ts'
import { escaped } from '../../bench/report/markup.ts'
import { type Outcome, outcomeOf, type Round } from '../../bench/report/outcome.ts'
import { reportPage } from '../../bench/report/page.ts'
import { summarise } from '../../bench/report/statistics.ts'
import { tableOf } from '../../bench/report/table.ts'
import type { Metric, Scenario } from '../../bench/scenario.ts'

const METRICS: Metric[] = [
  { key: 'cpuUs', label: 'CPU <per> message', digits: 1, better: 'lower' },
  { key: 'p50Ms', label: 'p50', digits: 1, better: 'lower' },
  { key: 'p999Ms', label: 'p99.9', digits: 1, better: 'lower' },
]
const SETTINGS = { sockets: 1000, messages: 1, perSecond: 1, window: 1, rounds: 3 }

function outcome(rounds: Record<string, Round[]>): Outcome {
  const scenario: Scenario = {
    name: 'uni"cast',
    about: '<script>alert(1)</script>',
    uses: ['sockets'],
    defaults: SETTINGS,
    quick: {},
    metrics: METRICS,
    round: async () => ({}),
  }
  return outcomeOf(scenario, SETTINGS, new Map(Object.entries(rounds)))
}

const machine = { cpus: 2, cpuModel: 'A&B', kernel: '6', node: 'v20', redis: '7', load: 0, packages: { ws: '8' } }
const page = (outcomes: Outcome[]) => reportPage({ machine, at: new Date(0), left: ['<b>: no'], outcomes })
const round = (cpuUs: number, p50Ms = 1, p999Ms = 20): Round => ({ values: { cpuUs, p50Ms, p999Ms } })

describe('the statistics of rounds', () => {
  it('statistics are median and spread of odd and even counts, and undefined for an empty list', () => {
    assert.deepEqual(summarise([3, 1, 2]), { median: 2, min: 1, max: 3 })
    assert.deepEqual(summarise([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 })
    assert.deepEqual(summarise([7]), { median: 7, min: 7, max: 7 })
    assert.equal(summarise([]), undefined)
  })

  it('a metric of shares is reported as its mean, without a spread', () => {
    const scenario: Scenario = {
      name: 'modes',
      about: '',
      uses: [],
      defaults: SETTINGS,
      quick: {},
      metrics: [{ key: 'slow', label: 'slow, %', digits: 0, better: 'context', summary: 'mean' }],
      round: async () => ({}),
    }
    const of = (...shares: number[]) =>
      outcomeOf(scenario, SETTINGS, new Map([['us', shares.map((slow) => ({ values: { slow } }))]]))
    assert.deepEqual(of(0, 0, 100, 0).subjects[0]!.summaries.slow, { median: 25, min: 25, max: 25 })
    assert.deepEqual(of().subjects[0]!.summaries, {})
  })

  it('statistics sort by number and leave their input unchanged', () => {
    const values = [10, 9, 100]
    assert.equal(summarise(values)!.median, 10)
    assert.deepEqual(values, [10, 9, 100])
  })
})

describe('the report page', () => {
  it('the report page escapes every special character of HTML', () => {
    assert.equal(escaped(`<a b="c" d='e'>&`), '&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;')
    const html = page([outcome({ 'us<>': [round(1), { refused: '<img src=x>' }] })])
    for (const raw of ['<script', '<img', 'us<>', 'A&B', 'uni"cast', '<per>']) assert.ok(!html.includes(raw), raw)
  })

  it('the report page refers to no other file and no host', () => {
    assert.doesNotMatch(page([outcome({ us: [round(1)] })]), /https?:|src=|<link|@import|url\(/)
  })

  it('the report page shows the verdicts of a gate run', () => {
    const limit = { scenario: 'unicast', metric: 'cpuUs', atMost: 0.5 }
    const verdicts = [
      { limit, ratio: 0.25, passed: true },
      { limit, ratio: undefined, passed: false, why: '<none>' },
    ]
    const html = reportPage({ machine, at: new Date(0), left: [], outcomes: [], gate: { peer: 'them', verdicts } })
    assert.match(html, /<td>0\.25<\/td><td>at most 0\.5<\/td><td>passed<\/td>/)
    assert.match(html, /MISSED &lt;none&gt;/)
  })

  it('the report page has a bar for each subject with values, a dot for each round, and the latencies', () => {
    const html = page([outcome({ us: [round(1), round(2)], them: [round(3)], none: [{ failed: 'gone' }] })])
    assert.equal(html.match(/<rect /g)?.length, 2)
    assert.equal(html.match(/class="dot"/g)?.length, 3)
    assert.equal(html.match(/<svg /g)?.length, 2)
    assert.match(html, /none, round 1 FAILED: gone/)
  })

  it('the report page contains no NaN or Infinity, whatever the rounds were', () => {
    const odd = [{}, { us: [] }, { us: [round(0, 0, 0)] }, { us: [{ refused: 'x' }] as Round[] }, { us: [round(-5)] }]
    for (const rounds of odd) assert.doesNotMatch(page([outcome(rounds)]), /NaN|Infinity|undefined/)
  })

  it('a logarithmic axis spans whole decades, also around a single value', () => {
    assert.deepEqual(decades([0.3, 45]), [-1, 2])
    assert.deepEqual(decades([10]), [1, 2])
    assert.deepEqual(decades([100, 1]), [0, 2])
  })
})

describe('the table', () => {
  it('the table compares the first two subjects and says whether the ratio is a gain', () => {
    const text = tableOf(outcome({ us: [round(1)], them: [round(4)] }), METRICS)
    assert.match(text, /us\/them/)
    assert.match(text, /0\.25 better/)
  })
})
