import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Keepalive, type KeepaliveParts } from '../../src/connection/keepalive.ts'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { clientFrame, type RawSocket } from '../support/raw.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { closeOf, framesOf, joinRaw, OPCODE, publish, untilOpen } from '../support/wire.ts'

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
    // An unsolicited pong or a frame: anything counts as a sign of life.
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

describe('a sweep over many sockets', () => {
  it('looks at some of them in a turn, and at all of them before the next one', async () => {
    let looks = 0
    const socketOf = () => ({
      get nextCheckAt() {
        looks++
        return Number.POSITIVE_INFINITY
      },
    })
    const sockets = new Set(Array.from({ length: 2000 }, socketOf))
    // A socket whose time has not come is only looked at.
    const keepalive = new Keepalive({ sockets } as unknown as KeepaliveParts)
    keepalive.sweep()
    assert.ok(looks > 0 && looks <= 100, `${looks} in the first turn`)
    await eventually(() => looks === 2000, 'the rest of them')
  })
})
