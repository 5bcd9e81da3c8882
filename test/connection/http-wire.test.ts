import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Connection } from '../../src/connection/connection.ts'
import { EventBuffer } from '../../src/connection/event-buffer.ts'
import { addEvent, eventOf } from '../../src/connection/events.ts'
import { HttpWire } from '../../src/connection/http-wire.ts'
import type { HttpResponse } from '../../src/platform/uws.ts'
import { SessionEvents } from '../../src/sessions/events.ts'

/** A response that notes its writes, and takes them while `isOpen`. */
class Response {
  readonly writes: string[] = []
  isOpen = true
  #writable: () => boolean = () => true

  cork(write: () => void): void {
    write()
  }

  write(bytes: Uint8Array): boolean {
    this.writes.push(Buffer.from(bytes).toString())
    return this.isOpen
  }

  end(): void {
    this.writes.push('END')
  }

  onAborted(): void {}

  onWritable(writable: () => boolean): void {
    this.#writable = writable
  }

  async read(): Promise<void> {
    this.isOpen = true
    this.#writable()
    await setImmediate()
  }
}

function wireOf(): { wire: HttpWire; response: Response; lags: number[] } {
  const response = new Response()
  const lags: number[] = []
  const events = { writable: () => {}, gone: () => {}, lagging: (change: number) => void lags.push(change) }
  const encode = (frame: Buffer, _: boolean, out: EventBuffer) => addEvent(out, '', frame)
  const wire = new HttpWire(response as unknown as HttpResponse, encode, Buffer.from(':\n\n'), events)
  wire.connection = { heard: () => {} } as unknown as Connection
  return { wire, response, lags }
}

const send = (wire: HttpWire, text: string): number => wire.send(Buffer.from(text), false)

describe('HttpWire', () => {
  it('writes each event of its own at once, and those of a cork together', () => {
    const { wire, response } = wireOf()
    assert.equal(send(wire, 'a'), 1)
    wire.cork(() => {
      send(wire, 'b')
      send(wire, 'c')
    })
    wire.cork(() => {})
    assert.deepEqual(response.writes, ['data: a\n\n', 'data: b\n\ndata: c\n\n'])
  })

  it('keeps apart what another wire writes within its cork', () => {
    const [outer, inner] = [wireOf(), wireOf()]
    outer.wire.cork(() => {
      send(outer.wire, 'a')
      send(inner.wire, 'x')
      inner.wire.cork(() => {
        send(inner.wire, 'y')
        send(inner.wire, 'z')
      })
      send(outer.wire, 'b')
    })
    assert.deepEqual(outer.response.writes, ['data: a\n\ndata: b\n\n'])
    assert.deepEqual(inner.response.writes, ['data: x\n\n', 'data: y\n\ndata: z\n\n'])
  })

  it('writes nothing more after a refused write, until all of it has left', async () => {
    const { wire, response, lags } = wireOf()
    response.isOpen = false
    assert.equal(send(wire, 'a'), 0)
    assert.equal(send(wire, 'b'), 0)
    wire.cork(() => send(wire, 'c'))
    wire.ping()
    assert.deepEqual(lags, [1])
    assert.equal(wire.getBufferedAmount(), 3 * 'data: a\n\n'.length)
    await response.read()
    assert.equal(wire.getBufferedAmount(), 0)
    assert.deepEqual(response.writes, ['data: a\n\n', 'data: b\n\ndata: c\n\n'])
    assert.deepEqual(lags, [1, -1])
    response.isOpen = false
    send(wire, 'd')
    wire.end(1001)
    assert.deepEqual(lags, [1, -1, 1, -1])
  })

  it('ends behind all that it was given, also within a cork', () => {
    const [open, corked, slow] = [wireOf(), wireOf(), wireOf()]
    send(open.wire, 'a')
    open.wire.end(1001)
    corked.wire.cork(() => {
      send(corked.wire, 'a')
      corked.wire.end(1001)
    })
    slow.response.isOpen = false
    send(slow.wire, 'a')
    send(slow.wire, 'b')
    slow.wire.end(1001)
    assert.deepEqual(open.response.writes, ['data: a\n\n', 'END'])
    assert.deepEqual(corked.response.writes, ['data: a\n\n', 'END'])
    assert.deepEqual(slow.response.writes, ['data: a\n\n', 'data: b\n\n', 'END'])
  })

  it('writes a large cork in parts', () => {
    const { wire, response } = wireOf()
    const text = 'x'.repeat(10_000)
    wire.cork(() => {
      for (let i = 0; i < 5; i++) send(wire, text)
    })
    assert.deepEqual(
      response.writes.map(({ length }) => length),
      [20_016, 20_016, 10_008],
    )
  })
})

describe('the buffer of events', () => {
  it('grows for a large event, and is as small as before after it', () => {
    const out = new EventBuffer(16)
    out.latin1('begin ')
    out.add(Buffer.alloc(100, 'x'))
    out.addRest('abc', Buffer.from('12rest'), 2)
    assert.equal(out.take(0).toString(), `begin ${'x'.repeat(100)}abcrest`)
    out.latin1('y')
    const { buffer, length } = out.take(0)
    assert.deepEqual([buffer.byteLength, length], [16, 1])
  })

  it('leaves alone what stands before a text that is shorter than what is skipped', () => {
    const out = new EventBuffer()
    out.latin1('before ')
    out.addRest('a', Buffer.from('123456rest'), 6)
    assert.equal(out.take(0).toString(), 'before arest')
  })

  it('makes a line of the event of each line of the payload', () => {
    assert.equal(eventOf('id: 1\n', Buffer.from('a\nä\r\nc')).toString(), 'id: 1\ndata: a\ndata: ä\ndata: c\n\n')
    assert.equal(eventOf('', Buffer.from('ä')).toString(), 'data: ä\n\n')
  })

  it('gets the numbers of messages as ids', () => {
    const out = new EventBuffer()
    const { encode } = new SessionEvents()
    encode(Buffer.from('7 before any position'), false, out)
    encode(Buffer.from('{"type":"control","command":"position","epoch":"k3","offset":41}'), false, out)
    out.take(0)
    const texts = ['42 {"a":1}', '- unnumbered', '43 two\nlines', '12345678901 x']
    for (const text of texts) encode(Buffer.from(text), false, out)
    encode(Buffer.from([0x34, 0x34, 0x20, 0xff]), true, out)
    assert.equal(
      out.take(0).toString(),
      'id: k3.42\ndata: {"a":1}\n\ndata: unnumbered\n\nid: k3.43\ndata: two\ndata: lines\n\n' +
        'id: k3.12345678901\ndata: x\n\nid: k3.44\nevent: binary\ndata: /w==\n\n',
    )
  })
})
