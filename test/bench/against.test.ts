import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { againstOptions, beforeOf, changesOf, changeTable, HOT_PATHS, hasFailed } from '../../bench/against.ts'
import { planOf } from '../../bench/plan.ts'
import { type Outcome, outcomeOf, type Round } from '../../bench/report/outcome.ts'
import { Impossible, type Scenario } from '../../bench/scenario.ts'

const settings = { sockets: 1, messages: 1, perSecond: 1, window: 1, rounds: 8 }
const scenario: Scenario = {
  name: 'unicast',
  about: '',
  uses: [],
  defaults: settings,
  quick: {},
  metrics: [{ key: 'cpuUs', label: 'CPU', digits: 1, better: 'lower' }],
  round: async () => ({}),
}

const rounds = (values: readonly number[]): Round[] => values.map((cpuUs) => ({ values: { cpuUs } }))

const outcome = (ours: Round[], before: Round[]): Outcome =>
  outcomeOf(scenario, settings, new Map(Object.entries({ ours, before })))

/** The machine gets slower and faster, for both of a pair. */
const MACHINE = [1, 3, 2, 1, 2, 4, 1, 2]

/** The verdict on a commit that costs so much more in each pair, on such a machine. */
function judged(...factors: number[]) {
  const factorAt = (place: number) => factors[place % factors.length]!
  const ours = MACHINE.map((speed, place) => speed * factorAt(place))
  return changesOf([outcome(rounds(ours), rounds(MACHINE))])[0]!
}

describe('the comparison with another commit', () => {
  it('a commit that costs a fifth more fails, whatever the machine does between the pairs', () => {
    const change = judged(1.2)
    assert.deepEqual([change.verdict, hasFailed([change])], ['slower', true])
    assert.equal(judged(1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 0.9).verdict, 'slower')
  })

  it('a commit that costs up to a tenth more passes, and so does a faster one', () => {
    for (const [factor, verdict] of [
      [1.09, 'as before'],
      [1, 'as before'],
      [0.8, 'faster'],
    ] as const) {
      const change = judged(factor)
      assert.deepEqual([change.verdict, hasFailed([change])], [verdict, false], String(factor))
    }
  })

  it('a difference that the spread explains does not fail, and says that nothing is proved', () => {
    const change = judged(1.5, 1.3, 0.8, 1.2)
    assert.deepEqual([change.verdict, hasFailed([change])], ['unsure', false])
    assert.match(
      changeTable('v0.1.0', [change]),
      /over v0\.1\.0[\s\S]*unicast +1\.2\d +0\.80\.\.1\.50 +8 +unsure +2 of 8/,
    )
  })

  it('too few pairs, no scenario and a lost message fail', () => {
    const [few] = changesOf([outcome(rounds([1, 1, 1, 1, 1]), rounds([1, 1, 1, 1, 1]))])
    assert.deepEqual([few!.verdict, few!.why], ['no figures', '5 pairs, and 6 are needed'])
    const refused: Round[] = [{ refused: 'busy' }, { refused: 'busy' }, ...rounds([1, 1, 1, 1, 1])]
    const lost: Round[] = [{ refused: 'one message is missing', faulty: true }, ...rounds(MACHINE)]
    const dead: Round[] = [{ failed: 'ours has ended' }, ...rounds(MACHINE)]
    for (const each of [refused, lost, dead])
      assert.equal(hasFailed(changesOf([outcome(each, rounds([...MACHINE, 1]))])), true)
    assert.equal(hasFailed([]), true)
  })

  it('a round without values takes its partner out, and not the pairs behind it', () => {
    const ours: Round[] = [{ refused: 'busy' }, ...rounds(MACHINE.slice(1))]
    const [change] = changesOf([outcome(ours, rounds(MACHINE))])
    assert.deepEqual(change!.ratios, Array(7).fill(1))
  })

  it('the hot paths have rounds for a verdict, and report CPU alone', () => {
    const plan = planOf(...againstOptions([], {}), () => {})
    assert.deepEqual(plan.map((one) => one.scenario.name).sort(), Object.keys(HOT_PATHS).sort())
    for (const one of plan) {
      assert.ok(one.settings.rounds >= 6, one.scenario.name)
      const compared = one.scenario.metrics.filter(({ better }) => better !== 'context').map(({ key }) => key)
      assert.ok(compared.includes('cpuUs') && compared.every((key) => /cpu|perCore/i.test(key)), String(compared))
    }
  })

  it('a commit that does not exist is refused before anything is built', () => {
    assert.throws(
      () => beforeOf('no-such-ref'),
      (error) => error instanceof Impossible && /no-such-ref/.test(error.message),
    )
  })
})
