import { reasonOf } from '../platform/reason.ts'

/**
 * Finds the checks that a module exports: as its default export or by name, as an object or a
 * class, one or a list of them. An object with `preFlightCheck()` gives the checks that this
 * returns.
 */

/**
 * Returns what may be checks, or the problem when the module exports none. The caller verifies each
 * of them.
 */
export function checksIn(module: object): unknown[] | string {
  const { default: main, ...named } = module as { readonly default?: unknown } & Readonly<Record<string, unknown>>
  const others = Object.values(named)
    .flatMap(entriesOf)
    .filter((each) => isCandidate(each) && (typeof each !== 'function' || hasWork(Object(each.prototype))))
  const mains = main === undefined ? [] : entriesOf(main)
  // A default export that is no check is a mistake. Another export may be anything, and a class
  // without the methods of a check is not made.
  if (mains.some((each) => !isCandidate(each))) return 'its default export is not a check'
  const all = [...new Set([...mains, ...others])]
  // A file often exports its class and an instance of it.
  const distinct = all.filter((each) => !(isClass(each) && all.some((other) => isInstance(other, each))))
  try {
    const found = distinct.flatMap(checksOf)
    return found.length === 0 ? 'it exports no check' : found
  } catch (error) {
    return `its check cannot be made: ${reasonOf(error)}`
  }
}

type Members = Readonly<Record<string, unknown>>
type NoArguments = new () => unknown

const entriesOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value])

const isClass = (value: unknown): value is NoArguments =>
  typeof value === 'function' &&
  (/^class\b/.test(Function.prototype.toString.call(value)) || hasWork(Object(value.prototype)))

const isInstance = (value: unknown, type: NoArguments): boolean => typeof value === 'object' && value instanceof type

const hasWork = ({ execute, preFlightCheck }: Members): boolean =>
  typeof execute === 'function' || typeof preFlightCheck === 'function'

/** Whether a value may be a check, or give one. A half-written check counts: it is reported. */
function isCandidate(value: unknown): boolean {
  if (isClass(value)) return true
  if (typeof value !== 'object' || value === null) return false
  return hasWork(value as Members) || ('name' in value && 'priority' in value)
}

function checksOf(value: unknown): unknown[] {
  const made = isClass(value) ? new value() : value
  const { preFlightCheck } = Object(made) as Members
  if (typeof preFlightCheck !== 'function') return [made]
  const given: unknown = preFlightCheck.call(made)
  // A handler may have nothing to check.
  return given === undefined || given === null ? [] : entriesOf(given)
}
