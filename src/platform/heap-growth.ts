import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { availableMemory } from './memory.ts'

const MIB = 1024 ** 2
/** Two collections of the whole heap within this time are too many. */
const TOO_SOON_MS = 500
/** So much may be added to the heap, and to the buffers outside of it, between two of them. */
const GROWTH_BYTES = 64 * MIB
/** Or this share of the memory, where that is less. */
const GROWTH_SHARE = 1 / 8
/** Below this share of the heap V8's own rule allows as much. */
const LEAST_PERCENT = 100
/** Then V8's own rule counts again, until it collects too soon again. */
const RAISED_MS = 60_000

export interface HeapGrowthParts {
  /** Bytes that the heap holds. */
  readonly heapBytes: () => number
  /** Bytes that all processes of this instance may hold. */
  readonly memoryBytes: number
  /** How many these are. */
  readonly processes: number
  /** How much the heap may grow until it is collected, as a percentage. 0: V8's own rule. */
  readonly allow: (percent: number) => void
}

/**
 * Lets the heap grow further while V8 collects all of it several times a second. Each collection
 * stops the event loop for 4 to 8 ms. Backlogs that grow by tens of megabytes a second cause them:
 * V8 counts buffers outside of the heap as well, and its own rule allows 8 MiB for a small heap. A
 * flag at the start would do the same, but idle sockets would take twice the memory.
 */
export class HeapGrowth {
  readonly #parts: HeapGrowthParts
  #collectedAt = Number.NEGATIVE_INFINITY
  #lowering: NodeJS.Timeout | undefined

  constructor(parts: HeapGrowthParts) {
    this.#parts = parts
  }

  /** The whole heap was collected at `at`, in ms. */
  collected(at: number): void {
    const isTooSoon = at - this.#collectedAt < TOO_SOON_MS
    this.#collectedAt = at
    if (isTooSoon || this.#lowering !== undefined) this.#adapt(isTooSoon)
  }

  /** The percentage counts for the heap as it is: one that grows with it would double, and more. */
  #adapt(isTooSoon: boolean): void {
    const { heapBytes, memoryBytes, processes, allow } = this.#parts
    const growth = Math.min(GROWTH_BYTES, (memoryBytes / processes) * GROWTH_SHARE)
    const percent = Math.floor((growth / heapBytes()) * 100)
    if (percent < LEAST_PERCENT) return this.#lower()
    allow(percent)
    if (!isTooSoon) return
    clearTimeout(this.#lowering)
    this.#lowering = setTimeout(() => this.#lower(), RAISED_MS).unref()
  }

  #lower(): void {
    if (this.#lowering === undefined) return
    clearTimeout(this.#lowering)
    this.#lowering = undefined
    this.#parts.allow(0)
  }
}

/**
 * Watches the collections of this process. V8 reads the flag whenever it has collected.
 * @param processes of the instance, which share the memory.
 */
export function watchHeapGrowth(processes = 1): void {
  const growth = new HeapGrowth({
    heapBytes: () => getHeapStatistics().used_heap_size,
    memoryBytes: availableMemory(),
    processes,
    allow: (percent) => setFlagsFromString(`--heap-growing-percent=${percent}`),
  })
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (isMajor(entry)) growth.collected(entry.startTime)
  })
  observer.observe({ entryTypes: ['gc'] })
}

/** Whether an entry of the kind `gc` stands for a collection of the whole heap. */
export const isMajor = (entry: PerformanceEntry): boolean =>
  (entry as PerformanceEntry & { readonly detail: { readonly kind: number } }).detail.kind ===
  constants.NODE_PERFORMANCE_GC_MAJOR
