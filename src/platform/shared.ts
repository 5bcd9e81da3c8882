/**
 * Returns a function that gives all callers within `maxAgeMs` the same value: it calls `make` again
 * when the value is that old, counted from the begin of the call, and never while a call is under
 * way. 0: each call of it calls `make`. A failure is given to those that wait for it, and not kept.
 */
export function shared<T>(maxAgeMs: number, make: () => Promise<T>): () => Promise<T> {
  let latest: Promise<T> | undefined
  let madeAt = 0
  let isPending = false
  if (maxAgeMs === 0) return make
  return () => {
    if (latest && (isPending || performance.now() - madeAt < maxAgeMs)) return latest
    madeAt = performance.now()
    isPending = true
    const made = make()
    latest = made
    made.then(
      () => {
        isPending = false
      },
      () => {
        isPending = false
        latest = undefined
      },
    )
    return made
  }
}
