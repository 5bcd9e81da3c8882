import type { after, afterEach } from 'node:test'

/** Something that ends: a test's context (`t`), or what `scopeOf` returns. */
export interface Scope {
  after(end: () => unknown): void
}

interface Stoppable {
  stop(): unknown
}

const endsOf = new WeakMap<Scope, (() => unknown)[]>()

/**
 * The scope of a suite with `scopeOf(after)`, of each of its tests with `scopeOf(afterEach)`.
 * Call it in the body of `describe`: a hook registered inside `before` would run after `before`.
 */
export function scopeOf(hook: typeof after | typeof afterEach): Scope {
  const scope: Scope = { after: () => {} }
  const ends: (() => unknown)[] = []
  endsOf.set(scope, ends)
  hook(() => endAll(ends))
  return scope
}

/** Runs `end` when the scope ends, the latest first: a gateway stops before its Redis. */
export function atEnd(scope: Scope, end: () => unknown): void {
  let ends = endsOf.get(scope)
  if (ends === undefined) {
    const own: (() => unknown)[] = []
    endsOf.set(scope, own)
    scope.after(() => endAll(own))
    ends = own
  }
  ends.push(end)
}

/** Returns what was started and stops it when the scope ends. */
export async function stopAtEnd<T extends Stoppable>(scope: Scope, starting: T | Promise<T>): Promise<T> {
  const started = await starting
  atEnd(scope, () => started.stop())
  return started
}

/** Runs all functions even when one throws, and then throws the first error. */
async function endAll(ends: (() => unknown)[]): Promise<void> {
  const errors: unknown[] = []
  for (const end of ends.splice(0).reverse()) {
    try {
      await end()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
