/** Thrown when a deadline passes. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed'
}

/**
 * Returns the promise's result if it settles within `ms`. The underlying work is not cancelled.
 * Timers run before I/O: after a turn that took longer than `ms` an answer may have come in time
 * and not been read. So the deadline passes only after the turn that reads it.
 * @throws DeadlinePassed
 */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const pass = () => reject(new DeadlinePassed(`no answer within ${ms} ms`))
    timer = setTimeout(() => setImmediate(pass), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
