import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { DeadlinePassed, within } from '../../src/platform/deadline.ts'
import { killAtExit } from '../support/processes.ts'

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

  it('does not pass for an answer that came in time while the event loop was busy', async () => {
    const echo = killAtExit(spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] }))
    try {
      for (let n = 0; n < 5; n++) {
        echo.stdin.write('x')
        const answer = within(once(echo.stdout, 'data'), 100)
        block(300)
        assert.equal(String((await answer)[0]), 'x')
      }
    } finally {
      echo.kill('SIGKILL')
    }
  })
})
