import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionUp } from '../../src/contract/names.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { clientFrame, type RawSocket } from '../support/raw.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { closeOf, framesOf, joinRaw, OPCODE, publish, untilOpen } from '../support/wire.ts'

const MAX = 1000
/** A JSON string of so many bytes. */
const jsonOf = (bytes: number) => JSON.stringify('x'.repeat(bytes - 2))

describe('a client frame', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const published: string[] = []
  before(async () => {
    gateway = await gatewayFor(suite, { env: { MAX_MESSAGE_SIZE: String(MAX), SESSION_RATE: '0' } })
    const subscriber = await gateway.redis.client()
    await subscriber.pSubscribe('session:*:up', (message) => published.push(message))
  })

  const lost = (reason: string) => gateway.metric('wsproxy_lost_messages_total', { reason })
  const closedWith = (code: string) => gateway.metric('wsproxy_disconnections_total', { door: 'session', code })

  /** Both ways of this socket work. */
  async function assertServed(client: TestClient, session: string): Promise<void> {
    const mark = `"${session} is served ${Math.random()}"`
    client.send(mark)
    await eventually(() => published.includes(mark), 'the frame on :up')
    publish(gateway, session, mark)
    await eventually(() => client.frames.includes(mark), 'the message')
  }

  it('closes the socket of a binary frame with 1003, and no other of the session', async () => {
    const [count, before] = [published.length, await lost('invalid')]
    for (const payload of [Buffer.from('{"a":1}'), Buffer.alloc(0), Buffer.from([0xff])]) {
      const [culprit, neighbour] = [await gateway.join('binary'), await gateway.join('binary')]
      culprit.socket.send(payload)
      assert.deepEqual(await within(culprit.closed, 'the close'), { code: 1003, reason: 'text frames only' })
      await assertServed(neighbour, 'binary')
      await neighbour.close()
    }
    assert.equal(published.length, count + 3, 'nothing but the frames of the neighbours is published')
    assert.equal((await lost('invalid')) - before, 3)
    assert.equal(await closedWith('1003'), 3)
  })

  it('publishes a frame of exactly MAX_MESSAGE_SIZE', async () => {
    const client = await gateway.join('exact')
    client.send(jsonOf(MAX))
    await eventually(() => published.includes(jsonOf(MAX)), 'the frame on :up')
    await assertServed(client, 'exact')
    await client.close()
  })

  it('closes the socket of a frame of MAX_MESSAGE_SIZE and a byte with a 1009 that its client gets, and no other', async () => {
    const [count, closed, before] = [published.length, await closedWith('1009'), await lost('oversize')]
    for (const size of [MAX + 1, 2 * MAX]) {
      const [culprit, neighbour] = [await gateway.join('large'), await gateway.join('large')]
      culprit.send(jsonOf(size))
      assert.deepEqual(await within(culprit.closed, 'the close'), { code: 1009, reason: 'message too big' })
      await assertServed(neighbour, 'large')
      await neighbour.close()
    }
    assert.equal(published.length, count + 2)
    assert.equal((await closedWith('1009')) - closed, 2)
    assert.equal((await lost('oversize')) - before, 2)
  })

  it('joins fragments to one frame, which is too large when their sum is', async () => {
    const raw = await joinRaw(gateway, 'fragments')
    const part = 'x'.repeat(400)
    raw.write(clientFrame(OPCODE.text, `"${part}`, { fin: false }))
    raw.write(clientFrame(OPCODE.ping, 'between'))
    raw.write(clientFrame(OPCODE.continuation, part, { fin: false }))
    raw.write(clientFrame(OPCODE.continuation, '"'))
    await eventually(() => published.includes(`"${part}${part}"`), 'the frame on :up')
    const pong = await eventually(() => framesOf(raw).find(({ opcode }) => opcode === OPCODE.pong), 'the pong')
    assert.equal(String(pong.payload), 'between')
    for (const opcode of [OPCODE.text, OPCODE.continuation, OPCODE.continuation]) {
      raw.write(clientFrame(opcode, part, { fin: false }))
    }
    raw.write(clientFrame(OPCODE.continuation, '"'))
    await raw.untilClosed()
    assert.equal(closeOf(raw), 1009)
    await untilOpen(gateway, 0)
  })

  it('cuts the connection of a frame that announces more than twice the limit, without reading it', async () => {
    const neighbour = await gateway.join('huge')
    const closed = await closedWith('1006')
    const gigabyte = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0])
    for (const bytes of [clientFrame(OPCODE.text, jsonOf(2 * MAX + 1)), gigabyte]) {
      const raw = await joinRaw(gateway, 'huge')
      raw.write(bytes)
      await raw.untilClosed()
      assert.deepEqual(framesOf(raw), [])
    }
    assert.equal((await closedWith('1006')) - closed, 2)
    await assertServed(neighbour, 'huge')
    await neighbour.close()
    await untilOpen(gateway, 0)
  })

  describe('that is against the protocol cuts its socket, and only it:', () => {
    const garbage: Record<string, Buffer[]> = {
      'a reserved bit': [clientFrame(OPCODE.text, '{}', { rsv: 4 })],
      'all reserved bits': [clientFrame(OPCODE.text, '{}', { rsv: 7 })],
      'text that is not UTF-8': [clientFrame(OPCODE.text, Buffer.from([0x22, 0xff, 0x22]))],
      'half a character': [clientFrame(OPCODE.text, Buffer.from([0x22, 0xc3, 0x22]))],
      'an unknown opcode': [clientFrame(3, '{}')],
      'an unknown control opcode': [clientFrame(11, '{}')],
      'a ping of 126 bytes': [clientFrame(OPCODE.ping, 'x'.repeat(126))],
      'a ping in fragments': [clientFrame(OPCODE.ping, 'x', { fin: false })],
      'a continuation of nothing': [clientFrame(OPCODE.continuation, '{}')],
      'a text within a text': [clientFrame(OPCODE.text, '"a', { fin: false }), clientFrame(OPCODE.text, 'b"')],
      noise: [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    }
    for (const [name, frames] of Object.entries(garbage)) {
      it(`cuts a socket for ${name}, and no other of the session`, async () => {
        const count = published.length
        const neighbour = await gateway.join('garbage')
        const raw = await joinRaw(gateway, 'garbage')
        for (const frame of frames) raw.write(frame)
        await raw.untilClosed()
        await assertServed(neighbour, 'garbage')
        assert.equal(published.length, count + 1, 'none of it is published')
        await neighbour.close()
        await untilOpen(gateway, 0)
        assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
      })
    }
  })

  it('answers a protocol ping with its own payload', async () => {
    const raw = await joinRaw(gateway, 'ping')
    for (const payload of ['', 'hello', 'x'.repeat(125)]) raw.write(clientFrame(OPCODE.ping, payload))
    raw.write(clientFrame(OPCODE.pong, 'unasked'))
    await eventually(() => framesOf(raw).length === 3, 'three pongs')
    assert.deepEqual(
      framesOf(raw).map(({ opcode, payload }) => [opcode, String(payload)]),
      [
        [OPCODE.pong, ''],
        [OPCODE.pong, 'hello'],
        [OPCODE.pong, 'x'.repeat(125)],
      ],
    )
    raw.destroy()
  })

  it('echoes a close frame, counts it by its code, and publishes what came before it', async () => {
    const codes = { 1000: '1000', 1001: '1001', 4000: 'other', 4999: 'other' }
    for (const [code, label] of Object.entries(codes)) {
      const before = await closedWith(label)
      const raw = await joinRaw(gateway, 'close')
      const last = `"last words of ${code}"`
      const payload = Buffer.alloc(2)
      payload.writeUInt16BE(Number(code))
      raw.write(Buffer.concat([clientFrame(OPCODE.text, last), clientFrame(OPCODE.close, payload)]))
      await raw.untilClosed()
      assert.equal(closeOf(raw), Number(code))
      await eventually(() => published.includes(last), 'the last words on :up')
      assert.equal((await closedWith(label)) - before, 1, code)
    }
    const before = await closedWith('1006')
    ;(await joinRaw(gateway, 'close')).socket.resetAndDestroy()
    await eventually(async () => (await closedWith('1006')) === before + 1, 'the reset to be counted')
  })

  it('publishes no frame that arrives after the server has begun to close', async () => {
    const raw = await joinRaw(gateway, 'after')
    const count = published.length
    raw.write(Buffer.concat([clientFrame(OPCODE.binary, 'x'), clientFrame(OPCODE.text, '"too late"')]))
    await raw.untilClosed()
    assert.equal(closeOf(raw), 1003)
    const client = await gateway.join('after')
    await assertServed(client, 'after')
    assert.equal(published.length, count + 1)
    await client.close()
  })
})

