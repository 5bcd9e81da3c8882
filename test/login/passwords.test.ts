import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { HashBudget, hashShare } from '../../src/login/hash-budget.ts'
import { HashPlace } from '../../src/login/hash-place.ts'
import { type Hasher, type HashJob, type HashResult, HashThread, type Priority } from '../../src/login/hash-threads.ts'
import { OverLimit } from '../../src/login/over-limit.ts'
import { Passwords } from '../../src/login/passwords.ts'
import { eventually } from '../support/wait.ts'

/** The class of each thread of this process and its priority, as /proc/<pid>/stat has them. */
function threads(): { thread: string; class: number; priority: number }[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const text = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { thread, class: Number(fields[38]), priority: Number(fields[15]) }
  })
}

const SCHED_IDLE = 5
const withoutLinux = process.platform === 'linux' ? false : 'needs /proc'

describe('the threads that hash passwords', () => {
  it('compare what they have hashed, and nothing else', async () => {
    const passwords = await Passwords.load()
    const hash = await passwords.hash('pässword-1')
    assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    const results = await Promise.all([
      passwords.matches(hash, 'pässword-1'.normalize('NFD')),
      passwords.matches(hash, 'pässword-2'),
      passwords.matches('no hash', 'pässword-1'),
      passwords.matches(undefined, 'pässword-1'),
    ])
    assert.deepEqual(results, [true, false, false, false])
  })

  it('give each job its own result after a thread has ended with an error', async () => {
    const parameters = { memoryCost: 1024, timeCost: 1, parallelism: 1 }
    const thread = await HashThread.open('low')
    const hashed = await thread.run({ password: 'password-1', parameters })
    assert.ok('hash' in hashed)
    await assert.rejects(thread.run({ password: 'password-1', parameters: { ...parameters, memoryCost: 1 } }))
    const results = []
    for (const password of ['password-2', 'password-1', 'password-2'])
      results.push(await thread.run({ hash: hashed.hash, password, parameters }))
    assert.deepEqual(results, [{ isEqual: false }, { isEqual: true }, { isEqual: false }])
  })

  it('run when nothing else wants a processor, or else have a low priority', { skip: withoutLinux }, async () => {
    // Threads of earlier tests may end meanwhile.
    const opened = async (priority: Priority) => {
      const before = new Set(threads().map(({ thread }) => thread))
      const hasher = await HashThread.open(priority)
      return { hasher, its: threads().filter(({ thread }) => !before.has(thread)) }
    }
    const { hasher, its } = await opened('idle')
    assert.ok(its.some((each) => (hasher.priority === 'idle' ? each.class === SCHED_IDLE : each.priority === 25)))
    const low = await opened('low')
    assert.equal(low.hasher.priority, 'low')
    assert.ok(low.its.some((each) => each.class !== SCHED_IDLE && each.priority === 25))
  })
})

/** A thread whose hashes end when the test says so. */
class HeldHasher implements Hasher {
  priority: Priority
  readonly jobs: { password: string; end: () => void }[] = []

  constructor(priority: Priority) {
    this.priority = priority
  }

  run({ password }: HashJob): Promise<HashResult> {
    return new Promise((resolve) =>
      this.jobs.push({ password, end: () => resolve({ hash: `${this.priority} ${password}` }) }),
    )
  }
}

describe('the thread that runs when nothing else wants a processor', () => {
  const job = (password: string) => ({ password, parameters: { memoryCost: 1024, timeCost: 1, parallelism: 1 } })

  function placeOf(priority: Priority, patienceMs: number) {
    const [idle, low] = [new HeldHasher(priority), new HeldHasher('low')]
    return { idle, low, place: new HashPlace(idle, async () => low, patienceMs) }
  }

  it('makes each hash alone while it gets on', async () => {
    const { idle, low, place } = placeOf('idle', 60_000)
    const result = place.run(job('a'))
    idle.jobs[0]!.end()
    assert.deepEqual(await result, { hash: 'idle a' })
    assert.equal(low.jobs.length, 0)
  })

  it('is helped by one with a share when it does not get on, until it has ended its hash', async () => {
    const { idle, low, place } = placeOf('idle', 1)
    const first = place.run(job('a'))
    await eventually(() => low.jobs.length === 1, 'the second thread')
    low.jobs[0]!.end()
    assert.deepEqual(await first, { hash: 'low a' })
    const second = place.run(job('b'))
    await eventually(() => low.jobs.length === 2, 'the next hash at once in the second thread')
    assert.deepEqual(
      idle.jobs.map(({ password }) => password),
      ['a'],
    )
    low.jobs[1]!.end()
    assert.deepEqual(await second, { hash: 'low b' })
    idle.jobs[0]!.end()
    await setImmediate()
    const third = place.run(job('c'))
    assert.equal(idle.jobs.length, 2)
    idle.jobs[1]!.end()
    assert.deepEqual(await third, { hash: 'idle c' })
  })

  it('gives the second thread no hash before that has ended the last one', async () => {
    const { idle, low, place } = placeOf('idle', 1)
    const first = place.run(job('a'))
    await eventually(() => low.jobs.length === 1, 'the second thread')
    idle.jobs[0]!.end()
    assert.deepEqual(await first, { hash: 'idle a' })
    const second = place.run(job('b'))
    await eventually(() => idle.jobs.length === 2, 'the first thread')
    low.jobs[0]!.end()
    await eventually(() => low.jobs.length === 2, 'the second thread')
    assert.equal(low.jobs[1]!.password, 'b')
    low.jobs[1]!.end()
    assert.deepEqual(await second, { hash: 'low b' })
  })

  it('gets no other hash before it has ended one, when it has lost its priority meanwhile', async () => {
    const { idle, low, place } = placeOf('idle', 1)
    const first = place.run(job('a'))
    await eventually(() => low.jobs.length === 1, 'the second thread')
    idle.priority = 'low'
    low.jobs[0]!.end()
    await first
    const second = place.run(job('b'))
    await eventually(() => low.jobs.length === 2, 'the next hash in the second thread')
    assert.equal(idle.jobs.length, 1)
    low.jobs[1]!.end()
    await second
    idle.jobs[0]!.end()
    await setImmediate()
    const third = place.run(job('c'))
    assert.equal(idle.jobs.length, 2)
    idle.jobs[1]!.end()
    await third
  })

  it('is not helped where the system has no such class', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const { idle, low, place } = placeOf('low', 1)
    const result = place.run(job('a'))
    t.mock.timers.tick(1000)
    await setImmediate()
    assert.equal(low.jobs.length, 0)
    idle.jobs[0]!.end()
    assert.deepEqual(await result, { hash: 'low a' })
  })
})

