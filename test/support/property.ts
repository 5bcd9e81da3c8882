import fc from 'fast-check'

/**
 * `npm test` runs every property from this seed, so that two runs of one commit agree. The nightly
 * run sets PROPERTY_SEED to a random number and PROPERTY_RUNS to a multiple of the usual runs.
 */
const FIXED_SEED = 20_240_601
const SEED = whole('PROPERTY_SEED') ?? FIXED_SEED
const RUNS_FACTOR = whole('PROPERTY_RUNS') ?? 1
const DEFAULT_RUNS = 100

interface Parameters {
  readonly numRuns?: number
}

/** Asserts a property; the failure names its seed and the smallest counterexample. */
export function assertProperty<T>(property: fc.IAsyncProperty<T>, parameters?: Parameters): Promise<void>
export function assertProperty<T>(property: fc.IProperty<T>, parameters?: Parameters): void
export function assertProperty<T>(
  property: fc.IRawProperty<T>,
  { numRuns = DEFAULT_RUNS }: Parameters = {},
): Promise<void> | void {
  return fc.assert(property, { numRuns: numRuns * RUNS_FACTOR, seed: SEED })
}

function whole(name: string): number | undefined {
  const text = process.env[name]
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value)) throw new Error(`${name}=${text} is not a whole number`)
  return value
}
