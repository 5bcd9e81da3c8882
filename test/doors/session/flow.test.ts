import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { sessionControl, sessionDown, sessionFlow } from '../../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { proxyFor } from '../../support/proxy.ts'
import type { RawSocket } from '../../support/raw.ts'
import { redisFor } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'
import { joinRaw } from '../../support/wire.ts'

const BUFFER_BYTES = 4 * 1024 * 1024
const ON = { SESSION_FLOW_SIGNAL: 'true', MAX_BUFFER_SIZE_BYTES: String(BUFFER_BYTES), LOG_LEVEL: 'warn' }
const MESSAGE = JSON.stringify('x'.repeat(64 * 1024))
const OK = '{"state":"ok"}'

describe('the flow signal', () => {
  const each = scopeOf(afterEach)
  let gateway: TestGateway

  const start = async (env: Record<string, string> = ON) => {
    gateway = await gatewayFor(each, { env })
  }
  const kept = (session: string) => gateway.agent.get(sessionFlow(session))
  const buffered = () => gateway.metric('wsproxy_buffer_utilization_bytes_sum')

  /** Collects what is published on the control channel of a session. */
  async function told(session: string): Promise<string[]> {
    const states: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionControl(session), (state) => states.push(state))
    return states
  }

  /**
   * A client that reads nothing, with something in its buffer; the kernel takes some megabytes
   * first.
   */
  async function joinStalled(session: string): Promise<RawSocket> {
    const client = await joinRaw(gateway, session)
    client.socket.pause()
    return client
  }

  /** Publishes, one message after the other, until `isEnough`. */
  async function fill(session: string, isEnough: () => Promise<boolean>): Promise<void> {
    await eventually(async () => {
      await gateway.agent.publish(sessionDown(session), MESSAGE)
      return isEnough()
    }, 'the buffer to fill')
  }

  const fillHalf = (session: string) => fill(session, async () => (await kept(session)) !== null)

  it('sets and renews the flow key while a client is slow, and publishes ok when that is over', async () => {
    await start()
    const states = await told('s')
    const before = Date.now()
    const client = await joinStalled('s')
    await fillHalf('s')
    const { state, buffered: bytes, since, ...rest } = JSON.parse((await kept('s'))!)
    assert.equal(state, 'slow')
    assert.ok(bytes > BUFFER_BYTES / 2 && bytes <= BUFFER_BYTES, `${bytes} bytes`)
    assert.ok(Date.parse(since) >= before && Date.parse(since) <= Date.now())
    assert.deepEqual(rest, {})
    await eventually(() => states.length === 1, 'the change to be told')
    assert.equal(JSON.parse(states[0]!).state, 'slow')

    const ttl = () => gateway.agent.pTTL(sessionFlow('s'))
    let least = await ttl()
    assert.ok(least > 0 && least <= 10_000, `${least} ms`)
    const renewed = async () => {
      const now = await ttl()
      least = Math.min(least, now)
      return now > least + 500
    }
    await eventually(renewed, 'the key to be renewed')
    assert.equal(JSON.parse((await kept('s'))!).since, since)

    client.socket.resume()
    await eventually(() => states.length === 2, 'the end to be told')
    assert.equal(states[1], OK)
    assert.equal(await kept('s'), null)
    client.destroy()
  })

  it('ends the flow signal with the socket, and when the socket is cut for being too slow', async () => {
    await start({ ...ON, SLOW_CLOSE_GRACE: '200ms' })
    for (const session of ['left', 'cut']) {
      const states = await told(session)
      const client = await joinStalled(session)
      await fillHalf(session)
      if (session === 'left') client.destroy()
      else await fill(session, async () => states.includes(OK))
      await eventually(() => states.length === 2, 'the end to be told')
      assert.equal(states[1], OK)
      assert.equal(await kept(session), null)
      client.destroy()
    }
    assert.equal(await gateway.metric('wsproxy_disconnections_total', { code: '1008' }), 1)
  })

  it('calls a session slow while any of its sockets is slow', async () => {
    await start()
    const states = await told('two')
    const slow = [await joinStalled('two'), await joinStalled('two')]
    const fast = await gateway.join('two')
    await fillHalf('two')
    await fill('two', async () => (await buffered()) > BUFFER_BYTES * 1.2)
    slow[0]!.destroy()
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'session' })) === 2,
      'the end of the first',
    )
    assert.equal(states.length, 1)
    assert.notEqual(await kept('two'), null)
    slow[1]!.socket.resume()
    await eventually(() => states.length === 2, 'the end to be told')
    assert.equal(await kept('two'), null)
    slow[1]!.destroy()
    await fast.close()
  })

  it('writes the flow signal that failed while Redis was away when Redis is back', async (t) => {
    const redis = await redisFor(t)
    const proxy = await proxyFor(t, redis.port)
    gateway = await gatewayFor(t, { env: ON, redis: { ...redis, url: `redis://127.0.0.1:${proxy.port}` } })
    const states = await told('outage')
    const client = await joinStalled('outage')
    await fillHalf('outage')
    proxy.cut()
    client.destroy()
    await eventually(async () => (await gateway.metric('wsproxy_active_connections')) === 0, 'the end of the socket')
    assert.deepEqual(
      states.filter((state) => state === OK),
      [],
    )
    proxy.restore()
    await eventually(() => states.at(-1) === OK, 'the end to be told')
  })

  it('publishes no ok while another gateway has a slow client of the same session', async (t) => {
    const redis = await redisFor(t)
    const other = await gatewayFor(t, { env: ON, redis })
    gateway = other
    const slowThere = await joinStalled('shared')
    await fillHalf('shared')
    gateway = await gatewayFor(t, { env: ON, redis })
    const states = await told('shared')
    const slowHere = await joinStalled('shared')
    await fill('shared', async () => (await buffered()) > BUFFER_BYTES * 0.6)
    await eventually(() => states.length > 0, 'ours to be told')
    // The other renews it every other second: it stays ours.
    const { since } = JSON.parse(states[0]!)
    for (const until = Date.now() + 2500; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 50)))
      assert.ok((await kept('shared'))?.includes(since), 'the key is ours')
    slowThere.socket.resume()
    await eventually(
      async () => (await other.metric('wsproxy_buffer_utilization_bytes_sum')) === 0,
      'the other to be well',
    )
    await eventually(async () => (await kept('shared')) !== null, 'the key')
    assert.deepEqual(
      states.filter((state) => state === OK),
      [],
    )
    slowHere.destroy()
    await eventually(() => states.at(-1) === OK, 'the end of both')
    assert.equal(await kept('shared'), null)
    slowThere.destroy()
  })

  it('leaves no flow key behind when the gateway drains', async () => {
    await start({ ...ON, SHUTDOWN_GRACE_PERIOD: '1s', DRAIN_WINDOW: '0' })
    const client = await joinStalled('drain')
    await fillHalf('drain')
    const ear = await gateway.redis.client()
    await gateway.gateway.stop()
    assert.equal(await ear.get(sessionFlow('drain')), null)
    client.destroy()
  })

  it('sends no flow signal by default', async () => {
    const { SESSION_FLOW_SIGNAL: _, ...off } = ON
    await start(off)
    const states = await told('off')
    const client = await joinStalled('off')
    await fill('off', async () => (await gateway.metric('wsproxy_backpressure_events_total')) > 0)
    assert.equal(await kept('off'), null)
    assert.deepEqual(states, [])
    client.destroy()
  })
})
