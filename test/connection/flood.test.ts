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
      assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
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

  it('is closed by the bytes of 5 s over its byte rate, and not by half of them', async (t) => {
    const gateway = await gatewayFor(t, { env: { SESSION_BYTE_RATE: '64KiB', MAX_MESSAGE_SIZE: '8KiB' } })
    const frame = clientFrame(OPCODE.text, JSON.stringify('x'.repeat(8190)))
    const join = async (session: string, frames: number) => {
      const raw = await joinRaw(gateway, session)
      // Two seconds of the rate are within its burst.
      raw.write(Buffer.concat(Array.from({ length: 16 + frames }, () => frame)))
      return raw
    }
    const half = await join('half', 20)
    await eventually(() => half.text.includes('rate-limited'), 'the notice')
    const all = await join('all', 60)
    await all.untilClosed()
    assert.equal(closeOf(all), 1008)
    assert.equal(half.ended, false)
    half.destroy()
  })

  it('of the live door with its largest frames is closed within a second, without a token', async (t) => {
    const gateway = await gatewayFor(t)
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/live'))
    await eventually(() => raw.text.includes('101'), 'the upgrade')
    const frame = clientFrame(OPCODE.text, '['.repeat(500_000))
    let sent = 0
    for (; sent < 40 && !raw.ended; sent++) {
      await raw.pour(frame)
      await sleep(25)
    }
    await raw.untilClosed()
    assert.equal(closeOf(raw), 1008)
    assert.ok(sent >= 6 && sent < 20, `${sent} frames were sent`)
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

  it('with frames that are not JSON is closed after one second of its byte rate, and its address pauses', async (t) => {
    const gateway = await gatewayFor(t, { env: { SESSION_BYTE_RATE: '64KiB', MAX_MESSAGE_SIZE: '8KiB' } })
    const raw = await joinRaw(gateway, 'unusable')
    const [broken, deep] = ['{'.repeat(8192), '['.repeat(4096) + ']'.repeat(4096)]
    for (let i = 0; i < 4; i++) for (const text of [broken, deep]) raw.write(clientFrame(OPCODE.text, text))
    await eventually(() => raw.text.split('"invalid-json"').length === 9, 'an answer to each')
    assert.equal(raw.ended, false)
    for (let i = 0; i < 3; i++) raw.write(clientFrame(OPCODE.text, deep))
    await raw.untilClosed()
    assert.equal(closeOf(raw), 1008)
    const { status, code } = await refused(gateway.sessionUrl('unusable'), { token: await gateway.token('unusable') })
    assert.deepEqual([status, code], [429, 'connect-rate'])
  })

  it('with the largest unusable frame now and then stays, and its other frames are published', async (t) => {
    const gateway = await gatewayFor(t, { env: { SESSION_BYTE_RATE: '64KiB', MAX_MESSAGE_SIZE: '1KiB' } })
    const heard: string[] = []
    await (await gateway.redis.client()).subscribe('session:rarely:up', (frame) => void heard.push(frame))
    const raw = await joinRaw(gateway, 'rarely')
    // An eighth of the byte rate, after one second of it at once.
    for (let i = 0; i < 64; i++) raw.write(clientFrame(OPCODE.text, '['.repeat(1024)))
    for (let i = 0; i < 6; i++) {
      await sleep(200)
      raw.write(clientFrame(OPCODE.text, '['.repeat(1024)))
    }
    raw.write(clientFrame(OPCODE.text, '{"a":1}'))
    await eventually(() => heard.length === 1, 'the frame')
    assert.equal(raw.ended, false)
    assert.equal(raw.text.split('"invalid-json"').length, 71)
    raw.destroy()
  })

  it('with 20 frames a second of 1 MB of deeply nested JSON is closed within a second, and again when it is back', async (t) => {
    const gateway = await gatewayFor(t)
    const frame = clientFrame(OPCODE.text, '['.repeat(520_000) + ']'.repeat(520_000))
    for (let round = 0; round < 2; round++) {
      await eventually(async () => {
        const token = await gateway.token('deep')
        return (await refused(gateway.sessionUrl('deep'), { token: `${token}x` })).status === 403
      }, 'the end of the pause')
      const raw = await joinRaw(gateway, 'deep')
      let sent = 0
      for (; sent < 30 && !raw.ended; sent++) {
        await raw.pour(frame)
        await sleep(50)
      }
      await raw.untilClosed()
      assert.equal(closeOf(raw), 1008)
      assert.ok(sent >= 8 && sent < 20, `${sent} frames were sent`)
    }
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
