/** Somebody did not wait any longer. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed'
}

/** What the promise comes to, if it does so within `ms`. It goes on all the same; nobody waits for it. @throws DeadlinePassed */
export async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlinePassed(`no answer within ${ms} ms`)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
