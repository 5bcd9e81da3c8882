import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { sessionDown } from '../../src/contract/names.ts'
import type { TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { publish, untilOpen } from '../support/wire.ts'

const KiB = 1024
const MiB = 1024 * KiB

const publishAll = (gateway: TestGateway, session: string, messages: readonly (string | Buffer)[]) => {
  for (const message of messages) publish(gateway, session, message)
}

const digest = (frame: string | Buffer) =>
  `${typeof frame} of ${Buffer.byteLength(frame)}: ${createHash('sha1').update(frame).digest('hex')}`

describe('a message', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { MAX_BUFFER_SIZE_BYTES: '10MiB' } })
  })

  /**
   * Two sockets of a session get these frames for these messages: text for text, binary for
   * Buffers.
   */
  async function assertForwarded(session: string, messages: readonly (string | Buffer)[]): Promise<void> {
    const clients = [await gateway.join(session), await gateway.join(session)]
    publishAll(gateway, session, messages)
    for (const client of clients) {
      const frames = await client.take(messages.length)
      // One by one: a difference of megabytes is nothing to print.
      for (const [i, frame] of frames.entries()) assert.equal(digest(frame), digest(messages[i]!), `frame ${i}`)
    }
    for (const client of clients) await client.close()
    for (const { frames } of clients) assert.equal(frames.length, messages.length)
  }

  it('delivers any text byte for byte as a text frame', () =>
    assertForwarded('text', [
      ...[
        '{"a":1}',
        ' {"a" :\t1}\n',
        'not JSON',
        '"',
        '\u0000\u0001\u001f\u007f',
        'é',
        '😀',
        '\ufeffBOM',
        '\u2028\u2029',
      ],
      ...[
        'e\u0301 is not é',
        '\ufffd',
        '\u{10ffff}',
        'x'.repeat(125),
        'x'.repeat(126),
        'x'.repeat(65_535),
        'x'.repeat(65_536),
      ],
    ]))

  it('delivers an empty message as an empty frame, in its place', () =>
    assertForwarded('empty', ['', 'a', '', '', 'b', '']))

  it('delivers a message of 5 MiB whole, in order with small ones', () => {
    const large = JSON.stringify({ text: 'é'.repeat(2.5 * MiB) })
    return assertForwarded('large', ['before', large, 'between', large.slice(0, -2).concat('!"}'), 'after'])
  })

  it('delivers a message that is not UTF-8 as a binary frame, and the text after it as text', () =>
    assertForwarded('bytes', [
      'text',
      Buffer.from([0xff]),
      'text again',
      Buffer.from([0xc3]),
      Buffer.from([0xed, 0xa0, 0x80]),
      '',
      Buffer.from([0xc0, 0x80]),
      'é',
      Buffer.concat([Buffer.from('almost text'), Buffer.from([0xf5, 0x80, 0x80, 0x80])]),
      randomBytes(MiB),
      'the end',
    ]))

  it('keeps the order and the kind of a thousand messages, mixed at random', () =>
    assertForwarded(
      'mixed',
      Array.from({ length: 1000 }, (_, i) =>
        i % 3 === 0 ? Buffer.from([0xfe, i & 255, i >> 8]) : `${i} ${'x'.repeat((i * i) % 3000)}`,
      ),
    ))

  it('keeps the order of a burst that is larger than what may wait in one tick', () =>
    assertForwarded(
      'burst',
      Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(i % 7 === 0 ? 200 * KiB : 2 * KiB)}`),
    ))

  it('delivers text as text to a socket that came after a message that was not UTF-8', async () => {
    const first = await gateway.join('later')
    publishAll(gateway, 'later', [Buffer.from([0xff])])
    await first.take(1)
    const second = await gateway.join('later')
    publishAll(gateway, 'later', ['text', Buffer.from([0xfe]), 'text'])
    assert.deepEqual(await first.take(4), [Buffer.from([0xff]), 'text', Buffer.from([0xfe]), 'text'])
    assert.deepEqual(await second.take(3), ['text', Buffer.from([0xfe]), 'text'])
    for (const client of [first, second]) await client.close()
  })

  it('keeps messages in order with the answers of the gateway itself', async () => {
    const client = await gateway.join('answers')
    for (let i = 0; i < 50; i++) {
      client.send({ type: 'ping' })
      publishAll(gateway, 'answers', [`{"n":${i}}`])
    }
    const values = (await client.take(100)).map((frame) => JSON.parse(String(frame)))
    assert.deepEqual(
      values.filter(({ n }) => n !== undefined).map(({ n }) => n),
      Array.from({ length: 50 }, (_, i) => i),
    )
    assert.equal(values.filter(({ type }) => type === 'pong').length, 50)
    await client.close()
  })

  it('delivers a message to each of 50 sockets of its session, and to 50 other sessions their own', async () => {
    const joined: TestClient[] = []
    for (let i = 0; i < 50; i++) joined.push(await gateway.join('crowd'))
    const others = await Promise.all(joined.map((_, i) => gateway.join(`other-${i}`)))
    const messages = Array.from({ length: 20 }, (_, i) => `message ${i}`)
    for (const message of messages) {
      publishAll(gateway, 'crowd', [message])
      for (const i of others.keys()) publishAll(gateway, `other-${i}`, [`${message} of ${i}`])
    }
    for (const client of joined) assert.deepEqual(await client.take(20), messages)
    for (const [i, client] of others.entries()) {
      assert.deepEqual(
        await client.take(20),
        messages.map((message) => `${message} of ${i}`),
      )
    }
    for (const client of [...joined, ...others]) client.socket.terminate()
    await untilOpen(gateway, 0)
  })

  it('counts a message once as received and once per socket as sent, with its bytes', async () => {
    const clients = [await gateway.join('counted'), await gateway.join('counted')]
    const read = async () => [
      await gateway.metric('wsproxy_messages_received_total', { source: 'redis' }),
      await gateway.metric('wsproxy_messages_sent_total', { door: 'session' }),
      await gateway.metric('wsproxy_bytes_sent_total', { door: 'session' }),
      await gateway.metric('wsproxy_message_latency_seconds_count'),
    ]
    const before = await read()
    publishAll(gateway, 'counted', ['12345', 'é', ''])
    for (const client of clients) await client.take(3)
    const now = await read()
    assert.deepEqual(
      now.map((value, i) => value - before[i]!),
      [3, 6, 14, 6],
    )
    for (const client of clients) await client.close()
  })

  it('delivers to all other sockets while one of them is just being closed', async () => {
    const standing = await gateway.join('closing')
    const sent: string[] = []
    for (let round = 0; round < 50; round++) {
      const leaver = await gateway.join('closing')
      const messages = Array.from({ length: 5 }, (_, i) => `${round}.${i}`)
      publishAll(gateway, 'closing', messages)
      sent.push(...messages)
      if (round % 2 === 0) leaver.socket.terminate()
      else leaver.socket.close(1000)
    }
    assert.deepEqual(await standing.take(sent.length), sent)
    await standing.close()
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })
})

describe('a client that stops reading', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })

  const start = (env: Record<string, string>) => gatewayFor(suite, { redis, env })
  /** The kernel takes some megabytes before anything waits in the gateway. */
  const numbered = (n: number) => `${n}:${'x'.repeat(128 * KiB)}`
  const numberOf = (frame: string | Buffer) => Number(String(frame).split(':')[0])
  const warnings = (gateway: TestGateway) => gateway.log.filter(({ event }) => event === 'backpressure')
  const events = (gateway: TestGateway, stage: string) => gateway.metric('wsproxy_backpressure_events_total', { stage })

  /** What came is the beginning of what was sent, without a hole. */
  function assertPrefix(client: TestClient, sent: number): void {
    const numbers = client.frames.map(numberOf)
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, i) => i),
    )
    assert.ok(numbers.length <= sent)
  }

  /** Publishes numbered messages one after the other; returns how many there are then. */
  async function publishMany(gateway: TestGateway, session: string, from = 0, until = from + 100): Promise<number> {
    for (let n = from; n < until; n++) await gateway.agent.publish(sessionDown(session), numbered(n))
    return until
  }
  async function publishUntil(gateway: TestGateway, session: string, enough: () => boolean, from = 0): Promise<number> {
    let n = from
    while (!enough()) {
      assert.ok(n < from + 400, 'the kernel takes it all')
      n = await publishMany(gateway, session, n, n + 1)
    }
    return n
  }

  it('logs a client that stops reading once, closes it with 1008 behind all that was accepted, and delays no other', async () => {
    const gateway = await start({ MAX_BUFFER_SIZE_BYTES: '1MiB', SLOW_CLOSE_GRACE: '60s' })
    const slow = [await gateway.join('slow'), await gateway.join('slow')]
    const quick = [await gateway.join('slow'), await gateway.join('slow')]
    for (const { socket } of slow) socket.pause()
    const sent = await publishMany(gateway, 'slow')
    for (const client of quick) {
      await client.take(sent)
      assertPrefix(client, sent)
    }
    await eventually(async () => (await events(gateway, 'full')) === 2, 'both buffers to be full')
    assert.equal(await events(gateway, 'warning'), 2)
    assert.equal(warnings(gateway).length, 2)
    assert.ok((await gateway.metric('wsproxy_lost_messages_total', { reason: 'slow_client' })) >= 2)
    assert.deepEqual(
      slow.map(({ frames }) => frames.length),
      [0, 0],
    )
    await untilOpen(gateway, 4)
    for (const client of slow) {
      client.socket.resume()
      assert.deepEqual(await within(client.closed, 'the close'), { code: 1008, reason: 'client too slow' })
      assertPrefix(client, sent)
      assert.ok(client.frames.length > 0 && client.frames.length < sent, `${client.frames.length} of ${sent} came`)
    }
    assert.equal(await gateway.metric('wsproxy_disconnections_total', { door: 'session', code: '1008' }), 2)
    for (const client of quick) {
      assert.equal(client.frames.length, sent)
      await client.close()
    }
    await untilOpen(gateway, 0)
  })

  it('cuts a client that never reads again after the grace, and frees its memory', async () => {
    const gateway = await start({ MAX_BUFFER_SIZE_BYTES: '1MiB', SLOW_CLOSE_GRACE: '300ms' })
    const slow = await gateway.join('dead')
    const quick = await gateway.join('dead')
    slow.socket.pause()
    const sent = await publishMany(gateway, 'dead')
    await untilOpen(gateway, 1)
    assert.equal(await gateway.metric('wsproxy_buffer_utilization_bytes_sum'), 0)
    assert.equal(await gateway.metric('wsproxy_buffer_utilization_bytes_count'), 1)
    assert.equal(await gateway.metric('wsproxy_gaps_total', { reason: 'slow_client' }), 1)
    await quick.take(sent)
    assertPrefix(quick, sent)
    slow.socket.resume()
    const { code } = await within(slow.closed, 'the cut')
    assert.equal(code, 1006, 'there was no room for a close frame')
    assertPrefix(slow, sent)
    assert.ok(slow.frames.length < sent)
    await quick.close()
  })

  it('gives a client that is too slow the whole grace to read on, whenever its next check was due', async () => {
    const gateway = await start({
      MAX_BUFFER_SIZE_BYTES: '1MiB',
      SLOW_CLOSE_GRACE: '60s',
      PING_INTERVAL: '1s',
      PONG_TIMEOUT: '60s',
    })
    const slow = await gateway.join('grace')
    const openedAt = performance.now()
    slow.socket.pause()
    const sent = await publishMany(gateway, 'grace')
    await eventually(async () => (await events(gateway, 'full')) === 1, 'the buffer to be full')
    // The ping would have been due by now.
    await eventually(() => performance.now() - openedAt > 1500, 'a second and a half')
    slow.socket.resume()
    const { code } = await within(slow.closed, 'the close')
    assert.equal(code, 1008)
    assertPrefix(slow, sent)
  })

  it('keeps a client that stops reading and reads again in time, delivers everything, and logs it anew each time', async () => {
    const gateway = await start({ MAX_BUFFER_SIZE_BYTES: '8MiB', SLOW_CLOSE_GRACE: '60s' })
    const client = await gateway.join('pausing')
    let sent = 0
    for (const time of [1, 2, 3]) {
      client.socket.pause()
      sent = await publishUntil(gateway, 'pausing', () => warnings(gateway).length === time, sent)
      await eventually(() => warnings(gateway).length === time, `warning ${time}`)
      client.socket.resume()
      await client.take(sent)
      assertPrefix(client, sent)
    }
    assert.equal(client.frames.length, sent)
    assert.deepEqual([await events(gateway, 'warning'), await events(gateway, 'full')], [3, 0])
    await client.close()
  })

  it('drops no frame of a client that stops reading now and then, while its socket is open', async () => {
    const gateway = await start({ MAX_BUFFER_SIZE_BYTES: '1MiB', SLOW_CLOSE_GRACE: '60s' })
    const clients: TestClient[] = []
    for (let i = 0; i < 6; i++) clients.push(await gateway.join('stutter'))
    const total = 150
    for (let n = 0; n < total; n++) {
      for (const [i, { socket }] of clients.entries()) {
        if (socket.readyState !== socket.OPEN) continue
        // The first reads always; each of the others pauses longer than the one before.
        if (n % 40 < i * 8) socket.pause()
        else socket.resume()
      }
      await gateway.agent.publish(sessionDown('stutter'), numbered(n))
    }
    for (const { socket } of clients) socket.resume()
    for (const client of clients) {
      await eventually(() => client.frames.length === total || client.code !== undefined, 'all frames, or the close')
      assertPrefix(client, total)
      if (client.frames.length < total) assert.equal(client.code, 1008)
    }
    assert.equal(clients[0]!.frames.length, total)
    for (const { socket } of clients) socket.terminate()
  })

  it('delivers to all other members when the buffer of one member proves to be full during a fan-out', async () => {
    const gateway = await start({ MAX_BUFFER_SIZE_BYTES: '8MiB', SLOW_CLOSE_GRACE: '60s' })
    const clients: TestClient[] = []
    for (let i = 0; i < 8; i++) clients.push(await gateway.join('turn'))
    const slow = clients.filter((_, i) => i % 2 === 0)
    const quick = clients.filter((_, i) => i % 2 === 1)
    for (const { socket } of slow) socket.pause()
    // One after the other until the first of the slow ones is nearly full, then more than it has
    // room for, all at once.
    const sent = await publishUntil(gateway, 'turn', () => warnings(gateway).length > 0)
    for (const client of quick) await client.take(sent)
    await untilOpen(gateway, 8)
    const burst = gateway.agent.multi()
    const total = sent + 8
    for (let n = sent; n < total; n++) {
      burst.publish(sessionDown('turn'), (n - sent) % 2 === 0 ? `${n}:`.padEnd(MiB - 1) : `${n}:`)
    }
    await burst.exec()
    for (const client of quick) {
      await client.take(total)
      assertPrefix(client, total)
    }
    for (const client of slow) {
      client.socket.resume()
      await eventually(() => client.frames.length === total || client.code !== undefined, 'all frames, or the close')
      assertPrefix(client, total)
      if (client.frames.length < total) assert.equal(client.code, 1008)
    }
    assert.ok(slow.some(({ code }) => code === 1008))
    for (const { socket } of clients) socket.terminate()
    await untilOpen(gateway, 0)
  })

  it('keeps a client that reads, however much arrives at once', async () => {
    const gateway = await start({})
    const clients = [await gateway.join('flood'), await gateway.join('flood')]
    const messages = Array.from({ length: 200 }, (_, n) => numbered(n))
    for (const chunk of [messages.slice(0, 100), messages.slice(100)]) publishAll(gateway, 'flood', chunk)
    for (const client of clients) {
      await client.take(200)
      assertPrefix(client, 200)
      await client.close()
    }
    assert.equal(await events(gateway, 'full'), 0)
  })
})

describe('a message that is larger than the send buffer', () => {
  it('reaches a socket that has nothing waiting, with the messages around it', async (t) => {
    const gateway = await gatewayFor(t, { env: { MAX_BUFFER_SIZE_BYTES: '64KiB' } })
    for (const before of [[], ['a'], ['a', 'b', 'c'], ['a', 'x'.repeat(60 * KiB)]]) {
      const clients = [await gateway.join('large'), await gateway.join('large'), await gateway.join('large')]
      const messages = [...before, 'y'.repeat(65 * KiB), 'after']
      const batch = gateway.agent.multi()
      for (const message of messages) batch.publish(sessionDown('large'), message)
      await batch.exec()
      for (const client of clients) {
        assert.deepEqual(await client.take(messages.length), messages)
        await client.close()
      }
    }
    await untilOpen(gateway, 0)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })
})
