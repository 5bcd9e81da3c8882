import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Revoked } from '../../src/sessions/revoked.ts'
import { createLogger } from '../../src/telemetry/log.ts'

it('revocations warn that they cannot be read once Redis was ready, not while a gateway starts', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const lines: string[] = []
  let reads = 0
  const since = async (): Promise<never> => {
    reads++
    throw new Error('no Redis')
  }
  const log = createLogger('info', { write: (line) => lines.push(line) })
  const revoked = new Revoked({ source: { since }, added: () => {}, log })
  t.mock.timers.tick(500)
  await turn()
  assert.deepEqual([reads, lines.length], [1, 0])
  revoked.restart()
  await turn()
  assert.deepEqual([reads, lines.length], [2, 1])
  assert.match(lines[0]!, /"revoked-unread","reason":"no Redis"/)
  revoked.stop()
})
