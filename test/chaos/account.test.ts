import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { accountDown, accountUp, numbered, type Published, type Witness } from './account.ts'

const published: Published[] = Array.from({ length: 6 }, (_, i) => ({
  text: numbered(i, ''),
  at: { from: i * 1000, to: i * 1000 + 1 },
  sure: true,
}))
const all = published.map(({ text }) => text)
const gap = (from: number, to: number) =>
  JSON.stringify({ type: 'control', command: 'gap', from: new Date(from), to: new Date(to) })
const error = (code: string) => JSON.stringify({ type: 'error', code })
const witness = (frames: string[], more: Partial<Witness> = {}): Witness => {
  return { name: 'w', openedAt: -1, closeCode: undefined, frames, sent: 3, ...more }
}

describe('the accounting of a chaos run', () => {
  it('the account has no complaint when every loss lies within a gap that has a reason', () => {
    assert.deepEqual(accountDown(witness(all), published, []), [])
    const holed = [...all.slice(0, 2), gap(1500, 3500), ...all.slice(4)]
    assert.deepEqual(accountDown(witness(holed), published, [{ from: 1600, to: 1700 }]), [])
  })

  it('the account expects no message from before a socket opened, and none that may be unpublished', () => {
    assert.deepEqual(accountDown(witness(all.slice(3), { openedAt: 2500 }), published, []), [])
    const unsure = published.map((each, i) => ({ ...each, sure: i !== 2 }))
    assert.deepEqual(accountDown(witness(all.toSpliced(2, 1)), unsure, []), [])
  })

  it('the account finds silent loss, doubled, reordered and changed messages, unexplained gaps and closes', () => {
    const complaints = (frames: string[], more = {}) => accountDown(witness(frames, more), published, [])
    assert.match(complaints(all.toSpliced(2, 1)).join(), /2, published .* is missing in silence/)
    assert.match(complaints([...all.slice(0, 2), gap(5000, 6000), ...all.slice(3)]).join(), /2, .* in silence/)
    assert.match(complaints([...all, all[5]!]).join(), /5 came after 5/)
    assert.match(complaints([all[1]!, all[0]!, ...all.slice(2)]).join(), /0 came after 1/)
    assert.match(complaints(all.with(3, numbered(3, 'x'))).join(), /3 is not what was published/)
    assert.match(complaints([...all, gap(100, 200)]).join(), /has no reason/)
    assert.match(complaints(all, { closeCode: 1006 }).join(), /closed with 1006/)
  })

  it('the account matches frames by number and by the errors that a socket received', () => {
    const told = witness([error('upstream-unavailable'), error('upstream-uncertain')])
    assert.deepEqual(accountUp(told, [0]), [])
    assert.deepEqual(accountUp(told, [0, 1]), [])
    assert.deepEqual(accountUp(witness([]), [0, 2], 1), [])
    assert.match(accountUp(witness([]), [0, 2]).join(), /missing in silence/)
    assert.match(accountUp(told, [0, 1, 2]).join(), /refused that were published/)
    assert.match(accountUp(witness([]), [0, 2, 1]).join(), /1 was heard after 2/)
    assert.match(accountUp(witness([]), [0, 1, 3]).join(), /never sent/)
  })
})