describe('the budget of hashes', () => {
  it('lets 300 ms of work run at once, and then its share of a core', () => {
    let now = 0
    const budget = new HashBudget(0.25, () => now)
    let hashes = 0
    const until = (end: number) => {
      while (now < end) {
        const waitMs = budget.waitMs()
        now += waitMs
        if (waitMs > 0) continue
        now += 20
        budget.took(20, true)
        hashes++
      }
    }
    until(360)
    assert.ok(hashes >= 15 && hashes <= 20, `${hashes} in the burst`)
    until(2000)
    hashes = 0
    until(12_000)
    assert.ok(hashes >= 120 && hashes <= 130, `${hashes} in ten seconds`)
  })

  it('shares a twentieth of the processors among workers, from a tenth of one to one', () => {
    assert.deepEqual(
      [1, 2, 4, 16, 64].map((cpus) => hashShare(1, cpus)),
      [0.1, 0.1, 0.2, 0.8, 1],
    )
    assert.equal(hashShare(4, 4), 0.05)
  })

  it('takes each hash for as long as the shortest one', () => {
    const budget = new HashBudget(0.25, () => 0)
    budget.took(20, true)
    // Most of this time it waited for a processor.
    for (let i = 0; i < 50; i++) budget.took(500, true)
    assert.equal(Math.round(budget.waitMs()), (51 * 20 - 300) / 0.25)
  })

  it('learns no cost from a stored text that is cheaper than a hash of today', async () => {
    const budget = new HashBudget(0.25, () => 0)
    budget.took(20, true)
    budget.took(0, false)
    for (let i = 0; i < 50; i++) budget.took(20, false)
    assert.equal(Math.round(budget.waitMs()), (51 * 20 - 300) / 0.25)

    const usual: boolean[] = []
    class Noted extends HashBudget {
      override took(ms: number, isUsual: boolean): void {
        usual.push(isUsual)
        super.took(ms, isUsual)
      }
    }
    const passwords = await Passwords.load(new Noted(1))
    await passwords.matches('no hash', 'password-1')
    await passwords.matches(undefined, 'password-1')
    assert.deepEqual(usual, [true, false, true])
  })
})

describe('the places of logins', () => {
  it('are so few that the last login has its answer in time, at most 52', async () => {
    for (const [share, places] of [
      [1, 52],
      [0.1, 52],
      [0.05, 26],
      [0.0125, 7],
      [0.001, 1],
    ] as const) {
      const passwords = await Passwords.load(new HashBudget(share))
      const pending = () => new Promise<never>(() => {})
      let taken = 0
      while (passwords.inPlace(pending) !== undefined) taken++
      assert.equal(taken, places, `of ${share}`)
    }
  })
})

describe('networks over their limit of logins', () => {
  it('are remembered until their time has passed, 10,000 of them', () => {
    let now = 0
    const over = new OverLimit(() => now)
    over.add('first', 1000)
    now = 400
    assert.deepEqual([over.waitMs('first'), over.waitMs('other')], [600, 0])
    now = 1000
    assert.equal(over.waitMs('first'), 0)
    over.add('old', 1000)
    for (let i = 0; i < 10_000; i++) over.add(`network-${i}`, 1000)
    assert.deepEqual([over.waitMs('old'), over.waitMs('network-0'), over.waitMs('network-9999')], [0, 1000, 1000])
  })

  it('that are added again take the place of no other', () => {
    const over = new OverLimit(() => 0)
    for (let i = 0; i < 10_000; i++) over.add(`network-${i}`, 1000)
    for (let i = 0; i < 50; i++) over.add('network-9999', 1000)
    assert.equal(over.waitMs('network-0'), 1000)
  })
})
