import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import type { Source, Topic } from '../../../src/connection/bind.ts'
import type { Fields } from '../../../src/doors/run/checklist.ts'
import { RunWatches, type WatchOptions } from '../../../src/doors/run/watch.ts'
import { VirtualClock } from '../../support/clock.ts'
import { assertProperty } from '../../support/property.ts'
import { frameOf } from '../../support/runs.ts'

/** Milliseconds in which events share one read, and within which a read has to be answered. */
const COALESCE_MS = 20
const READ_MS = 500
/** Longer than any pause between two attempts. */
const RETRY_MS = 5000

const NO_RULES = {}
const BATCH = { length: 1, ascii: false, has: () => true, hold: () => {}, release: () => {} }
const EVENT = Buffer.from('hset')

interface Read {
  readonly runId: string
  readonly at: number
  readonly answer: (fields: Fields | undefined) => void
  readonly fail: (error: Error) => void
  over: boolean
}

/** Watches on a Redis whose answers the test triggers, and all frames that they send. */
class World {
  readonly topics: Topic[]
  readonly watches: RunWatches
  readonly reads: Read[] = []
  readonly frames: string[] = []
  readonly faults: string[] = []
  readonly gaveUp: Topic[] = []
  /** Of reads that still had their time, the most that were under way at once. */
  most = 0
  /** When it is there, reads are answered by it, at once. */
  hash: Fields | undefined | (() => Promise<Fields>) = undefined
  auto = false

  constructor(clock: VirtualClock, options: Partial<WatchOptions> = {}, runs = ['run'], checklist?: object) {
    this.watches = new RunWatches({
      options: {
        runRedisTimeoutMs: READ_MS,
        runResyncIntervalMs: 0,
        runRedisMaxRetries: 0,
        runRedisRetryBaseMs: 500,
        runRedisRetryMaxMs: 5000,
        ...options,
      },
      checklist: (checklist as never) ?? NO_RULES,
      read: (runId) => this.#read(runId, clock),
      changed: (_, frame) => this.frames.push(frame.toString()),
      gaveUp: (topic) => this.gaveUp.push(topic),
      fault: (runId, error) => this.faults.push(`${runId}: ${error.message}`),
    })
    this.topics = runs.map((run) => ({ channels: [`__keyspace@0__:${run}`], source: this.watches, members: [] }))
    for (const topic of this.topics) this.watches.confirmed(topic)
  }

  event(topic = this.topics[0]!): void {
    const source: Source = this.watches
    assert.equal(source.render(topic, EVENT, topic.channels[0]!, BATCH), undefined)
  }

  /** Reads without an answer. */
  get waiting(): Read[] {
    return this.reads.filter(({ over }) => !over)
  }

  /** The times at which reads began. */
  get times(): number[] {
    return this.reads.map(({ at }) => at)
  }

  #read(runId: string, clock: VirtualClock): Promise<Fields | undefined> {
    if (this.auto) {
      this.reads.push({ runId, at: clock.now, answer: () => {}, fail: () => {}, over: true })
      return typeof this.hash === 'function' ? this.hash() : Promise.resolve(this.hash)
    }
    return new Promise((resolve, reject) => {
      const read: Read = {
        runId,
        at: clock.now,
        answer: (fields) => {
          read.over = true
          resolve(fields)
        },
        fail: (error) => {
          read.over = true
          reject(error)
        },
        over: false,
      }
      this.reads.push(read)
      const underWay = this.waiting.filter((each) => each.runId === runId && clock.now - each.at < READ_MS)
      this.most = Math.max(this.most, underWay.length)
    })
  }
}

const hash = (modified: number | string, locks: Record<string, string> = {}): Map<string, string> =>
  new Map([['last_modified', String(modified)], ...Object.entries(locks)])
const frame = (modified: number | string) => noSteps(frameOf({ last_modified: String(modified) }))
/** The frames here have no steps: the rules have tests of their own. */
const noSteps = (text: string) => text.replace(/"checklist":\{[^}]*\}/, '"checklist":{}')

