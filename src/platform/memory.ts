import { totalmem } from 'node:os'

/**
 * The bytes of memory that this process may use: the limit of its cgroup (v1 or v2) where there is
 * one, else the memory of the machine.
 */
export function availableMemory(): number {
  // 0 without a cgroup, and a number near 2^63 for a cgroup without a limit.
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

/** The default of MAX_BUFFERED_BYTES, as a share of the memory. */
const BUFFERED_SHARE = 0.25

/** Returns MAX_BUFFERED_BYTES, or where it is not set a share of the memory. */
export const bufferBudget = (setting: number | undefined, memoryBytes: number = availableMemory()): number =>
  setting ?? Math.floor(memoryBytes * BUFFERED_SHARE)
