import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Paced, PacedWalk, type PaceLoop } from '../../src/platform/paced.ts'

/** A loop whose turns the test runs, and whose clock stands still unless work takes time. */
function fakeLoop() {
  let now = 0
  const scheduled: { at: number; run: () => void }[] = []
  const loop: PaceLoop = {
    now: () => now,
    soon: (run) => void scheduled.push({ at: now, run }),
    later: (run, ms) => void scheduled.push({ at: now + ms, run }),
  }
  return {
    loop,
    get now() {
      return now
    },
    works: (ms: number) => {
      now += ms
    },
    /** Runs what is scheduled until nothing is. Calls `turn` with how long each turn took. */
    run: (turn: (ms: number) => void = () => {}) => {
      for (let next = scheduled.shift(); next !== undefined; next = scheduled.shift()) {
        now = Math.max(now, next.at)
        const startedAt = now
        next.run()
        turn(now - startedAt)
      }
    },
  }
}

/** Floating point. */
const NEARLY = 1e-6

describe('Paced', () => {
  for (const [count, workMs, latestMs] of [
    [10_000, 0.02, 501],
    [10_000, 0.001, 501],
    [10_000, 0.1, 1001],
    [50, 0.02, 60],
  ] as const)
    it(`does ${count} items of ${workMs} ms in short turns until ${latestMs} ms`, () => {
      const fake = fakeLoop()
      const done: number[] = []
      const paced = new Paced<number, string>(
        (item, detail) => {
          assert.equal(detail, `detail ${item}`)
          fake.works(workMs)
          done.push(item)
        },
        500,
        fake.loop,
      )
      for (let item = 0; item < count; item++) assert.ok(paced.add(item, `detail ${item}`))
      assert.deepEqual(done, [0])
      let longestMs = 0
      fake.run((ms) => {
        longestMs = Math.max(longestMs, ms)
      })
      assert.deepEqual(done, [...Array(count).keys()])
      assert.ok(longestMs <= 0.3 + workMs + NEARLY, `a turn of ${longestMs} ms`)
      assert.ok(fake.now <= latestMs + 2, `the last one at ${fake.now} ms`)
    })

  it('takes an item once while it waits, and again afterwards', () => {
    const fake = fakeLoop()
    const done: string[] = []
    const paced = new Paced<string, number>((item, detail) => done.push(`${item}${detail}`), 500, fake.loop)
    paced.add('a', 1)
    assert.deepEqual([paced.add('b', 1), paced.add('b', 2), paced.has('b'), paced.size], [true, false, true, 1])
    fake.run()
    assert.deepEqual([paced.has('b'), paced.size], [false, 0])
    paced.add('b', 3)
    assert.deepEqual(done, ['a1', 'b1', 'b3'])
  })

  it('does what its own work adds', () => {
    const fake = fakeLoop()
    const done: number[] = []
    const paced = new Paced<number, undefined>(
      (item) => {
        done.push(item)
        if (item < 5) paced.add(item + 1, undefined)
      },
      500,
      fake.loop,
    )
    paced.add(0, undefined)
    fake.run()
    assert.deepEqual(done, [0, 1, 2, 3, 4, 5])
  })
})

describe('PacedWalk', () => {
  it('looks at every item in short turns, with those that come meanwhile', () => {
    const fake = fakeLoop()
    const items = new Set(Array(10_000).keys())
    const seen = new Set<number>()
    const walk = new PacedWalk(
      items,
      (item) => {
        fake.works(0.005)
        seen.add(item)
        items.delete(item)
        if (item === 7) items.add(-1)
      },
      fake.loop,
    )
    walk.again()
    let longestMs = 0
    fake.run((ms) => {
      longestMs = Math.max(longestMs, ms)
    })
    assert.equal(seen.size, 10_001)
    assert.ok(longestMs <= 0.4, `a turn of ${longestMs} ms`)
  })

  it('pauses after as many items as its caller says, and tells the time of each turn', () => {
    const fake = fakeLoop()
    const times: number[] = []
    const walk = new PacedWalk([...Array(10).keys()], (_, now) => void times.push(now), fake.loop)
    walk.again(4)
    assert.deepEqual(times, [0, 0, 0, 0])
    fake.run()
    assert.deepEqual(times, [0, 0, 0, 0, 10, 10, 10, 10, 20, 20])
  })

  it('begins again behind its end when something changed meanwhile', () => {
    const fake = fakeLoop()
    const items = [...Array(100).keys()]
    let looks = 0
    const walk = new PacedWalk(
      items,
      () => {
        fake.works(0.1)
        looks++
      },
      fake.loop,
    )
    walk.again()
    for (let i = 0; i < 3; i++) walk.again()
    fake.run()
    assert.equal(looks, 200)
  })
})
