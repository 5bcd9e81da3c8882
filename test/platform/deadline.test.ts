import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { DeadlinePassed, within } from '../../src/platform/deadline.ts'

/** Stops the event loop as a flood of frames does. */
function block(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until) {
    // Nothing else runs.
  }
}

describe('a deadline', () => {
  it('passes without a result, and not before its time', async () => {
    const startedAt = performance.now()
    await assert.rejects(within(new Promise(() => {}), 50), DeadlinePassed)
    assert.ok(performance.now() - startedAt >= 49)
  })

  it('does not pass for an answer that came in time while the event loop was busy', async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [peer] = (await once(server, 'connection')) as [Socket]
    t.after(() => {
      peer.destroy()
      client.destroy()
      server.close()
    })
    for (let n = 0; n < 5; n++) {
      // Node writes so few bytes at once: the kernel has them when this call returns.
      peer.write('x')
      const answer = within(once(client, 'data'), 50)
      block(100)
      assert.equal(String((await answer)[0]), 'x')
    }
  })
})
