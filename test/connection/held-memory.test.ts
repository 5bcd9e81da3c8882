import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Backlog, forgetShared } from '../../src/connection/backlog.ts'
import { Bindings, type Source } from '../../src/connection/bind.ts'
import { Connection, type Socket, type SocketDoor } from '../../src/connection/connection.ts'
import { Delivery } from '../../src/connection/deliver.ts'
import { UnsentBytes } from '../../src/connection/unsent.ts'
import { Chunk } from '../../src/redis/wire/chunk.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { keptLog } from '../support/link.ts'
import type { Scope } from '../support/scope.ts'

const CHANNEL = 'session:x:down'
const MIB = 1024 ** 2

/** A delivery to sockets that keep what they get as text, and a batch that counts its holders. */
function deliveryOf(t: Scope) {
  const metrics = new Metrics()
  t.after(() => metrics.stop())
  const { log, lines } = keptLog()
  const bindings = new Bindings({ subscribe: async () => {}, unsubscribe: () => {} })
  const unsent = new UnsentBytes({ maxBytes: 64 * MIB, sockets: [], closer: () => assert.fail(), metrics, log })
  const limits = { maxBufferBytes: MIB, maxDownBytes: MIB }
  const delivery = new Delivery(bindings, { ...limits, unsent, metrics, log, tooSlow: () => assert.fail() })
  const sent: string[] = []
  const memory = { holders: 0 }
  const connect = (door: Partial<SocketDoor> = {}, source: Source = { render: (_, message) => message }) => {
    const stats = metrics.door('session')
    const connection = new Connection({ name: 'session', stats, ...door } as SocketDoor, 'x', '127.0.0.1', 0)
    void bindings.join(connection, source, [CHANNEL])
    return connection
  }
  const open = (connection: Connection, taken = 1) => {
    let buffered = 0
    const send = (frame: Buffer) => {
      sent.push(String(frame))
      if (taken === 0) buffered += frame.length
      return taken
    }
    const wire = { send, cork: (write: () => void) => write(), getBufferedAmount: () => buffered }
    connection.open(wire as unknown as Socket, 0)
  }
  /** Publishes from memory that is used again as soon as nothing holds it. */
  const publish = (text: string) => {
    const bytes = Buffer.from(text)
    delivery.message(CHANNEL, bytes, CHANNEL, new Chunk(bytes, memory))
    return bytes
  }
  return { delivery, lines, sent, memory, connect, open, publish }
}

describe('the memory of a message', () => {
  it('is held until the frames are written, and then released', async (t) => {
    const { sent, memory, connect, open, publish } = deliveryOf(t)
    open(connect())
    publish('one')
    publish('two')
    assert.equal(memory.holders, 2)
    await turn()
    assert.deepEqual(sent, ['one', 'two'])
    assert.equal(memory.holders, 0)
  })

  it('is not held when no socket has joined the channel', (t) => {
    const { memory, publish } = deliveryOf(t)
    publish('one')
    assert.equal(memory.holders, 0)
  })

  it('is held for frames that wait when a door throws', async (t) => {
    const { delivery, sent, memory, connect, open, publish } = deliveryOf(t)
    const source: Source = {
      render: (topic, message) => {
        delivery.deliver(topic.members[0]!, message)
        throw new Error('a bug')
      },
    }
    open(connect({}, source))
    assert.throws(() => publish('one'), /a bug/)
    assert.equal(memory.holders, 1)
    await turn()
    assert.deepEqual(sent, ['one'])
    assert.equal(memory.holders, 0)
  })

  it('is held for a part of a message that is too large', async (t) => {
    const { delivery, sent, memory, connect, open, publish } = deliveryOf(t)
    const tooLarge: Source['tooLarge'] = ({ members }, message) => delivery.enqueue(members[0]!, message.subarray(0, 3))
    open(connect({}, { render: () => assert.fail(), tooLarge }))
    publish('one'.repeat(MIB))
    assert.equal(memory.holders, 1)
    while (memory.holders > 0) await turn()
    assert.deepEqual(sent, ['one'])
  })

  it('is copied for a socket whose upgrade is not complete', async (t) => {
    const { delivery, sent, memory, connect, open, publish } = deliveryOf(t)
    const connection = connect()
    for (const text of ['one', 'two', 'three']) {
      const bytes = publish(text)
      await turn()
      assert.equal(memory.holders, 0)
      bytes.fill('!')
    }
    open(connection)
    delivery.flush(connection)
    assert.deepEqual(sent, ['one', 'two', 'three'])
  })

  it('is copied once for all sockets whose upgrade is not complete', async (t) => {
    const { connect, publish } = deliveryOf(t)
    const connections = [connect(), connect(), connect()]
    const bytes = publish('one')
    await turn()
    bytes.fill('!')
    const [first] = connections
    assert.equal(String(first!.pending), 'one')
    for (const { pending } of connections) assert.equal(pending, first!.pending)
    publish('two')
    assert.deepEqual(first!.morePending?.map(String), ['two'])
  })

  it('is copied for a socket that is behind, whatever the size of the message', () => {
    const backlogs = [new Backlog(), new Backlog(), new Backlog()]
    const sizes = [10, 2000, 100_000, 300_000]
    for (const [i, size] of sizes.entries()) {
      const frame = Buffer.alloc(size, String(i))
      for (const backlog of backlogs) backlog.push(frame, false)
      forgetShared()
      frame.fill('!')
    }
    for (const backlog of backlogs) {
      const found: string[] = []
      backlog.drain((frame) => found.push(String(frame)) > 0)
      assert.deepEqual(
        found.map((text) => [text.length, new Set(text)]),
        sizes.map((size, i) => [size, new Set(String(i))]),
      )
    }
  })

  it('is copied once for all sockets that are behind, also after many other messages', () => {
    const frames = [...Array.from({ length: 100 }, () => Buffer.alloc(2000)), Buffer.alloc(300_000)]
    const found = [new Backlog(), new Backlog()].map((backlog) => {
      for (const frame of frames) backlog.push(frame, false)
      let last: Buffer | undefined
      backlog.drain((frame) => {
        last = frame
        return true
      })
      return last
    })
    forgetShared()
    assert.equal(found[0]!.length, 300_000)
    assert.equal(found[0], found[1])
  })
})

describe('a door that throws when it hears of backpressure', () => {
  it('loses nothing for the other sockets of that turn', async (t) => {
    const { lines, sent, connect, open, publish } = deliveryOf(t)
    const onBackpressure = () => {
      throw new Error('a bug')
    }
    open(connect({ onBackpressure }), 0)
    open(connect())
    const half = 'x'.repeat(0.6 * MIB)
    publish(half)
    await turn()
    publish('after')
    await turn()
    assert.deepEqual(
      sent.map(({ length }) => length),
      [half.length, half.length, 5],
    )
    const errors = lines.filter(({ level }) => level === 'error').map(({ err }) => (err as Error).message)
    assert.deepEqual(errors, ['a bug'])
  })
})
