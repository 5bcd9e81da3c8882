import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Backlog, forgetShared } from '../../src/connection/backlog.ts'
import { sessionDown } from '../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { assertProperty } from '../support/property.ts'
import { clientFrame, type RawSocket } from '../support/raw.ts'
import { eventually } from '../support/wait.ts'
import { framesOf, joinRaw, OPCODE } from '../support/wire.ts'

const KIB = 1024
const MIB = KIB ** 2

/** A frame of this length whose bytes follow from its number. */
const frameOf = (length: number, n: number) => Buffer.alloc(length, n % 251)

const lengths = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 1000, max: 40 * KIB }),
  fc.constantFrom(16 * KIB - 4, 16 * KIB, 256 * KIB - 1, 256 * KIB, 300 * KIB),
)

describe('the backlog of a socket', () => {
  it('gives back all frames in order with their kinds, whatever their sizes and however often it stops', () => {
    const step = fc.record({ length: lengths, binary: fc.boolean(), taken: fc.integer({ min: 0, max: 3 }) })
    const test = (steps: { length: number; binary: boolean; taken: number }[]) => {
      const backlog = new Backlog()
      const waiting: { frame: Buffer; binary: boolean }[] = []
      const take = (most: number) => {
        let left = most
        if (left > 0)
          backlog.drain((frame, binary) => {
            const expected = waiting.shift()!
            assert.equal(binary, expected.binary)
            assert.ok(frame.equals(expected.frame))
            return --left > 0
          })
        assert.equal(
          backlog.bytes,
          waiting.reduce((sum, { frame }) => sum + frame.length, 0),
        )
        assert.equal(backlog.isEmpty, waiting.length === 0)
      }
      for (const [n, { length, binary, taken }] of steps.entries()) {
        const frame = frameOf(length, n)
        backlog.push(frame, binary)
        waiting.push({ frame: Buffer.from(frame), binary })
        take(taken)
      }
      take(steps.length)
      assert.ok(backlog.isEmpty)
      forgetShared()
    }
    assertProperty(fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), test), { numRuns: 50 })
  })

  it('mixes up nothing when several use the blocks of one that was cleared half way', () => {
    const first = new Backlog()
    for (let n = 0; n < 40; n++) first.push(frameOf(5000, n), false)
    let left = 20
    first.drain(() => --left > 0)
    first.clear()
    const others = [new Backlog(), new Backlog()]
    for (let n = 0; n < 40; n++) for (const [i, each] of others.entries()) each.push(frameOf(5000, n + 100 * i), true)
    for (const [i, each] of others.entries()) {
      let n = 100 * i
      each.drain((frame) => {
        assert.ok(frame.equals(frameOf(5000, n++)))
        return true
      })
      assert.equal(n, 100 * i + 40)
    }
  })

  it('holds a frame that waits for 1,000 sockets twice, and its neighbours in the same read not at all', () => {
    const before = process.memoryUsage().arrayBuffers
    const backlogs = Array.from({ length: 1000 }, () => new Backlog())
    const read = Buffer.alloc(64 * KIB)
    for (let n = 0; n < 64; n++) {
      const frame = read.subarray(n, n + 8 * KIB)
      for (const each of backlogs) each.push(frame, false)
      forgetShared()
    }
    const grown = process.memoryUsage().arrayBuffers - before
    assert.equal(backlogs[999]!.bytes, 512 * KIB)
    // Unshared they are 500 MiB.
    assert.ok(grown < 20 * MIB, `grew by ${(grown / MIB).toFixed()} MiB`)
  })
})

/** Text and binary frames of many sizes, each with its number in front. */
const numbered = (n: number): Buffer => {
  const head = `${n}:`
  const fill = n % 7 === 3 ? 0xff : 'x'.charCodeAt(0)
  return Buffer.concat([Buffer.from(head), Buffer.alloc([10, 900, 20_000, 70_000, 300_000][n % 5]!, fill)])
}

/** Publishes frames to a client that does not read, until it has `bytes` unsent. */
async function fill(gateway: TestGateway, session: string, bytes: number): Promise<number> {
  let n = 0
  await eventually(async () => {
    for (const end = n + 20; n < end; n++) await gateway.agent.publish(sessionDown(session), numbered(n))
    return (await gateway.metric('wsproxy_buffer_utilization_bytes_sum')) > bytes
  }, 'unsent bytes')
  return n
}

const dataOf = (raw: RawSocket) => framesOf(raw).filter(({ opcode }) => opcode <= OPCODE.binary)

describe('a client with a long backlog', () => {
  it('gets every frame in order, with its kind, and the pongs of pings that it sent meanwhile', async (t) => {
    const gateway = await gatewayFor(t, { env: { MAX_BUFFER_SIZE_BYTES: '10MiB' } })
    const raw = await joinRaw(gateway, 'backlog')
    raw.socket.pause()
    const count = await fill(gateway, 'backlog', 6 * MIB)
    for (let i = 0; i < 5; i++) raw.write(clientFrame(OPCODE.ping, `${i}`))
    raw.socket.resume()
    await eventually(() => dataOf(raw).length >= count, 'all frames')
    for (const [n, { opcode, payload }] of dataOf(raw).entries()) {
      assert.ok(payload.equals(numbered(n)), `frame ${n}`)
      assert.equal(opcode, n % 7 === 3 ? OPCODE.binary : OPCODE.text)
    }
    const pongs = framesOf(raw).filter(({ opcode }) => opcode === OPCODE.pong)
    assert.deepEqual(
      pongs.map(({ payload }) => String(payload)),
      ['0', '1', '2', '3', '4'],
    )
    await eventually(async () => (await gateway.metric('wsproxy_buffer_utilization_bytes_sum')) === 0, 'no bytes')
    assert.equal(await gateway.metric('wsproxy_lost_messages_total', { reason: 'slow_client' }), 0)
    raw.destroy()
  })

  it('frees it when it leaves', async (t) => {
    const gateway = await gatewayFor(t, { env: { MAX_BUFFER_SIZE_BYTES: '10MiB' } })
    const raw = await joinRaw(gateway, 'leaves')
    raw.socket.pause()
    await fill(gateway, 'leaves', 6 * MIB)
    raw.destroy()
    await eventually(async () => (await gateway.metric('wsproxy_buffer_utilization_bytes_sum')) === 0, 'no bytes')
  })
})
