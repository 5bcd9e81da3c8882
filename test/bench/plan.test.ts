import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { planOf, settingsOf } from '../../bench/plan.ts'
import { Impossible } from '../../bench/scenario.ts'
import { handshake } from '../../bench/scenarios/handshake.ts'
import { liveMixed } from '../../bench/scenarios/live.ts'
import { unicastPaced, unicastSaturated } from '../../bench/scenarios/unicast.ts'

const ours = { subject: ['ours'] }

describe('the settings of a scenario', () => {
  const leftOut: string[] = []
  const leaveOut = (what: string) => void leftOut.push(what)

  it('a setting that a scenario does not use changes nothing and is reported', () => {
    const { window, sockets } = settingsOf(liveMixed, { window: 5, sockets: 500 }, leaveOut)
    assert.deepEqual([window, sockets], [liveMixed.defaults.window, 500])
    assert.deepEqual(leftOut, ['live-mixed: without --window'])
    assert.equal(settingsOf(unicastSaturated, { window: 5 }, leaveOut).window, 5)
  })

  it('another rate keeps the duration unless the number of messages is given', () => {
    const { messages, perSecond } = unicastPaced.defaults
    const slow = settingsOf(unicastPaced, { rate: 100 }, leaveOut)
    assert.equal(slow.messages / slow.perSecond, messages / perSecond)
    assert.equal(settingsOf(unicastPaced, { rate: 100, messages: 7 }, leaveOut).messages, 7)
  })
})

describe('an impossible plan', () => {
  const refused = (names: string[], options: Parameters<typeof planOf>[1], why: RegExp) =>
    assert.throws(
      () => planOf(names, options, () => {}),
      (error: unknown) => error instanceof Impossible && why.test(error.message),
    )

  it('a plan rejects a round that would last too long and an unknown name', () => {
    refused(
      ['unicast-paced'],
      { ...ours, messages: 20_000, rate: 100 },
      /unicast-paced: 20,000 messages at 100 a second take 200 s/,
    )
    refused(['juggling'], ours, /no scenario is called juggling/)
    refused(['unicast'], { subject: ['nobody'] }, /no subject is called nobody/)
    refused(['handshake'], { subject: ['webdis'] }, /no subject can run any/)
  })

  it('a plan rejects more sockets than open files, including those of the warm-up', () => {
    refused(
      ['handshake'],
      { ...ours, sockets: 1e9 },
      /1,200,000,100 open files in one process are needed, and the limit is [\d,]+ \(ulimit -n\)/,
    )
    assert.equal(handshake.open!({ ...handshake.defaults, sockets: 10_000 }), 14_000)
  })
})
