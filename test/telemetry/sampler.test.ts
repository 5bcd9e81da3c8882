import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LineSampler } from '../../src/telemetry/sampler.ts'

const MINUTE = 60_000
/** Keys that are counted apart. */
const KEYS = 1000

describe('the sampler of log lines', () => {
  it('takes the first line of a key, then one a minute with the number of those skipped', () => {
    const sampler = new LineSampler()
    assert.equal(sampler.take('a', 0), 0)
    for (const now of [0, 1, MINUTE - 1]) assert.equal(sampler.take('a', now), undefined)
    assert.equal(sampler.take('a', MINUTE), 3)
    assert.equal(sampler.take('a', MINUTE + 1), undefined)
    assert.equal(sampler.take('a', 3 * MINUTE), 1)
    assert.equal(sampler.take('a', 5 * MINUTE), 0)
  })

  it('counts each key apart, also names of members that every object has', () => {
    const sampler = new LineSampler()
    for (const key of ['a', 'b', '', '__proto__', 'constructor', 'x'.repeat(10_000)])
      assert.deepEqual([sampler.take(key, 0), sampler.take(key, 1)], [0, undefined], key.slice(0, 20))
  })

  it('counts all keys beyond the first thousand as one, however many a client invents', () => {
    const sampler = new LineSampler()
    let taken = 0
    for (let i = 0; i < 10 * KEYS; i++) {
      const key = `key-${i}`
      if (sampler.take(key, 0) !== undefined) taken++
      // The second line is skipped, so the key keeps its place and its count.
      assert.equal(sampler.take(key, 0), undefined)
    }
    assert.equal(taken, KEYS + 1)
    // Of the lines of 9,000 keys, two each, one was written.
    assert.equal(sampler.take('another', MINUTE), 2 * 9 * KEYS - 1)
  })

  it('forgets keys that skipped nothing when their minute is over, and gives their places away', () => {
    const sampler = new LineSampler()
    for (let i = 0; i < KEYS; i++) sampler.take(`old-${i}`, 0)
    for (const key of ['new-1', 'new-2']) assert.equal(sampler.take(key, MINUTE), 0)
  })
})
