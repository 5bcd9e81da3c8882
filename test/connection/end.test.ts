import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { clientFrame, type RawSocket } from '../support/raw.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { closeOf, framesOf, joinRaw, listeners, OPCODE, publish, untilOpen } from '../support/wire.ts'

const KiB = 1024

const closedWith = (gateway: TestGateway, code: number) =>
  gateway.metric('wsproxy_disconnections_total', { door: 'session', code: String(code) })

describe('a peer', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { PING_INTERVAL: '200ms', PONG_TIMEOUT: '2s' } })
  })

  const pings = (raw: RawSocket) => framesOf(raw).filter(({ opcode }) => opcode === OPCODE.ping).length

  it('closes a peer that answers no ping with 4408, and keeps those that answer or send frames', async () => {
    const [silent, silentToo] = [await joinRaw(gateway, 'peer'), await joinRaw(gateway, 'peer')]
    const talker = await joinRaw(gateway, 'peer')
    const listener = await gateway.join('peer')
    let heard = 0
    listener.socket.on('ping', () => heard++)
    // A pong that nobody asked for, or a frame: anything counts.
    const talk = setInterval(() => talker.write(clientFrame(heard % 2 ? OPCODE.pong : OPCODE.text, '1')), 50)
    try {
      for (const raw of [silent, silentToo]) {
        await raw.untilClosed()
        assert.equal(closeOf(raw), 4408)
        assert.equal(pings(raw), 1, 'one ping a silence')
        assert.match(String(framesOf(raw).at(-1)?.payload.subarray(2)), /^nothing heard/)
      }
      assert.ok(heard > 0)
      assert.deepEqual([listener.code, talker.ended], [undefined, false])
      publish(gateway, 'peer', 'hello')
      assert.deepEqual(await listener.take(1), ['hello'])
    } finally {
      clearInterval(talk)
    }
    assert.equal(await closedWith(gateway, 4408), 2)
    await listener.close()
    talker.destroy()
    await untilOpen(gateway, 0)
  })

  it('closes a silent peer with 4408 although messages are sent to it', async () => {
    const raw = await joinRaw(gateway, 'sent-to')
    const send = setInterval(() => publish(gateway, 'sent-to', 'message'), 20)
    try {
      await raw.untilClosed()
    } finally {
      clearInterval(send)
    }
    assert.equal(closeOf(raw), 4408)
  })
})

describe('a client that answers', () => {
  it('pings a client every PING_INTERVAL, however long PONG_TIMEOUT is, and not while it sends frames', async (t) => {
    const gateway = await gatewayFor(t, { env: { PING_INTERVAL: '500ms', PONG_TIMEOUT: '1h', SESSION_RATE: '0' } })
    const clients = [await gateway.join('silent'), await gateway.join('silent'), await gateway.join('speaks')]
    const pings = clients.map(() => 0)
    for (const [i, { socket }] of clients.entries()) socket.on('ping', () => pings[i]!++)
    const speak = setInterval(() => clients[2]!.send('1'), 20)
    try {
      await eventually(() => pings[0]! >= 3 && pings[1]! >= 3, 'three pings each')
    } finally {
      clearInterval(speak)
    }
    assert.ok(pings[2]! < 3, `${pings[2]} pings for who speaks all the time`)
    for (const client of clients) assert.equal(client.code, undefined)
  })
})

describe('a socket', () => {
  it('keeps a client that answers every ping, however little longer PONG_TIMEOUT is than PING_INTERVAL', async (t) => {
    const gateway = await gatewayFor(t, { env: { PING_INTERVAL: '300ms', PONG_TIMEOUT: '310ms' } })
    const client = await gateway.join('answers')
    let pings = 0
    client.socket.on('ping', () => pings++)
    await eventually(() => pings >= 4 || client.code !== undefined, 'four pings')
    assert.equal(client.code, undefined)
  })

  it('starts the timeouts of a socket when it is open, however long its upgrade took', {
    skip: withoutRealRedis,
  }, async (t) => {
    const redis = await realRedisFor(t)
    const env = { LIVE_IDLE_TIMEOUT: '300ms', PONG_TIMEOUT: '60s' }
    const gateway = await gatewayFor(t, { env, redis })
    redis.process.kill('SIGSTOP')
    const entering = connect(`${gateway.url}/live`)
    // The upgrade waits for Redis longer than a socket may be idle.
    await new Promise((resolve) => setTimeout(resolve, 400))
    redis.process.kill('SIGCONT')
    const client = await entering
    await within(client.closed, 'the close')
    assert.equal(client.code, 4408)
    const closed = () => gateway.log.find(({ event }) => event === 'closed')
    const seconds = Number((await eventually(closed, 'the line of the close')).seconds)
    assert.ok(seconds >= 0.3, `${seconds} s`)
  })
})

