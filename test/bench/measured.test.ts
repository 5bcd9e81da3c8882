import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Recorded, refuseUncommitted } from '../../bench/record.ts'
import { withMeasured } from '../../bench/report/measured.ts'
import type { Round } from '../../bench/report/outcome.ts'
import { Impossible } from '../../bench/scenario.ts'

const MARKS = [
  '<!-- measured: written by `npm run bench -- --compare --record` from bench/recorded.json. Do not edit. -->',
  '<!-- /measured -->',
]
const PAGE = `before\n${MARKS[0]}\nold\n${MARKS[1]}\nbehind\n`

const rounds = (...values: number[]): Round[] => values.map((cpuUs) => ({ values: { cpuUs, p99Ms: 3 } }))

function recorded(cpuOnly: boolean, peers: Record<string, Round[]>): Recorded {
  const packages = { wsproxy: '0.1.0 abc1234', 'uWebSockets.js': '20', redis: '6', ws: '8', go: 'go 1.26 + x 1' }
  const machine = { cpus: 2, cpuModel: 'EPYC', kernel: '6', node: 'v20', redis: '7.0.15', load: 0.5, packages }
  const subjects = { ours: rounds(2, 4, 2), ...peers }
  return {
    at: '2026-11-28T01:00:00.000Z',
    commit: 'abc1234',
    machine,
    cpuOnly,
    left: ['skipped: rust: cargo is not on the PATH'],
    outcomes: [
      {
        scenario: 'fanout',
        about: '',
        settings: { sockets: 1000, rounds: 3 },
        metrics: [
          { key: 'cpuUs', label: 'CPU per delivery, us', digits: 2, better: 'lower' },
          { key: 'p99Ms', label: 'p99, ms', digits: 2, better: 'lower' },
        ],
        subjects: Object.entries(subjects).map(([subject, its]) => ({ subject, rounds: its })),
      },
    ],
  }
}

describe('the generated part of the page about benchmarks', () => {
  it('it has the machine, the commit, the rounds, median, spread and versions, and keeps the rest of the page', () => {
    const page = withMeasured(PAGE, recorded(false, { go: rounds(4, 8, 4) }))
    assert.ok(
      page.startsWith(
        `before\n${MARKS[0]}\n\nMeasured on 2026-11-28 with the gateway of commit abc1234: 2 x EPYC, Linux 6`,
      ),
    )
    assert.ok(page.endsWith(`\n\n${MARKS[1]}\nbehind\n`))
    assert.match(page, /\| fanout, per delivery \| 2\.00 \(2\.00\.\.4\.00\) \| 4\.00 \(4\.00\.\.8\.00\) \|/)
    assert.match(page, /- fanout: 1,000 sockets, 3 rounds\./)
    assert.match(page, /go: go 1\.26 \+ x 1/)
    assert.match(page, /- skipped: rust: cargo is not on the PATH/)
    assert.match(page, /\| p99, ms \| ours \| go \|/)
    assert.doesNotMatch(page, /\nold\n/)
  })

  it('it says "less" and "more" only when every pair of rounds agrees', () => {
    const word = (...values: number[]) =>
      /\| fanout, per delivery \| ([\d.]+ [*\w ]+) \|\n\n(?!.*CPU)/.exec(
        withMeasured(PAGE, recorded(true, { go: rounds(...values) })),
      )?.[1]
    assert.equal(word(4, 8, 4), '0.50 less')
    assert.equal(word(1, 2, 1), '2.00 **more**')
    assert.equal(word(1.9, 8, 4), '0.50 unsure')
    assert.equal(word(2.02, 4.04, 2.02), '0.99 same')
  })

  it('it leaves out latencies of a machine with other work, and names the rounds without values', () => {
    const page = withMeasured(PAGE, recorded(true, { go: [...rounds(4, 8), { refused: 'one message is missing' }] }))
    assert.match(page, /had other work/)
    assert.doesNotMatch(page, /p99/)
    assert.match(page, /- fanout, go, round 3 NOT REPORTED: one message is missing/)
  })

  it('a page without a place for it, and a tree with changes, are refused', () => {
    assert.throws(() => withMeasured('nothing', recorded(true, {})), /the page has no <!-- measured/)
    const { machine } = recorded(true, {})
    refuseUncommitted(machine)
    const dirty = { ...machine, packages: { wsproxy: '0.1.0 abc1234-dirty' } }
    assert.throws(() => refuseUncommitted(dirty), Impossible)
  })
})
