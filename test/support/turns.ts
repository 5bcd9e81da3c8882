import type { TestContext } from 'node:test'
import { Closer } from '../../src/connection/end.ts'

/**
 * Counts, until the test ends, the sockets that the gateways of this process end. Returns what
 * returns the most of one turn of the event loop.
 */
export function mostEndedInOneTurn({ mock }: TestContext): () => number {
  const { end } = Closer.prototype
  let inTurn = 0
  let most = 0
  mock.method(Closer.prototype, 'end', function (this: Closer, ...args: Parameters<Closer['end']>): void {
    if (inTurn++ === 0)
      setImmediate(() => {
        inTurn = 0
      })
    most = Math.max(most, inTurn)
    return end.apply(this, args)
  })
  return () => most
}