describe('clients that came together', () => {
  it('spreads the pings of clients that came together, so that no turn of the loop pings them all', async (t) => {
    const gateway = await gatewayFor(t, { env: { PING_INTERVAL: '1600ms', PONG_TIMEOUT: '1h' } })
    const clients = await Promise.all(Array.from({ length: 30 }, (_, i) => gateway.join(`together-${i}`)))
    const moments = clients.map((): number[] => [])
    for (const [i, { socket }] of clients.entries()) socket.on('ping', () => moments[i]!.push(performance.now()))
    await eventually(() => moments.every((each) => each.length >= 2), 'two pings each')
    for (const round of [0, 1]) {
      const times = moments.map((each) => each[round]!)
      const apart = Math.max(...times) - Math.min(...times)
      assert.ok(apart > 700, `all of them within ${apart} ms`)
    }
  })
})

describe('a session that is idle', () => {
  it('closes an idle session with 4408 although its client answers pings, and keeps one with traffic either way', async (t) => {
    const env = { SESSION_IDLE_TIMEOUT: '1s', PING_INTERVAL: '100ms', PONG_TIMEOUT: '60s' }
    const gateway = await gatewayFor(t, { env })
    const [up, down] = [await gateway.join('up'), await gateway.join('down')]
    const traffic = setInterval(() => {
      up.send('1')
      publish(gateway, 'down', '1')
    }, 50)
    try {
      for (const round of [1, 2]) {
        const idle = await gateway.join('idle')
        assert.equal((await within(idle.closed, 'the close')).code, 4408, `round ${round}`)
      }
      assert.deepEqual([up.code, down.code], [undefined, undefined])
    } finally {
      clearInterval(traffic)
    }
    for (const client of [up, down]) assert.equal((await within(client.closed, 'the close')).code, 4408)
  })
})

describe('a socket that ends', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  it('unsubscribes the channel of a socket that ends, and logs the code, the side that began, and what passed', async () => {
    const [polite, cut, wrong] = [await gateway.join('ends'), await gateway.join('ends'), await gateway.join('ends')]
    for (const frame of ['"ab"', '{}']) polite.send(frame)
    publish(gateway, 'ends', 'é')
    for (const client of [polite, cut, wrong]) await client.take(1)
    const frames = () => gateway.metric('wsproxy_messages_received_total', { source: 'client' })
    await eventually(async () => (await frames()) === 2, 'both frames')
    polite.socket.close(1000, 'bye')
    await polite.closed
    cut.socket.terminate()
    wrong.socket.send(Buffer.from('binary'))
    await wrong.closed
    await untilOpen(gateway, 0)
    await eventually(async () => (await listeners(gateway, sessionDown('ends'))) === 0, 'the channel to be left')
    const lines = gateway.log.filter(({ event }) => event === 'closed')
    const line = (code: number) => lines.find((each) => each.code === code)
    assert.equal(lines.length, 3)
    const counts = { framesIn: 2, framesOut: 1, bytesIn: 6, bytesOut: 2 }
    for (const [name, value] of Object.entries({ by: 'client', ...counts }))
      assert.equal(line(1000)?.[name], value, name)
    assert.equal(line(1006)?.by, 'client')
    assert.deepEqual([line(1003)?.by, line(1003)?.reason], ['server', 'text frames only'])
    assert.equal(typeof line(1000)?.seconds, 'number')
    const accepted = gateway.log.filter(({ event }) => event === 'accepted').map(({ conn }) => conn)
    assert.deepEqual(new Set(accepted), new Set(lines.map(({ conn }) => conn)))
    assert.equal(new Set(lines.map(({ conn }) => (conn as { id: string }).id)).size, 3)
  })

  it('counts a socket out exactly once, however it ends and however many end at once', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => gateway.join(`many-${i}`)))
    await untilOpen(gateway, 60)
    for (const [i, { socket }] of clients.entries()) {
      if (i % 4 === 0) socket.terminate()
      else if (i % 4 === 1) socket.close()
      else if (i % 4 === 2) socket.send(Buffer.from('binary'))
      else {
        // Both ends at the same time.
        socket.send(Buffer.from('binary'))
        socket.close()
      }
    }
    for (const client of clients) await within(client.closed, 'the close')
    await untilOpen(gateway, 0)
    await (await gateway.join('one-more')).close()
    await untilOpen(gateway, 0)
  })
})

