import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DIALECTS, type DialectName, upstreamMessage } from '../../bench/load/dialects.ts'
import { clientTextFrame } from '../../bench/load/frames.ts'
import { LiveTally, livePaths } from '../../bench/load/live.ts'
import { msgpack } from '../../bench/load/msgpack.ts'
import { dueAfter } from '../../bench/load/pace.ts'
import { blankPayload, readSequence, readTimeUs, shapeOf, stamp } from '../../bench/load/payload.ts'
import { Publishes } from '../../bench/load/publishes.ts'
import { Tally } from '../../bench/load/tally.ts'

/** Channel and payload of each PUBLISH in a batch. */
function publishes(batch: Buffer): [string, number][] {
  return [...batch.toString().matchAll(/session:bench-(\d+):down\r\n\$128\r\n\{"seq":"(\d+)"/g)].map(
    ([, session, sequence]) => [session!, Number(sequence)],
  )
}

describe('the publishing side', () => {
  it('each payload carries the number of its addressee', () => {
    const batch = new Publishes(12).batch(0, 12, 1)
    const said = [...batch.toString().matchAll(/session:bench-(\d+):down\r\n\$128\r\n[^\r]*"to":"(\d+)"/g)]
    assert.equal(said.length, 12)
    for (const [, session, to] of said) assert.equal(to, session)
  })

  it('messages go round the sessions, and each session counts its own', () => {
    const all = new Publishes(2)
    const first = publishes(all.batch(0, 3, 1))
    assert.deepEqual(first, [
      ['000000', 0],
      ['000001', 0],
      ['000000', 1],
    ])
  })

  it('a burst that a batch cut continues in the next batch', () => {
    const all = new Publishes(2, 3)
    const messages = [...publishes(all.batch(0, 4, 1)), ...publishes(all.batch(4, 5, 1))]
    const numbers = (session: string) => messages.flatMap(([name, sequence]) => (name === session ? [sequence] : []))
    assert.deepEqual(
      messages
        .map(([name]) => name)
        .join()
        .replaceAll('00000', ''),
      '0,0,0,1,1,1,0,0,0',
    )
    assert.deepEqual(numbers('000000'), [0, 1, 2, 3, 4, 5])
    assert.deepEqual(numbers('000001'), [0, 1, 2])
  })

  it('a batch reuses the memory of a written batch of equal length and overwrites all of it', () => {
    const all = new Publishes(3)
    const first = all.batch(0, 4, 1)
    const text = first.toString()
    all.written(first)
    assert.notEqual(all.batch(4, 3, 2).buffer, first.buffer)
    all.written(first)
    const again = all.batch(0, 4, 1)
    assert.equal(again.buffer, first.buffer)
    assert.equal(again.toString(), text)
    assert.equal(all.batch(4, 4, 2).toString(), new Publishes(3).batch(4, 4, 2).toString())
  })

  it('messages are due evenly, in whole bursts, and never more than all of them', () => {
    assert.equal(dueAfter({ count: 1000, perSecond: 20_000 }, 10), 200)
    assert.equal(dueAfter({ count: 100, perSecond: 20_000 }, 10), 100)
    assert.equal(dueAfter({ count: 1000, perSecond: 20_000, burst: 8 }, 1), 16)
    assert.equal(dueAfter({ count: 1000, perSecond: 4 }, 249), 0)
    assert.equal(dueAfter({ count: 1000, perSecond: 4 }, 250), 1)
  })
})

describe('each dialect', () => {
  const names = Object.keys(DIALECTS) as DialectName[]

  it('each dialect writes sequence and time where its clients read them', () => {
    for (const name of names) {
      const frame = Buffer.from(DIALECTS[name].frame(7, blankPayload()))
      const shape = shapeOf(frame)
      stamp(frame, 0, 42, 123_456_789, shape)
      assert.equal(readSequence(frame, 0, shape), 42, name)
      assert.equal(readTimeUs(frame, 0, shape), 123_456_789, name)
      assert.match(frame.toString(), /seq\\?":\\?"0000000042\\?",\\?"at\\?":\\?"000000123456789/, name)
    }
  })

  it('each dialect publishes messages of one length to all sessions', () => {
    for (const name of names) {
      const length = (session: number) => DIALECTS[name].publish(session, blankPayload()).length
      assert.equal(length(0), length(99_999), name)
    }
  })
})

describe('the tally', () => {
  const tally = new Tally()
  const shape = shapeOf(Buffer.from(DIALECTS['socket.io'].frame(0, blankPayload())))
  tally.expect(shape)
  const frame = Buffer.from(DIALECTS['socket.io'].frame(0, blankPayload()))

  it('the tally counts a missing message as out of order and a frame of another length as foreign', () => {
    stamp(frame, 0, 0, 1000, shape)
    assert.equal(tally.count(frame, 0, frame.length, 0, 3000, 0), 1)
    stamp(frame, 0, 2, 1000, shape)
    assert.equal(tally.count(frame, 0, frame.length, 1, 3000, 0), 3)
    assert.equal(tally.count(frame, 0, 5, 3, 3000, 0), 3)
    assert.deepEqual([tally.delivered, tally.outOfOrder, tally.foreign, tally.astray], [2, 1, 1, 0])
    assert.equal(Math.round(tally.latencyMs().p50), 2)
  })

  it('the tally detects a message at the wrong socket even if its sequence number is due', () => {
    const strange = Buffer.from(DIALECTS['socket.io'].frame(7, blankPayload(7)))
    tally.restart()
    tally.count(strange, 0, strange.length, 0, 3000, 7)
    assert.equal(tally.astray, 0)
    tally.count(strange, 0, strange.length, 0, 3000, 8)
    assert.equal(tally.astray, 1)
  })
})

describe('the tally of live sockets', () => {
  const update = (topic: string, payload: string) =>
    Buffer.from(`{"type":"bench-${topic}_update","subscription":"bench-${topic}","data":${payload}}`)
  const astray = (frame: Buffer, place: number) => {
    const tally = new LiveTally()
    tally.topics = 1000
    tally.count(frame, 0, frame.length, 0, 3000, place)
    assert.deepEqual([tally.delivered, tally.foreign], [1, 0])
    return tally.astray
  }

  it('the live tally detects a topic that the socket does not hold and a payload of another topic', () => {
    assert.equal(livePaths(1000)[7], '/live?subscriptions=bench-0007,bench-0052')
    assert.equal(astray(update('0007', blankPayload(7)), 7), 0)
    assert.equal(astray(update('0052', blankPayload(52)), 7), 0)
    assert.equal(astray(update('0008', blankPayload(8)), 7), 1)
    assert.equal(astray(update('0007', blankPayload(52)), 7), 1)
  })
})

describe('the bytes that the bench writes', () => {
  it('msgpack encodes strings, numbers, arrays and maps as MessagePack', () => {
    const encoded = msgpack({ type: 2, rooms: ['a'], flags: {}, text: 'x'.repeat(40) })
    const expected = [0x84, 0xa4, ...Buffer.from('type'), 2, 0xa5, ...Buffer.from('rooms'), 0x91, 0xa1, 97]
    assert.deepEqual([...encoded.subarray(0, expected.length)], expected)
    assert.ok(encoded.includes(Buffer.from([0xd9, 40, 120, 120])))
  })

  it('the frames of clients are masked text frames, short and long', () => {
    assert.deepEqual([...clientTextFrame('hi')], [0x81, 0x82, 0, 0, 0, 0, 104, 105])
    const long = clientTextFrame('x'.repeat(300))
    assert.deepEqual([...long.subarray(0, 8)], [0x81, 0xfe, 1, 44, 0, 0, 0, 0])
    assert.equal(long.length, 308)
  })

  it('the expected upstream push equals what Redis sends to a subscriber of a pattern', () => {
    const text = upstreamMessage(3, '{}').toString()
    assert.equal(text, '*4\r\n$8\r\npmessage\r\n$12\r\nsession:*:up\r\n$23\r\nsession:bench-000003:up\r\n$2\r\n{}\r\n')
  })
})