describe('the watch of a run', () => {
  let clock: VirtualClock
  beforeEach(() => {
    clock = new VirtualClock()
  })
  afterEach(() => clock.restore())

  async function world(options?: Partial<WatchOptions>, first: Fields | undefined = hash(1)): Promise<World> {
    const made = new World(clock, options)
    made.reads[0]!.answer(first)
    await clock.settle()
    return made
  }

  /** Lets time pass until so many reads have begun. */
  async function untilReads(made: World, count: number): Promise<void> {
    for (let i = 0; i < 2000 && made.reads.length < count; i++) await clock.pass(5)
    assert.equal(made.reads.length, count)
  }

  it('reads a run as soon as its subscription is confirmed, once however many join', async () => {
    const { watches, topics, reads } = new World(clock)
    watches.confirmed(topics[0]!)
    watches.confirmed(topics[0]!)
    assert.deepEqual(
      reads.map(({ runId, at }) => [runId, at]),
      [['run', 0]],
    )
  })

  it('returns no frame before the first read, and from then on the last one', async () => {
    const made = new World(clock)
    assert.equal(made.watches.frame(made.topics[0]!), undefined)
    made.reads[0]!.answer(hash(1))
    await clock.settle()
    assert.equal(String(made.watches.frame(made.topics[0]!)), frame(1))
  })

  it('reads a run at once for an event that comes after a calm', async () => {
    const made = await world()
    await clock.pass(COALESCE_MS)
    made.event()
    assert.deepEqual(made.times, [0, COALESCE_MS])
  })

  it('reads once for all events within 20 ms of the last read', async () => {
    const made = await world()
    for (let i = 0; i < 19; i++) {
      made.event()
      await clock.pass(1)
    }
    assert.deepEqual(made.times, [0])
    await clock.pass(1)
    assert.deepEqual(made.times, [0, COALESCE_MS])
  })

  it('does not put off a read for events that keep coming', async () => {
    const made = await world()
    made.auto = true
    made.hash = hash(1)
    for (let i = 0; i < 200; i++) {
      made.event()
      await clock.pass(1)
    }
    assert.deepEqual(
      made.times,
      Array.from({ length: 11 }, (_, i) => i * COALESCE_MS),
    )
  })

  it('reads once more, and not more, for events that come during a read', async () => {
    const made = new World(clock)
    await clock.pass(100)
    for (let i = 0; i < 35; i++) made.event()
    assert.equal(made.reads.length, 1)
    made.reads[0]!.answer(hash(1))
    await clock.settle()
    assert.equal(made.reads.length, 2)
    made.reads[1]!.answer(hash(2))
    await clock.pass(1000)
    assert.equal(made.reads.length, 2)
    assert.deepEqual(made.frames, [frame(1), frame(2)])
  })

  it('reports a frame only when it differs from the last one', async () => {
    const made = await world()
    made.auto = true
    for (const [at, locks] of [
      [1, { other: 'x' }],
      [2, {}],
      [2, {}],
      [1, {}],
    ] as const) {
      made.hash = hash(at, { ...locks })
      made.event()
      await clock.pass(COALESCE_MS)
    }
    assert.equal(made.reads.length, 5)
    assert.deepEqual(made.frames, [frame(1), frame(2), frame(1)])
  })

  it('keeps the same buffer while the frame is the same', async () => {
    const made = await world()
    const before = made.watches.frame(made.topics[0]!)
    made.auto = true
    made.hash = hash(1)
    made.event()
    await clock.pass(COALESCE_MS)
    assert.equal(made.reads.length, 2)
    assert.equal(made.watches.frame(made.topics[0]!), before)
  })

  it('watches each run by itself', async () => {
    const made = new World(clock, {}, ['a', 'b'])
    made.reads[1]!.answer(hash(2))
    await clock.settle()
    assert.deepEqual(made.frames, [frame(2)])
    assert.equal(made.watches.frame(made.topics[0]!), undefined)
    await clock.pass(COALESCE_MS)
    made.event(made.topics[1])
    assert.deepEqual(
      made.reads.map(({ runId }) => runId),
      ['a', 'b', 'b'],
    )
  })

  it('reads a run RUN_RESYNC_INTERVAL after the last read, and never when that is 0', async () => {
    const made = await world({ runResyncIntervalMs: 1000 })
    made.auto = true
    made.hash = hash(2)
    await clock.pass(999)
    assert.deepEqual(made.frames, [frame(1)])
    await clock.pass(1)
    assert.deepEqual(made.frames, [frame(1), frame(2)])
    await clock.pass(500)
    made.event()
    await clock.pass(1000)
    assert.deepEqual(made.times, [0, 1000, 1500, 2500])

    const never = await world({ runResyncIntervalMs: 0 })
    assert.equal(never.reads.length, 1)
    await clock.pass(1e7)
    assert.equal(never.reads.length, 1)
  })

  it('shows an all-false checklist for a key of another type, counts it, and goes on', async () => {
    const made = await world({ runRedisMaxRetries: 1, runResyncIntervalMs: 100 })
    made.auto = true
    await clock.pass(1000)
    assert.deepEqual(made.faults, Array(10).fill('run: the key is not a hash'))
    assert.deepEqual(made.frames, [frame(1), noSteps(frameOf())])
    made.hash = hash(3)
    await clock.pass(100)
    assert.equal(made.frames.at(-1), frame(3))
    assert.deepEqual(made.gaveUp, [])
  })

  describe('when a read fails', () => {
    const away = new Error('away')

    it('retries a failed read with pauses that double up to 5 s, within a quarter', async () => {
      const made = new World(clock)
      made.auto = true
      made.hash = () => Promise.reject(away)
      made.reads[0]!.fail(away)
      await clock.pass(40_000)
      const pauses = made.times.slice(1).map((at, i) => at - made.times[i]!)
      assert.ok(pauses[0]! <= 1000, `the first pause is ${pauses[0]} ms`)
      assert.ok(pauses.length >= 8 && pauses.length <= 16, `${pauses.length} pauses`)
      for (const [i, pause] of pauses.entries()) {
        assert.ok(pause <= RETRY_MS, `pause ${i + 1} is ${pause} ms`)
        const [least, most] = [(pauses[i - 1] ?? 0) * 2 * 0.75, (pauses[i - 1] ?? RETRY_MS) * 2 * 1.34]
        assert.ok(
          pause >= Math.min(least, RETRY_MS * 0.75) && pause <= most,
          `pause ${i + 1} is ${pause} after ${pauses[i - 1]} ms`,
        )
      }
      assert.equal(made.faults.length, made.reads.length)
    })

    it('reads for no event before the retry of a failed read, which covers it', async () => {
      const made = new World(clock)
      made.reads[0]!.fail(away)
      for (let i = 0; i < 5; i++) {
        await clock.pass(COALESCE_MS)
        made.event()
      }
      assert.equal(made.reads.length, 1)
      await untilReads(made, 2)
      made.reads[1]!.answer(hash(2))
      await clock.pass(RETRY_MS)
      assert.deepEqual(made.frames, [frame(2)])
      assert.equal(made.reads.length, 2)
    })

    it('reads at once when Redis is back after a failed read, and not a second time for the retry', async () => {
      const made = new World(clock)
      made.reads[0]!.fail(away)
      await clock.pass(10)
      made.watches.refresh()
      assert.deepEqual(made.times, [0, 10])
      made.reads[1]!.answer(hash(2))
      await clock.pass(RETRY_MS)
      assert.equal(made.reads.length, 2)
    })

    it('keeps the last frame when a read fails', async () => {
      const made = await world()
      await clock.pass(COALESCE_MS)
      made.event()
      made.reads[1]!.fail(away)
      await clock.settle()
      assert.deepEqual(made.frames, [frame(1)])
      assert.equal(String(made.watches.frame(made.topics[0]!)), frame(1))
    })

    for (const maxRetries of [1, 3, 5]) {
      it(`gives a run up once after ${maxRetries} failed reads in a row with RUN_REDIS_MAX_RETRIES=${maxRetries}, and reads no more`, async () => {
        const made = new World(clock, { runRedisMaxRetries: maxRetries, runResyncIntervalMs: 100 })
        made.auto = true
        made.hash = () => Promise.reject(away)
        made.reads[0]!.fail(away)
        await clock.pass(60_000)
        assert.equal(made.reads.length, maxRetries)
        assert.deepEqual(made.gaveUp, made.topics)
        assert.equal(clock.timers, 0)
      })
    }

    it('watches a run that was given up anew for a socket that comes before the others are closed', async () => {
      const made = await world({ runRedisMaxRetries: 1 })
      await clock.pass(COALESCE_MS)
      made.event()
      made.reads[1]!.fail(away)
      await clock.settle()
      assert.deepEqual(made.gaveUp, made.topics)
      made.event()
      made.watches.refresh()
      assert.deepEqual([made.reads.length, made.watches.frame(made.topics[0]!)], [2, undefined])
      made.watches.confirmed(made.topics[0]!)
      made.reads[2]!.answer(hash(2))
      await clock.settle()
      assert.deepEqual(made.frames, [frame(1), frame(2)])
      made.watches.released(made.topics[0]!)
    })

    it('counts only failures in a row: a success in between starts the count again', async () => {
      const made = new World(clock, { runRedisMaxRetries: 3, runResyncIntervalMs: 100 })
      made.auto = true
      made.hash = () => (made.reads.length % 3 === 0 ? Promise.resolve(hash(made.reads.length)) : Promise.reject(away))
      made.reads[0]!.fail(away)
      await clock.pass(60_000)
      assert.ok(made.frames.length > 20, `${made.frames.length} of ${made.reads.length} reads`)
      assert.deepEqual(made.gaveUp, [])
    })

    it('never gives a run up with RUN_REDIS_MAX_RETRIES=0', async () => {
      const made = new World(clock, { runRedisMaxRetries: 0 })
      made.auto = true
      made.hash = () => Promise.reject(away)
      made.reads[0]!.fail(away)
      await clock.pass(600_000)
      assert.ok(made.reads.length > 100)
      assert.deepEqual(made.gaveUp, [])
      made.hash = hash(7)
      await clock.pass(RETRY_MS)
      assert.deepEqual(made.frames, [frame(7)])
    })
  })

  describe('when a read is not answered', () => {
    it('fails a read without an answer after 500 ms and reads again', async () => {
      const made = new World(clock)
      await clock.pass(499)
      assert.deepEqual(made.faults, [])
      await clock.pass(1)
      assert.deepEqual(made.faults, ['run: no answer within 500 ms'])
      await untilReads(made, 2)
    })

    it('ignores an answer that comes too late, as it may be old', async () => {
      const made = new World(clock)
      await untilReads(made, 2)
      made.reads[1]!.answer(hash(2))
      await clock.settle()
      made.reads[0]!.answer(hash(1))
      await clock.pass(RETRY_MS)
      assert.deepEqual(made.frames, [frame(2)])
      assert.equal(made.reads.length, 2)
    })

    it('reads again for an event that came during a read without an answer', async () => {
      const made = new World(clock)
      made.event()
      await untilReads(made, 2)
      made.reads[1]!.answer(hash(2))
      await clock.pass(RETRY_MS)
      assert.deepEqual(made.frames, [frame(2)])
    })
  })

  describe('when the last member has left', () => {
    it('reads no more when the last member has left, neither for events nor by the clock', async () => {
      const made = await world({ runResyncIntervalMs: 100 })
      made.event()
      made.watches.released(made.topics[0]!)
      made.event()
      made.watches.refresh()
      await clock.pass(RETRY_MS)
      assert.equal(made.reads.length, 1)
      assert.equal(clock.timers, 0)
      assert.equal(made.watches.frame(made.topics[0]!), undefined)
    })

    for (const how of ['answered', 'refused', 'never answered'] as const) {
      it(`reports nothing of a read that is ${how} after the last member has left`, async () => {
        const made = new World(clock, { runRedisMaxRetries: 1 })
        made.event()
        made.watches.released(made.topics[0]!)
        if (how === 'answered') made.reads[0]!.answer(hash(1))
        if (how === 'refused') made.reads[0]!.fail(new Error('away'))
        await clock.pass(RETRY_MS)
        assert.deepEqual([made.frames, made.faults, made.gaveUp, made.reads.length], [[], [], [], 1])
      })
    }
  })

  it('reads every run at once when Redis is back, and once more after a read in flight', async () => {
    const made = new World(clock, {}, ['a', 'b'])
    made.reads[0]!.answer(hash(1))
    await clock.settle()
    made.watches.refresh()
    assert.deepEqual(
      made.reads.map(({ runId }) => runId),
      ['a', 'b', 'a'],
    )
    made.reads[1]!.answer(hash(1))
    await clock.pass(COALESCE_MS)
    assert.deepEqual(
      made.reads.map(({ runId }) => runId),
      ['a', 'b', 'a', 'b'],
    )
  })

  it('reports a rule that throws, keeps the last frame, and counts no failed read', async () => {
    const rule = (fields: Fields) => {
      if (fields.has('locked:trap')) throw new Error('broken rule')
      return true
    }
    const made = new World(clock, { runRedisMaxRetries: 1 }, ['run'], { step: rule })
    made.reads[0]!.answer(hash(1))
    await clock.pass(COALESCE_MS)
    made.event()
    made.reads[1]!.answer(hash(2, { 'locked:trap': '' }))
    await clock.pass(RETRY_MS)
    assert.deepEqual(made.faults, ['run: broken rule'])
    assert.equal(made.frames.length, 1)
    made.event()
    made.reads.at(-1)!.answer(hash(3))
    await clock.settle()
    assert.match(made.frames.at(-1)!, /"step":true.*"last_modified":3/)
    assert.deepEqual(made.gaveUp, [])
  })
})

