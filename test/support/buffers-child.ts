/**
 * A process with a heap of 14 MB that goes through buffers as a gateway does that reads large
 * messages: it sends its parent how often its whole heap was collected. With the argument
 * `watched` it watches the growth of its heap.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { isMajor, watchHeapGrowth } from '../../src/platform/heap-growth.ts'

const BUFFER_BYTES = 64 * 1024
const BUFFERS_PER_TURN = 24
const TURN_MS = 10
const WARM_UP_TURNS = 100
const TURNS = 400
const LIVE = 100_000
/** Some of them make way for others, so that the old ones are garbage. */
const NEW_PER_TURN = 1000

if (process.argv[2] === 'watched') watchHeapGrowth()
const objectOf = (i: number) => ({ name: `object ${i}`, number: i })
const live = Array.from({ length: LIVE }, (_, i) => objectOf(i))
// V8's own rule begins with the first collection.
globalThis.gc!()
let collections = 0
new PerformanceObserver((list) => {
  collections += list.getEntries().filter(isMajor).length
}).observe({ entryTypes: ['gc'] })

let turns = 0
let held: Buffer[] = []
const timer = setInterval(() => {
  if (++turns === WARM_UP_TURNS) collections = 0
  if (turns < TURNS) {
    for (let i = 0; i < NEW_PER_TURN; i++) live[Math.floor(Math.random() * LIVE)] = objectOf(i)
    held = Array.from({ length: BUFFERS_PER_TURN }, () => Buffer.allocUnsafeSlow(BUFFER_BYTES).fill(1))
    return
  }
  clearInterval(timer)
  process.send!(collections + 0 * (live.length + held.length), () => process.disconnect())
}, TURN_MS)
