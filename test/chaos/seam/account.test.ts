import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { accountOf, type Case, type Event, textOf } from './account.ts'

const said = Array.from({ length: 6 }, (_, n) => ({ text: textOf(n, ''), offset: n + 1 }))
const begin: Event = { kind: 'position', to: { epoch: 'e', offset: 0 }, from: undefined }
const all = said.map(({ text, offset }): Event => ({ kind: 'message', offset, text }))
const gap = (from: number, to: number): Event => ({ kind: 'gap', from, to, reason: 'trimmed' })
const position = (from: number, to: number, reason = 'trimmed'): Event => {
  return { kind: 'position', from: { epoch: 'e', offset: from }, to: { epoch: 'e', offset: to }, reason }
}
const accountFor = (events: readonly Event[], more: Partial<Case> = {}) =>
  accountOf({
    name: 'w',
    events,
    said,
    upTo: 5,
    isExcused: (reason) => reason === 'trimmed',
    isGone: () => false,
    ...more,
  })
const complaintsOf = (events: readonly Event[], more?: Partial<Case>) => accountFor(events, more).complaints.join()

describe('the accounting of a run with numbered messages', () => {
  it('has no complaint when all came, or a frame said what is missing', () => {
    assert.equal(complaintsOf([begin, ...all]), '')
    const { complaints, lost, told } = accountFor([begin, ...all.slice(0, 2), gap(3, 4), ...all.slice(4)])
    assert.deepEqual({ complaints, lost, told }, { complaints: [], lost: 2, told: 2 })
    assert.equal(complaintsOf([begin, ...all.slice(0, 2), position(2, 4), ...all.slice(4)]), '')
  })

  it('owes no message from before the client began, behind the last number, or without a confirmation', () => {
    assert.equal(
      complaintsOf([{ kind: 'position', to: { epoch: 'e', offset: 3 }, from: undefined }, ...all.slice(3)]),
      '',
    )
    assert.equal(complaintsOf([begin, ...all.slice(0, 3)], { upTo: 2 }), '')
    const unsure = said.with(2, { text: textOf(2, ''), offset: 0 })
    assert.equal(complaintsOf([begin, ...all.toSpliced(2, 1)], { said: unsure }), '')
    assert.equal(complaintsOf([begin, ...all], { said: unsure }), '')
    assert.equal(complaintsOf([begin, ...all.toSpliced(2, 1)], { isGone: (n) => n === 2 }), '')
  })

  it('finds silent loss, doubled, reordered and changed messages, and statements without a fault', () => {
    assert.match(complaintsOf([begin, ...all.toSpliced(2, 2)]), /lost in silence: 2-3/)
    assert.match(complaintsOf([begin, ...all, all[5]!]), /1 came twice/)
    assert.match(complaintsOf([begin, all[1]!, all[0]!, ...all.slice(2)]), /1 came behind a later one/)
    assert.match(
      complaintsOf([begin, ...all.with(3, { kind: 'message', offset: 4, text: textOf(3, 'x') })]),
      /not what/,
    )
    assert.match(complaintsOf([begin, ...all.with(3, { kind: 'message', offset: 9, text: textOf(3, '') })]), /offset 9/)
    const never = { isExcused: () => false }
    assert.match(complaintsOf([begin, gap(1, 2), ...all.slice(2)], never), /without a fault/)
    assert.match(complaintsOf([begin, ...all.slice(0, 4), position(4, 2, 'redis'), ...all.slice(4)]), /go back to 2/)
    assert.match(complaintsOf(all), /never got a position/)
  })

  it('finds a message that came although a frame said that it is missing', () => {
    assert.match(complaintsOf([begin, gap(1, 2), ...all]), /said to be missing and came/)
  })
})
