import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, it, mock } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HeapGrowth } from '../../src/platform/heap-growth.ts'
import { within } from '../support/wait.ts'

const MIB = 1024 ** 2

describe('the growth of the heap', () => {
  afterEach(() => mock.timers.reset())

  function growthOf(heapBytes: number, memoryBytes = 1024 * MIB, processes = 1) {
    const allowed: number[] = []
    const heap = { bytes: heapBytes }
    const allow = (percent: number) => void allowed.push(percent)
    return { growth: new HeapGrowth({ heapBytes: () => heap.bytes, memoryBytes, processes, allow }), allowed, heap }
  }

  it('is left to V8 while collections are half a second apart', () => {
    const { growth, allowed } = growthOf(16 * MIB)
    for (let at = 0; at < 5000; at += 500) growth.collected(at)
    assert.deepEqual(allowed, [])
  })

  it('may be 64 MiB from the second collection within half a second on, for a minute', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { growth, allowed } = growthOf(16 * MIB)
    growth.collected(1000)
    assert.deepEqual(allowed, [])
    growth.collected(1499)
    assert.deepEqual(allowed, [400])
    mock.timers.tick(59_999)
    assert.deepEqual(allowed, [400])
    mock.timers.tick(1)
    assert.deepEqual(allowed, [400, 0])
  })

  it('may be an eighth of the memory where that is less', () => {
    const { growth, allowed } = growthOf(16 * MIB, 256 * MIB)
    growth.collected(0)
    growth.collected(100)
    assert.deepEqual(allowed, [200])
  })

  it('has an equal part of that in each of several processes that share the memory', () => {
    const { growth, allowed } = growthOf(16 * MIB, 1024 * MIB, 4)
    growth.collected(0)
    growth.collected(100)
    assert.deepEqual(allowed, [200])
  })

  it('stays 64 MiB while the heap itself grows, and is left to V8 at once where it has become large', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { growth, allowed, heap } = growthOf(16 * MIB)
    growth.collected(0)
    growth.collected(100)
    heap.bytes = 32 * MIB
    growth.collected(2000)
    heap.bytes = 65 * MIB
    growth.collected(4000)
    assert.deepEqual(allowed, [400, 200, 0])
    mock.timers.tick(120_000)
    growth.collected(125_000)
    assert.deepEqual(allowed, [400, 200, 0])
  })

  it('is left to V8 a minute after the last collection that came too soon, whatever came later', () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const { growth, allowed } = growthOf(32 * MIB)
    growth.collected(0)
    growth.collected(100)
    mock.timers.tick(30_000)
    growth.collected(30_100)
    mock.timers.tick(30_000)
    assert.deepEqual(allowed, [200, 200, 0])
  })

  it('is left to V8 where the heap is large', () => {
    const { growth, allowed } = growthOf(65 * MIB)
    growth.collected(0)
    growth.collected(100)
    assert.deepEqual(allowed, [])
  })

  it('makes collections rare in a process that goes through 100 MB of buffers a second', async () => {
    const collections = async (mode: 'watched' | 'unwatched') => {
      const child = fork(fileURLToPath(new URL('../support/buffers-child.js', import.meta.url)), [mode], {
        execArgv: ['--max-semi-space-size=4', '--expose-gc'],
      })
      const [count] = await within(once(child, 'message'), 'the number of collections', 60_000)
      return Number(count)
    }
    const [unwatched, watched] = [await collections('unwatched'), await collections('watched')]
    assert.ok(watched <= unwatched / 2, `${watched} collections of the whole heap, and ${unwatched} without the watch`)
  })
})