describe('a drain', () => {
  const goodbyes = (client: TestClient) =>
    client.frames.map((frame) => JSON.parse(String(frame))).filter(({ command }) => command === 'goodbye')

  /** A socket that stops reading while more waits for it in the gateway than the kernel takes. */
  async function joinAndStall(gateway: TestGateway, session: string): Promise<{ client: TestClient; sent: string[] }> {
    const client = await gateway.join(session)
    client.socket.pause()
    const sent: string[] = []
    const buffered = () => gateway.metric('wsproxy_buffer_utilization_bytes_sum')
    while ((await buffered()) < 1024 * KiB) {
      assert.ok(sent.length < 200)
      for (let i = 0; i < 8; i++) {
        sent.push(`"${sent.length}:${'x'.repeat(128 * KiB)}"`)
        await gateway.agent.publish(sessionDown(session), sent.at(-1)!)
      }
    }
    const received = () => gateway.metric('wsproxy_messages_sent_total', { door: 'session' })
    await eventually(async () => (await received()) >= sent.length, 'the gateway to have taken all')
    return { client, sent }
  }

  it('sends each socket a goodbye with a spread reconnect time in a drain, then closes it with 1001', async (t) => {
    const gateway = await gatewayFor(t)
    const clients = await Promise.all(Array.from({ length: 50 }, (_, i) => gateway.join(`goodbye-${i}`)))
    await within(gateway.gateway.stop(), 'the end of the drain')
    for (const client of clients) {
      assert.deepEqual(await within(client.closed, 'the close'), { code: 1001, reason: 'draining' })
      assert.equal(client.frames.length, 1)
      const { reconnect_after_ms, ...rest } = client.values[0]!
      assert.deepEqual(rest, { type: 'control', command: 'goodbye', reason: 'draining' })
      assert.ok(Number.isInteger(reconnect_after_ms) && Number(reconnect_after_ms) > 0, String(reconnect_after_ms))
    }
    const times = new Set(clients.map((client) => client.values[0]!.reconnect_after_ms))
    assert.ok(times.size > 10, `${times.size} different times`)
    await assert.rejects(connect(gateway.sessionUrl('late'), { token: 'x' }), { code: 'ECONNREFUSED' })
    const [start, end] = ['drain-start', 'drain-end'].map((event) => gateway.log.find((line) => line.event === event))
    assert.equal(start?.sockets, 50)
    assert.ok(end)
    assert.equal(gateway.log.filter(({ event, code }) => event === 'closed' && code === 1001).length, 50)
  })

  it('delivers what was accepted before the goodbye of a drain, to a client that reads late as well', async (t) => {
    const gateway = await gatewayFor(t, { env: { SLOW_CLOSE_GRACE: '60s', SHUTDOWN_GRACE_PERIOD: '60s' } })
    const { client, sent } = await joinAndStall(gateway, 'late')
    const quick = await gateway.join('quick')
    const stopped = gateway.gateway.stop()
    // The one does not wait for the other.
    assert.equal((await within(quick.closed, 'the close')).code, 1001)
    client.socket.resume()
    assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.equal(client.frames.length, sent.length + 1)
    assert.deepEqual(
      client.frames.slice(0, -1).map((frame) => String(frame).slice(0, 8)),
      sent.map((frame) => frame.slice(0, 8)),
    )
    assert.deepEqual([goodbyes(client).length, goodbyes(quick).length], [1, 1])
    await within(stopped, 'the end of the drain')
  })

  it('leaves no hole in what an agent publishes during a drain, and sends the goodbye as the last frame', async (t) => {
    const gateway = await gatewayFor(t)
    const clients = await Promise.all([0, 1, 2, 3].map((i) => gateway.join(`stream-${i}`)))
    let n = 0
    const stream = setInterval(() => {
      for (let i = 0; i < 10; i++, n++) {
        for (const session of [0, 1, 2, 3]) publish(gateway, `stream-${session}`, `{"n":${n}}`)
      }
    }, 1)
    t.after(() => clearInterval(stream))
    for (const client of clients) await client.take(50)
    await within(gateway.gateway.stop(), 'the end of the drain')
    clearInterval(stream)
    for (const client of clients) {
      assert.equal((await within(client.closed, 'the close')).code, 1001)
      const values = client.values
      assert.equal(values.at(-1)?.command, 'goodbye')
      assert.deepEqual(
        values.slice(0, -1).map((value) => value.n),
        Array.from({ length: values.length - 1 }, (_, i) => i),
      )
    }
  })

  it('publishes what clients have sent before a drain closes their sockets', async (t) => {
    const gateway = await gatewayFor(t, { env: { SESSION_RATE: '0' } })
    const heard: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp('sender'), (message) => heard.push(message))
    const client = await gateway.join('sender')
    for (let n = 0; n < 1000; n++) client.send(String(n))
    client.send({ type: 'ping' })
    // The pong says that the gateway has read all of it.
    await client.find({ type: 'pong' })
    await within(gateway.gateway.stop(), 'the end of the drain')
    await eventually(() => heard.length === 1000, 'all frames on :up')
    assert.deepEqual(
      heard,
      Array.from({ length: 1000 }, (_, n) => String(n)),
    )
  })

  it('cuts a client that does not read after SHUTDOWN_GRACE_PERIOD in a drain', async (t) => {
    const gateway = await gatewayFor(t, { env: { SLOW_CLOSE_GRACE: '60s', SHUTDOWN_GRACE_PERIOD: '500ms' } })
    const { client, sent } = await joinAndStall(gateway, 'straggler')
    await within(gateway.gateway.stop(), 'the end of the drain')
    assert.equal(gateway.log.find(({ event }) => event === 'drain-end')?.cut, 1)
    client.socket.resume()
    assert.equal((await within(client.closed, 'the cut')).code, 1006)
    assert.ok(client.frames.length < sent.length)
  })

  it('waits in a drain for a client that reads late, longer than SLOW_CLOSE_GRACE', async (t) => {
    const gateway = await gatewayFor(t, { env: { SLOW_CLOSE_GRACE: '100ms', SHUTDOWN_GRACE_PERIOD: '1h' } })
    const { client, sent } = await joinAndStall(gateway, 'late')
    const stopped = gateway.gateway.stop()
    const startedAt = performance.now()
    await eventually(() => performance.now() - startedAt > 1000, 'a second')
    client.socket.resume()
    assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.equal(client.frames.length, sent.length + 1, 'all of it, and the goodbye')
    await within(stopped, 'the end of the drain')
  })

  it('ends a drain at a second stop, whatever it waits for', async (t) => {
    const waits: Record<string, string>[] = [
      { SLOW_CLOSE_GRACE: '1h', SHUTDOWN_GRACE_PERIOD: '1h' },
      { DRAIN_DELAY: '30m', SHUTDOWN_GRACE_PERIOD: '1h' },
    ]
    for (const env of waits) {
      const gateway = await gatewayFor(t, { env })
      const { client } = await joinAndStall(gateway, 'waiting')
      const stopped = gateway.gateway.stop()
      assert.equal(client.code, undefined)
      await within(Promise.all([gateway.gateway.stop(), stopped]), 'the cut')
      client.socket.resume()
      assert.equal((await within(client.closed, 'the cut')).code, 1006)
    }
  })

  it('ends a drain at once when no socket is open', async (t) => {
    const gateway = await gatewayFor(t, { env: { SHUTDOWN_GRACE_PERIOD: '1h', DRAIN_WINDOW: '1h' } })
    await (await gateway.join('gone')).close()
    await untilOpen(gateway, 0)
    await within(gateway.gateway.stop(), 'the end of the drain')
  })
})
