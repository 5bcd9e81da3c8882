import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Connection } from '../../src/connection/connection.ts'
import { drain, returnAfterMs, returnMoments } from '../../src/connection/drain.ts'
import type { Closer } from '../../src/connection/end.ts'
import type { OpenSockets } from '../../src/connection/sockets.ts'
import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import { peakOverMean } from '../support/arrivals.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { eventually, within } from '../support/wait.ts'
import { publish, untilOpen } from '../support/wire.ts'

const KiB = 1024
const BIN_MS = 100
const MOST_PEAK_OVER_MEAN = 1.3
const MOST_OF_LATE_READERS = 1.5
const ROOMY = { MAX_BUFFER_SIZE_BYTES: '10MiB' }

describe('a drain', () => {
  const goodbyes = (client: TestClient) =>
    client.frames.map((frame) => JSON.parse(String(frame))).filter(({ command }) => command === 'goodbye')

  /**
   * A socket that stops reading while more waits for it in the gateway than the kernel takes. The
   * gateway needs `ROOMY`: with the default buffer the socket would be closed for its backlog.
   */
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
    const gateway = await gatewayFor(t, { env: { ...ROOMY, SLOW_CLOSE_GRACE: '60s', SHUTDOWN_GRACE_PERIOD: '60s' } })
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
    const gateway = await gatewayFor(t, { env: { ...ROOMY, SLOW_CLOSE_GRACE: '60s', SHUTDOWN_GRACE_PERIOD: '500ms' } })
    const { client, sent } = await joinAndStall(gateway, 'straggler')
    await within(gateway.gateway.stop(), 'the end of the drain')
    assert.equal(gateway.log.find(({ event }) => event === 'drain-end')?.cut, 1)
    client.socket.resume()
    assert.equal((await within(client.closed, 'the cut')).code, 1006)
    assert.ok(client.frames.length < sent.length)
  })

  it('waits in a drain for a client that reads late, longer than SLOW_CLOSE_GRACE', async (t) => {
    const gateway = await gatewayFor(t, { env: { ...ROOMY, SLOW_CLOSE_GRACE: '100ms', SHUTDOWN_GRACE_PERIOD: '1h' } })
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
      { ...ROOMY, SLOW_CLOSE_GRACE: '1h', SHUTDOWN_GRACE_PERIOD: '1h' },
      { ...ROOMY, DRAIN_DELAY: '30m', SHUTDOWN_GRACE_PERIOD: '1h' },
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

describe('the clients of a drained gateway', () => {
  /**
   * When each of `count` clients comes back; its close is late by `lateMs`, and read so long after.
   */
  function returns(count: number, windowMs: number, lateMs: Late, readAfterMs: Late): number[] {
    const moments = returnMoments(count, windowMs)
    return moments.map((moment, i) => {
      const due = (i / count) * windowMs
      const closedMs = due + lateMs(due)
      return closedMs + readAfterMs(closedMs) + returnAfterMs(moment, closedMs)
    })
  }
  type Late = (at: number) => number

  const never = () => 0
  const always = (at: number) => 500 - (at % 500)
  /** For a fifth of the time. */
  const sometimes = (at: number) => Math.max(0, 400 - (at % 2000))
  for (const [count, windowMs] of [
    [100, 200],
    [5000, 10_000],
    [50_000, 10_000],
    [5000, 0],
  ] as const)
    it(`come back evenly: ${count} of them, closed over ${windowMs} ms, without and with stalls of the gateway`, () => {
      for (const lateMs of [never, always]) {
        const peak = peakOverMean(returns(count, windowMs, lateMs, never), BIN_MS)
        assert.ok(peak <= MOST_PEAK_OVER_MEAN, `peak over mean ${peak.toFixed(2)}`)
      }
    })

  it('come back nearly evenly when they read their goodbyes late, many at once', () => {
    for (const readAfterMs of [sometimes, always]) {
      const peak = peakOverMean(returns(50_000, 10_000, never, readAfterMs), BIN_MS)
      assert.ok(peak <= MOST_OF_LATE_READERS, `peak over mean ${peak.toFixed(2)}`)
    }
  })

  it('get a random pause from a close that comes behind its moment', () => {
    const pauses = Array.from({ length: 100 }, () => returnAfterMs(1000, 60_000))
    assert.ok(pauses.every((ms) => ms >= 0 && ms <= 1000))
    assert.ok(new Set(pauses).size > 50)
  })

  it('come back evenly by the clock of a real drain', async () => {
    const sockets = new Set(Array.from({ length: 500 }, () => ({}) as Connection))
    const arrivals: number[] = []
    const closer = {
      end(connection: Connection, _close: unknown, afterMs: number) {
        sockets.delete(connection)
        arrivals.push(performance.now() + afterMs)
      },
    }
    const options = { windowMs: 10_000, graceMs: 20_000, cut: new AbortController().signal }
    const beganAt = performance.now()
    assert.equal(await drain(sockets as unknown as OpenSockets, closer as unknown as Closer, options), 0)
    assert.ok(Math.min(...arrivals) >= beganAt + 1500)
    const peak = peakOverMean(arrivals, BIN_MS)
    assert.ok(peak <= MOST_PEAK_OVER_MEAN, `peak over mean ${peak.toFixed(2)}`)
  })
})