/**
 * One event of a run, of its Redis or of the network between. Redis executes a read some time after
 * it was sent (`serve`), and its answer arrives some time later (`answer`): events of changes may
 * come before, between and after.
 */
type Step =
  | { readonly do: 'change'; readonly to: number; readonly kind: 'hash' | 'gone' | 'other' }
  | { readonly do: 'event' | 'serve' | 'answer' | 'fail' | 'outage' }
  | { readonly do: 'pass'; readonly ms: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('change' as const),
        to: fc.integer({ min: 0, max: 4 }),
        kind: fc.constantFrom('hash' as const, 'hash' as const, 'hash' as const, 'gone' as const, 'other' as const),
      }),
    },
    { weight: 3, arbitrary: fc.constant({ do: 'event' as const }) },
    { weight: 3, arbitrary: fc.constant({ do: 'serve' as const }) },
    { weight: 3, arbitrary: fc.constant({ do: 'answer' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'fail' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'outage' as const }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('pass' as const),
        ms: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 100, max: 900 })),
      }),
    },
  ),
  { maxLength: 60 },
)

describe('for any interleaving of changes, events, answers, faults and outages, the watch of a run', () => {
  let clock: VirtualClock
  before(() => {
    clock = new VirtualClock()
  })
  after(() => clock.restore())

  async function play(script: readonly Step[]) {
    const made = new World(clock)
    const topic = made.topics[0]!
    let now: Fields | undefined = hash(0)
    let events = 0
    const served = new Map<Read, Fields | undefined>()
    const outage = () => {
      events = 0
      for (const read of made.waiting) read.fail(new Error('lost'))
    }
    for (const step of script) {
      const unserved = made.waiting.find((read) => !served.has(read))
      const answerable = made.waiting.find((read) => served.has(read))
      if (step.do === 'change') {
        now = step.kind === 'hash' ? hash(step.to) : step.kind === 'gone' ? new Map() : undefined
        events++
      } else if (step.do === 'event' && events > 0) {
        events--
        made.event()
      } else if (step.do === 'serve' && unserved) served.set(unserved, now)
      else if (step.do === 'answer' && answerable) answerable.answer(served.get(answerable))
      else if (step.do === 'fail') made.waiting[0]?.fail(new Error('refused'))
      else if (step.do === 'outage') {
        outage()
        await clock.settle()
        made.watches.refresh()
      } else if (step.do === 'pass') await clock.pass(step.ms)
      await clock.settle()
    }
    for (; events > 0; events--) made.event()
    // From here on nothing changes and Redis answers, in order and at once.
    for (const read of made.waiting) read.answer(served.has(read) ? served.get(read) : now)
    made.auto = true
    made.hash = now
    await clock.pass(RETRY_MS + COALESCE_MS)
    made.watches.released(topic)
    return { made, final: now }
  }

  it('shows the final hash in the end, reports only differences, and has at most one read in flight, for any interleaving', async () => {
    await assertProperty(
      fc.asyncProperty(steps, async (script) => {
        const { made, final } = await play(script)
        const expected = noSteps(frameOf(Object.fromEntries(final ?? [])))
        assert.equal(made.frames.at(-1), expected)
        for (const [i, each] of made.frames.entries()) assert.notEqual(each, made.frames[i - 1])
        assert.ok(made.most <= 1, `${made.most} reads under way at once`)
        assert.equal(clock.timers, 0)
      }),
      { numRuns: 1000 },
    )
  })
})
