import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gatewayFor } from '../support/gateway.ts'
import { clientFrame } from '../support/raw.ts'
import { closeOf, joinRaw, OPCODE } from '../support/wire.ts'

describe('a client frame that trickles', () => {
  it('ends by PONG_TIMEOUT: its bytes are no sign of life before the frame is complete', async (t) => {
    const gateway = await gatewayFor(t, { env: { PING_INTERVAL: '200ms', PONG_TIMEOUT: '1s' } })
    const raw = await joinRaw(gateway, 'trickle')
    const frame = clientFrame(OPCODE.text, JSON.stringify('x'.repeat(1000)))
    let sent = 0
    const timer = setInterval(() => {
      if (!raw.ended && sent < frame.length) raw.write(frame.subarray(sent, ++sent))
    }, 20)
    t.after(() => clearInterval(timer))
    await raw.untilClosed()
    assert.equal(closeOf(raw), 4408)
    assert.ok(sent < frame.length)
  })
})
