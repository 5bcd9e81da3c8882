import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { killCommands, serveReady } from '../support/cli.ts'
import { refused } from '../support/client.ts'
import { gatewayFor, sample } from '../support/gateway.ts'
import { clientFrame, RawSocket, upgradeRequest } from '../support/raw.ts'
import { redisFor } from '../support/redis.ts'
import { eventually } from '../support/wait.ts'
import { closeOf, joinRaw, OPCODE } from '../support/wire.ts'

/** The burst of a session, what refills meanwhile, and the frames of 5 s, which close it. */
const FLOOD = 10_000
const FLOODERS = 20

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

  it('the live door is closed by 1,000 frames over its rate, and not by half of them', async (t) => {
    const gateway = await gatewayFor(t)
    const join = async (frames: number) => {
      const raw = await RawSocket.open(gateway.http)
      raw.write(upgradeRequest('/live'))
      await eventually(() => raw.text.includes('101'), 'the upgrade')
      raw.write(Buffer.concat(Array.from({ length: frames }, () => clientFrame(OPCODE.text, '1'))))
      return raw
    }
    const burst = await join(540)
    const flood = await join(1200)
    await flood.untilClosed()
    assert.equal(closeOf(flood), 1008)
    assert.equal(burst.ended, false)
    burst.destroy()
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

describe(`${FLOODERS} sockets that flood`, () => {
  afterEach(killCommands)

  it('are read for 1,000 frames each time that they come back, and /health answers all the while', async (t) => {
    const redis = await redisFor(t)
    const { http } = await serveReady({ REDIS_URL: redis.url, CONNECT_RATE_PER_IP: '0', REFUSED_RATE_PER_IP: '0' })
    const frames = Buffer.concat(Array.from({ length: 2000 }, () => clientFrame(OPCODE.text, '1')))
    let closed = 0
    const attack = async () => {
      while (closed < 2 * FLOODERS) {
        const raw = await RawSocket.open(http)
        raw.write(upgradeRequest('/live'))
        const isOpen = (await raw.status()) === 101
        while (isOpen && !raw.ended) {
          await raw.pour(frames)
          await nextTurn()
        }
        if (isOpen) closed++
        raw.destroy()
        await sleep(20)
      }
    }
    const attacks = Promise.all(Array.from({ length: FLOODERS }, attack))
    let over = false
    void attacks.finally(() => {
      over = true
    })
    let answers = 0
    while (!over) {
      const { status } = await fetch(`${http}/health`)
      assert.ok(status === 200 || status === 503)
      answers++
      await sleep(20)
    }
    await attacks
    const page = await (await fetch(`${http}/metrics`)).text()
    const taken = sample(page, 'wsproxy_live_messages_received_total')
    assert.ok(taken > closed * 1000 && taken < closed * 1200, `${taken} frames of ${closed} sockets were read`)
    assert.ok(answers > 10, `/health has answered ${answers} times`)
  })
})
