import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { HashBudget } from '../../src/login/hash-budget.ts'
import { HashThread } from '../../src/login/hash-threads.ts'
import { OverLimit } from '../../src/login/over-limit.ts'
import { Passwords } from '../../src/login/passwords.ts'

/** The priorities of the threads of this process: 20 is the usual one, 25 that of hashes. */
function priorities(): number[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const text = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[15])
  })
}

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
    const thread = await HashThread.open()
    const hashed = await thread.run({ password: 'password-1', parameters })
    assert.ok('hash' in hashed)
    await assert.rejects(thread.run({ password: 'password-1', parameters: { ...parameters, memoryCost: 1 } }))
    const results = []
    for (const password of ['password-2', 'password-1', 'password-2'])
      results.push(await thread.run({ hash: hashed.hash, password, parameters }))
    assert.deepEqual(results, [{ isEqual: false }, { isEqual: true }, { isEqual: false }])
  })

  it('have a low priority on Linux, and the event loop keeps its own', async (t) => {
    if (process.platform !== 'linux') return t.skip('needs /proc')
    const main = () =>
      Number(readFileSync(`/proc/self/task/${process.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[15])
    const before = { main: main(), low: priorities().filter((each) => each === 25).length }
    await Passwords.load()
    assert.ok(priorities().filter((each) => each === 25).length > before.low, String(priorities()))
    assert.equal(main(), before.main)
  })
})

describe('the budget of hashes', () => {
  it('lets a second of work run at once, and then a quarter of a core', () => {
    let now = 0
    const budget = new HashBudget(() => now, 0.25)
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
    until(1200)
    assert.ok(hashes >= 50 && hashes <= 66, `${hashes} in the burst`)
    until(2000)
    hashes = 0
    until(12_000)
    assert.ok(hashes >= 120 && hashes <= 130, `${hashes} in ten seconds`)
  })

  it('takes each hash for as long as the shortest one', () => {
    const budget = new HashBudget(() => 0, 0.25)
    budget.took(20, true)
    // Most of this time it waited for a processor.
    for (let i = 0; i < 50; i++) budget.took(500, true)
    assert.equal(Math.round(budget.waitMs()), (51 * 20 - 1000) / 0.25)
  })

  it('learns no cost from a stored text that is cheaper than a hash of today', async () => {
    const budget = new HashBudget(() => 0, 0.25)
    budget.took(20, true)
    budget.took(0, false)
    for (let i = 0; i < 50; i++) budget.took(20, false)
    assert.equal(Math.round(budget.waitMs()), (51 * 20 - 1000) / 0.25)

    const usual: boolean[] = []
    class Noted extends HashBudget {
      override took(ms: number, isUsual: boolean): void {
        usual.push(isUsual)
        super.took(ms, isUsual)
      }
    }
    const passwords = await Passwords.load(new Noted())
    await passwords.matches('no hash', 'password-1')
    await passwords.matches(undefined, 'password-1')
    assert.deepEqual(usual, [true, false, true])
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
