import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { refused } from '../support/client.ts'
import { gatewayFor } from '../support/gateway.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { eventually } from '../support/wait.ts'
import { closeOf, joinRaw, OPCODE } from '../support/wire.ts'

/** The burst of a session, what refills meanwhile, and 10,000 over the rate, which close it. */
const FLOOD = 16_000

describe('a client that floods', () => {
  for (const [what, opcode] of [
    ['messages', OPCODE.text],
    ['pings', OPCODE.ping],
    ['pongs', OPCODE.pong],
  ] as const)
    it(`with ${what} is closed with 1008, and its address pauses`, async (t) => {
      const gateway = await gatewayFor(t)
      const raw = await joinRaw(gateway, 'flood')
      raw.write(Buffer.concat(Array.from({ length: FLOOD }, () => clientFrame(opcode, '1'))))
      await raw.untilClosed()
      assert.equal(closeOf(raw), 1008)
      const { status, code } = await refused(gateway.sessionUrl('flood'), { token: await gateway.token('flood') })
      assert.deepEqual([status, code], [429, 'connect-rate'])
    })

  it('slowly is closed after 5 s over its rate, and not while it pauses in between', async (t) => {
    const gateway = await gatewayFor(t, { env: { SESSION_RATE: '1', SESSION_RATE_BURST: '1' } })
    const [floods, pauses] = [await joinRaw(gateway, 'floods'), await joinRaw(gateway, 'pauses')]
    const timers = [
      setInterval(() => floods.ended || floods.write(clientFrame(OPCODE.text, '1')), 100),
      setInterval(
        () => pauses.write(Buffer.concat([clientFrame(OPCODE.text, '1'), clientFrame(OPCODE.text, '1')])),
        2500,
      ),
    ]
    t.after(() => timers.forEach(clearInterval))
    const startedAt = Date.now()
    await floods.untilClosed()
    assert.equal(closeOf(floods), 1008)
    assert.ok(Date.now() - startedAt >= 5000)
    assert.equal(pauses.ended, false)
    pauses.destroy()
  })

  it('from the address of a proxy is closed alone', async (t) => {
    const gateway = await gatewayFor(t)
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/live', { 'X-Forwarded-For': '192.0.2.1' }))
    await eventually(() => raw.text.includes('101'), 'the upgrade')
    raw.write(Buffer.concat(Array.from({ length: FLOOD }, () => clientFrame(OPCODE.text, '1'))))
    await raw.untilClosed()
    const other = await gateway.join('other')
    await other.close()
  })
})
