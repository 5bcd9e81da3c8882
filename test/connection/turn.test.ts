import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Turn } from '../../src/connection/turn.ts'

const KiB = 1024
const batchOf = (length: number) => ({ length, ascii: true, has: () => false, hold: () => {}, release: () => {} })

/** A turn with a clock of its own, and the writes that it made: the time of each. */
function turnWithClock() {
  const writes: number[] = []
  let now = 100
  const due: (() => void)[] = []
  const turn = new Turn(() => writes.push(now), { now: () => now, atEnd: (run) => void due.push(run) })
  /** The event loop goes round once: so many bytes arrive, and `ms` pass. */
  const round = (bytes: number, ms: number) => {
    if (bytes > 0) turn.read(batchOf(bytes))
    now += ms
    for (const run of due.splice(0)) run()
  }
  return { turn, writes, round }
}

describe('the turn of the event loop after which frames are written', () => {
  it('is the first when Redis sends little', () => {
    const { turn, writes, round } = turnWithClock()
    turn.start()
    round(32 * KiB - 1, 0)
    assert.deepEqual(writes, [100])
  })

  it('is a later one while each turn brings 32 KB, up to the first that brings less', () => {
    const { turn, writes, round } = turnWithClock()
    turn.start()
    round(32 * KiB, 0.5)
    round(64 * KiB, 0.5)
    assert.deepEqual(writes, [])
    round(KiB, 0.5)
    assert.deepEqual(writes, [101.5])
  })

  it('comes 2 ms after the first frame, however much Redis sends', () => {
    const { turn, writes, round } = turnWithClock()
    turn.start()
    for (let i = 0; i < 3; i++) round(64 * KiB, 0.5)
    assert.deepEqual(writes, [])
    round(64 * KiB, 0.5)
    assert.deepEqual(writes, [102])
    turn.start()
    round(64 * KiB, 30)
    assert.deepEqual(writes, [102, 132])
  })

  it('counts a batch once, however many messages it has', () => {
    const { turn, writes, round } = turnWithClock()
    turn.start()
    const batch = batchOf(KiB)
    for (let i = 0; i < 100; i++) turn.read(batch)
    round(0, 0)
    assert.deepEqual(writes, [100])
  })

  it('counts only what arrives while frames wait', () => {
    const { turn, writes, round } = turnWithClock()
    turn.read(batchOf(64 * KiB))
    turn.start()
    round(0, 0)
    assert.deepEqual(writes, [100])
  })

  it('writes once for each start', () => {
    const { turn, writes, round } = turnWithClock()
    turn.start()
    round(KiB, 0)
    for (let i = 0; i < 5; i++) round(64 * KiB, 0.1)
    assert.equal(writes.length, 1)
  })
})