describe('a client that sends too fast', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const published: Record<string, unknown[]> = {}
  const BURST = 20
  before(async () => {
    gateway = await gatewayFor(suite, { env: { SESSION_RATE: '1', SESSION_RATE_BURST: String(BURST) } })
    const subscriber = await gateway.redis.client()
    await subscriber.pSubscribe('session:*:up', (message, channel) => {
      published[channel] ??= []
      published[channel].push(JSON.parse(message))
    })
  })

  const of = (session: string) => published[sessionUp(session)] ?? []
  const limited = () => gateway.metric('wsproxy_rate_limited_total', { what: 'frame' })

  it('drops frames over the rate, sends one notice, and keeps the socket', async () => {
    const client = await gateway.join('fast')
    for (let n = 0; n < 100; n++) client.send(n)
    await eventually(async () => of('fast').length + (await limited()) === 100, 'each frame published or dropped')
    const passed = of('fast').length
    assert.ok(passed >= BURST && passed < 50, `${passed} of 100 passed`)
    assert.deepEqual(
      of('fast').slice(0, BURST),
      Array.from({ length: BURST }, (_, n) => n),
    )
    assert.equal(await gateway.metric('wsproxy_lost_messages_total', { reason: 'rate_limit' }), 100 - passed)
    assert.deepEqual(
      client.values.map(({ type, code }) => [type, code]),
      [['error', 'rate-limited']],
    )
    assert.equal(client.values[0]!.message, 'Too many frames; the newest were dropped.')
    const again = () => {
      client.send('"again"')
      return of('fast').includes('again')
    }
    await eventually(again, 'a frame to pass again')
    publish(gateway, 'fast', '"still here"')
    await eventually(() => client.frames.includes('"still here"'), 'the message')
    await client.close()
  })

  it('limits the rate of one socket only, not of others of the same client', async () => {
    const clients = [await gateway.join('fast-1'), await gateway.join('fast-1'), await gateway.join('fast-2')]
    const before = await limited()
    for (let n = 0; n < 100; n++) clients[0]!.send('"flood"')
    for (let n = 0; n < BURST; n++) for (const client of clients.slice(1)) client.send(n)
    const numbers = Array.from({ length: BURST }, (_, n) => n)
    for (const session of ['fast-1', 'fast-2']) {
      const mine = () => of(session).filter((value) => value !== 'flood')
      await eventually(() => mine().length === BURST, `all frames of ${session}`)
      assert.deepEqual(mine(), numbers)
    }
    assert.ok((await limited()) > before)
    assert.deepEqual([clients[1]!.frames, clients[2]!.frames], [[], []])
    for (const client of clients) await client.close()
  })

  it('limits JSON pings like any other frame, and sends no second notice', async () => {
    const client = await gateway.join('pings')
    const before = await limited()
    for (let n = 0; n < 100; n++) client.send({ type: 'ping' })
    const types = () => client.values.map(({ type }) => type)
    const pongs = () => types().filter((type) => type === 'pong').length
    await eventually(async () => pongs() + (await limited()) - before === 100, 'each ping answered or dropped')
    assert.ok(pongs() >= BURST && pongs() < 50, `${pongs()} pongs`)
    assert.equal(types().filter((type) => type === 'error').length, 1)
    await client.close()
  })

  it('answers protocol pings without a limit', async () => {
    const raw: RawSocket = await joinRaw(gateway, 'control')
    for (let n = 0; n < 100; n++) raw.write(clientFrame(OPCODE.ping, String(n)))
    await eventually(() => framesOf(raw).length === 100, 'a hundred pongs')
    raw.write(clientFrame(OPCODE.text, '"after"'))
    await eventually(() => of('control').includes('after'), 'the frame on :up')
    raw.destroy()
  })
})

