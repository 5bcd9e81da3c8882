import type { Loaded } from '../config/load.ts'
import { type Shares, sharesOf } from '../config/shares.ts'
import { bufferBudget } from '../platform/memory.ts'

/** Returns what each of `workers` processes has of the limits. */
export const workerShares = ({ config }: Loaded, workers: number): Shares =>
  sharesOf({ ...config, maxBufferedBytes: bufferBudget(config.maxBufferedBytes) }, workers)

/** Returns the settings of one of `workers` processes. */
export function dividedFor(workers: number, loaded: Loaded): Loaded {
  const shares = workerShares(loaded, workers)
  return { ...loaded, config: Object.freeze({ ...loaded.config, ...shares }), shares }
}
