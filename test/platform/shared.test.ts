import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { shared } from '../../src/platform/shared.ts'
import { VirtualClock } from '../support/clock.ts'

describe('a shared value', () => {
  /** Makes 1, 2, 3, and so on; each is ready when the test calls `finish`. */
  function counted(maxAgeMs: number) {
    let made = 0
    let finish: (error?: Error) => void = () => {}
    const get = shared(
      maxAgeMs,
      () =>
        new Promise<number>((resolve, reject) => {
          const value = ++made
          finish = (error) => (error ? reject(error) : resolve(value))
        }),
    )
    return { get, finish: (error?: Error) => finish(error), made: () => made }
  }

  it('is made again when it is as old as its age, and given to every caller before', async (t) => {
    const clock = new VirtualClock()
    t.after(() => clock.restore())
    const { get, finish } = counted(1000)
    const first = [get(), get()]
    finish()
    clock.now = 999
    assert.deepEqual(await Promise.all([...first, get()]), [1, 1, 1])
    clock.now = 1000
    const second = get()
    finish()
    assert.equal(await second, 2)
  })

  it('is not made twice at a time, however long that takes', async (t) => {
    const clock = new VirtualClock()
    t.after(() => clock.restore())
    const { get, finish, made } = counted(1000)
    const first = get()
    clock.now = 5000
    const second = get()
    assert.equal(made(), 1)
    finish()
    assert.deepEqual(await Promise.all([first, second]), [1, 1])
  })

  it('is made again after a failure, which its waiting callers get', async () => {
    const { get, finish } = counted(60_000)
    const waiting = [get(), get()]
    finish(new Error('no value'))
    for (const each of waiting) await assert.rejects(each, /no value/)
    const next = get()
    finish()
    assert.equal(await next, 2)
  })

  it('is made for each caller when its age is 0', () => {
    const { get, made } = counted(0)
    void get()
    void get()
    assert.equal(made(), 2)
  })
})