describe('the byte rate of a socket', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    const rates = { SESSION_BYTE_RATE: '2KiB', LIVE_BYTE_RATE: '2KiB', SESSION_RATE: '0', LIVE_RATE: '0' }
    gateway = await gatewayFor(suite, { env: { ...rates, MAX_MESSAGE_SIZE: '8KiB' } })
  })
  const overRate = () => gateway.metric('wsproxy_rate_limited_total', { what: 'bytes' })

  it('takes one frame of the largest size at once, drops what follows with one notice, and frees up again', async () => {
    const published: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp('bytes'), (message) => published.push(message))
    const [client, other] = [await gateway.join('bytes'), await gateway.join('others')]
    const before = await overRate()
    client.send(jsonOf(8192))
    for (let n = 0; n < 5; n++) client.send(jsonOf(2000))
    await eventually(async () => (await overRate()) - before === 5, 'five frames over the rate')
    assert.deepEqual(published, [jsonOf(8192)])
    await client.take(1)
    assert.equal(client.values[0]?.code, 'rate-limited')
    other.send('{"type":"ping"}')
    await other.find({ type: 'pong' })
    await eventually(() => {
      client.send('"again"')
      return published.includes('"again"')
    }, 'the rate to admit a small frame')
    assert.equal(client.frames.length, 1)
    assert.equal(client.code, undefined)
  })

  it('holds at the live door, for frames over the size limit too', async () => {
    const client = await connect(`${gateway.url}/live`)
    await client.take(1)
    const before = await overRate()
    client.send('x'.repeat(8 * 8192))
    client.send(jsonOf(2000))
    await client.find({ code: 'rate-limited' })
    assert.deepEqual(
      client.values.map(({ code }) => code),
      [undefined, 'message-too-large', 'rate-limited'],
    )
    assert.equal((await overRate()) - before, 1)
  })

  it('is none with 0', async (t) => {
    const free = await gatewayFor(t, { env: { SESSION_BYTE_RATE: '0', SESSION_RATE: '0' } })
    const published: string[] = []
    const subscriber = await free.redis.client()
    await subscriber.subscribe(sessionUp('free'), (message) => published.push(message))
    const client = await free.join('free')
    const large = jsonOf(1024 * 1024)
    for (let n = 0; n < 40; n++) client.send(large)
    await eventually(() => published.length === 40, 'all frames')
  })
})
