import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { judge, readGate, verdictTable } from '../../bench/gate.ts'
import { type Outcome, outcomeOf, type Round } from '../../bench/report/outcome.ts'
import type { Scenario } from '../../bench/scenario.ts'
import { SCENARIOS } from '../../bench/scenarios/all.ts'
import { OURS, SUBJECTS } from '../../bench/subjects.ts'

const values = (...medians: number[]): Round[] => medians.map((cpuUs) => ({ values: { cpuUs } }))

function outcome(rounds: Record<string, Round[]>): Outcome {
  const metrics = [{ key: 'cpuUs', label: 'CPU', digits: 1, better: 'lower' }] as Scenario['metrics']
  const settings = { sockets: 1, messages: 1, perSecond: 1, window: 1, rounds: 3 }
  const scenario: Scenario = {
    name: 'unicast',
    about: '',
    uses: [],
    defaults: settings,
    quick: {},
    metrics,
    round: async () => ({}),
  }
  return outcomeOf(scenario, settings, new Map(Object.entries(rounds)))
}

const gate = { peer: 'them', limits: [{ scenario: 'unicast', metric: 'cpuUs', atMost: 0.5 }] }

describe('the gate', () => {
  it('the gate passes a ratio of medians up to and including its limit', () => {
    const [verdict] = judge(gate, 'us', [outcome({ us: values(1, 9, 2), them: values(4, 4, 1) })])
    assert.deepEqual([verdict!.ratio, verdict!.passed], [0.5, true])
  })

  it('the gate is missed above atMost and below atLeast', () => {
    const run = [outcome({ us: values(3), them: values(4) })]
    assert.equal(judge(gate, 'us', run)[0]!.passed, false)
    const limits = [{ scenario: 'unicast', metric: 'cpuUs', atLeast: 0.8 }]
    assert.equal(judge({ ...gate, limits }, 'us', run)[0]!.passed, false)
  })

  it('a limit of the worst round is missed when one round of ours is above it', () => {
    const run = [outcome({ us: values(1, 1, 9), them: values(4) })]
    assert.equal(judge(gate, 'us', run)[0]!.passed, true)
    const limits = [{ scenario: 'unicast', metric: 'cpuUs', atMost: 0.5, worst: true as const }]
    const [verdict] = judge({ ...gate, limits }, 'us', run)
    assert.deepEqual([verdict!.ratio, verdict!.passed], [2.25, false])
    assert.match(verdictTable('them', [verdict!]), /cpuUs \(worst\)/)
  })

  it('the gate is missed without a scenario, without a round, and for a peer value of zero', () => {
    const refused: Round[] = [{ refused: 'lost' }]
    const runs = [
      [],
      [outcome({ us: refused, them: values(1) })],
      [outcome({ us: values(1), them: refused })],
      [outcome({ us: values(1) })],
      [outcome({ us: values(1), them: values(0) })],
    ]
    for (const run of runs) {
      const [verdict] = judge(gate, 'us', run)
      assert.equal(verdict!.passed, false)
      assert.ok(verdict!.why)
      assert.match(verdictTable('them', [verdict!]), /MISSED/)
    }
  })

  it('the gate judges by the remaining rounds when some have no values', () => {
    const [verdict] = judge(gate, 'us', [outcome({ us: [{ refused: 'busy' }, ...values(1, 1)], them: values(4) })])
    assert.equal(verdict!.passed, true)
  })

  it('the gate is missed when half of the rounds of one subject have no values', () => {
    const half: Round[] = [{ refused: 'busy' }, ...values(1)]
    for (const run of [
      { us: half, them: values(4, 4) },
      { us: values(1, 1), them: half },
    ]) {
      const [verdict] = judge(gate, 'us', [outcome(run)])
      assert.deepEqual([verdict!.passed, /rounds of (us|them)/.test(verdict!.why!)], [false, true])
    }
  })

  it('the gate is missed after a lossy or failed round of ours, and for a negative slope', () => {
    const runs = [
      { us: [{ refused: 'lost', faulty: true }, ...values(1)] as Round[], them: values(4) },
      { us: [{ failed: 'ended' }, ...values(1)] as Round[], them: values(4) },
      { us: values(-1), them: values(-4) },
      { us: values(-1), them: values(4) },
    ]
    for (const run of runs) {
      const [verdict] = judge(gate, 'us', [outcome(run)])
      assert.equal(verdict!.passed, false)
      assert.ok(verdict!.why)
    }
    const [verdict] = judge(gate, 'us', [outcome({ us: values(1), them: [{ failed: 'ended' }, ...values(4, 4)] })])
    assert.equal(verdict!.passed, true)
  })

  it('a gate file whose limit has no bound is rejected', () => {
    const folder = mkdtempSync(join(tmpdir(), 'wsproxy-gate-'))
    const file = pathToFileURL(join(folder, 'gate.json'))
    writeFileSync(file, JSON.stringify({ peer: 'them', limits: [{ scenario: 'idle', metric: 'allMb', atmost: 1 }] }))
    assert.throws(() => readGate(file), /idle allMb has neither/)
    rmSync(folder, { recursive: true })
  })

  it('gate.json names only existing scenarios, metrics and peers, each limit with one bound', () => {
    const { peer, limits } = readGate()
    assert.ok(limits.length >= 5)
    assert.ok(peer !== OURS.name && SUBJECTS.some(({ name }) => name === peer))
    for (const { scenario, metric, atMost, atLeast } of limits) {
      const found = SCENARIOS.find(({ name }) => name === scenario)
      assert.ok(found, scenario)
      assert.ok(
        found.metrics.some(({ key, better }) => key === metric && better !== 'context'),
        `${scenario} ${metric}`,
      )
      assert.equal(Number(atMost !== undefined) + Number(atLeast !== undefined), 1)
    }
  })
})
