import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Slot } from '../../src/workers/slot.ts'
import type { WorkerProcess } from '../../src/workers/worker-process.ts'

const STABLE_MS = 60_000

/** A worker that listens since a time, or does not listen. */
const worker = (listeningSince?: number) => ({ listeningSince }) as WorkerProcess

describe('the place of a worker', () => {
  it('pauses longer after each end in a row, up to 30 s', () => {
    const slot = new Slot(1)
    const retries = Array.from({ length: 11 }, () => slot.lost())
    assert.deepEqual(
      retries.map(({ retryMs }) => retryMs),
      [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000],
    )
    assert.deepEqual(
      retries.map(({ isCrashLoop }) => isCrashLoop),
      [false, false, false, false, ...Array.from({ length: 7 }, () => true)],
    )
  })

  it('forgets its ends after a worker that has listened for a minute, and no earlier', () => {
    const slot = new Slot(1)
    for (let i = 0; i < 6; i++) slot.lost()
    slot.current = worker(1000)
    assert.equal(slot.lost(1000 + STABLE_MS - 1).failures, 7)
    slot.current = worker(1000)
    assert.deepEqual(slot.lost(1000 + STABLE_MS), { failures: 1, retryMs: 100, isCrashLoop: false })
  })

  it('forgets its ends when a successor takes it, and starts no other one', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const slot = new Slot(1)
    const old = worker(1)
    for (let i = 0; i < 8; i++) slot.lost()
    slot.current = old
    let isStarted = false
    slot.timer = setTimeout(() => {
      isStarted = true
    }, 0)
    const successor = worker(2)
    assert.equal(slot.replace(successor), old)
    assert.equal(slot.current, successor)
    t.mock.timers.tick(1)
    assert.equal(isStarted, false)
    assert.equal(slot.lost().failures, 1)
  })

  it('is hopeless after eight ends in a row, while no worker listens in it', () => {
    const slot = new Slot(1)
    for (let i = 0; i < 7; i++) slot.lost()
    assert.equal(slot.isHopeless, false)
    slot.lost()
    assert.equal(slot.isHopeless, true)
    slot.current = worker()
    assert.equal(slot.isHopeless, true)
    slot.current = worker(1)
    assert.equal(slot.isHopeless, false)
  })
})
