import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Bindings, type Feed, type Source } from '../../src/connection/bind.ts'
import { Connection } from '../../src/connection/connection.ts'
import type { Door } from '../../src/connection/door.ts'
import { sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, socketChannels, type TestGateway } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { type RelayedRedis, relayedRedisFor } from '../support/relay.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { framesOf, listeners, publish, untilOpen } from '../support/wire.ts'

/** Text frames of a socket without a library. */
const texts = (raw: RawSocket) => framesOf(raw).map(({ payload }) => payload.toString())

describe('a socket', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { AUTH_TOKEN_MODE: 'reusable' } })
  })

  /** Opens a socket and publishes in the very moment in which the client sees it open. */
  async function openAndPublish(session: string, token: string, message: string): Promise<TestClient> {
    const client = await connect(gateway.sessionUrl(session), { token })
    publish(gateway, session, message)
    return client
  }

  it('delivers what is published at the instant at which a client sees its socket open, a thousand times', async () => {
    for (let batch = 0; batch < 10; batch++) {
      const sessions = Array.from({ length: 100 }, (_, i) => `race-${batch}-${i}`)
      const tokens = await Promise.all(sessions.map((session) => gateway.token(session)))
      const clients = await Promise.all(sessions.map((session, i) => openAndPublish(session, tokens[i]!, session)))
      for (const [i, client] of clients.entries()) assert.deepEqual(await client.take(1), [sessions[i]])
      for (const client of clients) client.socket.terminate()
    }
    await untilOpen(gateway, 0)
    await eventually(async () => (await socketChannels(gateway)) === 0, 'all channels to be left')
  })

  it('delivers the same messages to sockets of one session that open at the same time', async () => {
    for (let round = 0; round < 10; round++) {
      const session = `crowd-${round}`
      const token = await gateway.token(session)
      const names = Array.from({ length: 10 }, (_, i) => `m${i}`)
      const clients = await Promise.all(names.map((name) => openAndPublish(session, token, name)))
      assert.equal(await listeners(gateway, sessionDown(session)), 1)
      await gateway.agent.publish(sessionDown(session), 'end')
      for (const client of clients) await eventually(() => client.frames.includes('end'), 'the last message')
      const all = clients.map(({ frames }) => frames).reduce((a, b) => (a.length > b.length ? a : b))
      for (const [i, { frames }] of clients.entries()) {
        assert.ok(frames.includes(names[i]!), `${names[i]} is lost`)
        assert.deepEqual(frames, all.slice(-frames.length))
      }
      for (const client of clients) client.socket.terminate()
    }
  })

  it('keeps the subscription of a socket that opens while the last one of its session leaves', async () => {
    const session = 'relay-race'
    const token = await gateway.token(session)
    let standing = await connect(gateway.sessionUrl(session), { token })
    for (let round = 0; round < 200; round++) {
      const leaver = standing
      const coming = openAndPublish(session, token, `round ${round}`)
      // Before, while and after the newcomer is on its way.
      if (round % 3 === 0) leaver.socket.terminate()
      else if (round % 3 === 1) setImmediate(() => leaver.socket.terminate())
      else void coming.then(() => leaver.socket.terminate())
      standing = await coming
      assert.deepEqual(await standing.take(1), [`round ${round}`])
    }
    await untilOpen(gateway, 1)
    assert.equal(await listeners(gateway, sessionDown(session)), 1)
    publish(gateway, session, 'still here')
    await standing.take(2)
    await standing.close()
    await eventually(async () => (await listeners(gateway, sessionDown(session))) === 0, 'the channel to be left')
  })

  it('delivers every message to a socket that stays, however many others of its session come and go', async () => {
    const session = 'churn'
    const token = await gateway.token(session)
    const standing = await connect(gateway.sessionUrl(session), { token })
    const sent: string[] = []
    for (let round = 0; round < 25; round++) {
      const visitors = await Promise.all(
        Array.from({ length: 4 }, () => connect(gateway.sessionUrl(session), { token })),
      )
      for (const [i, visitor] of visitors.entries()) {
        if (i % 2 === 0) visitor.socket.terminate()
        else visitor.socket.close()
        const message = `${round}.${i}`
        sent.push(message)
        publish(gateway, session, message)
      }
    }
    assert.deepEqual(await standing.take(sent.length), sent)
    assert.equal(await listeners(gateway, sessionDown(session)), 1)
    await untilOpen(gateway, 1)
    await standing.close()
    await untilOpen(gateway, 0)
    await eventually(async () => (await socketChannels(gateway)) === 0, 'the channel to be left')
  })

  it('delivers nothing of another session, not even of one whose id begins or ends like its own', async () => {
    const sessions = ['a', 'a.', 'A', 'aa', 'a-down']
    const clients = await Promise.all(sessions.map((session) => gateway.join(session)))
    for (const session of sessions) publish(gateway, session, `for ${session}`)
    for (const name of ['session:*:down', 'session:a:up', 'session:a', 'session:a:down:down', 'a']) {
      await gateway.agent.publish(name, 'for nobody')
    }
    for (const session of sessions) publish(gateway, session, 'end')
    for (const [i, client] of clients.entries()) assert.deepEqual(await client.take(2), [`for ${sessions[i]}`, 'end'])
    for (const client of clients) await client.close()
  })
})

describe('while Redis has not confirmed', () => {
  const suite = scopeOf(after)
  let redis: RelayedRedis
  let gateway: TestGateway
  before(async () => {
    redis = await relayedRedisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { AUTH_RECONNECT_GRACE: '30s', HANDSHAKE_TIMEOUT: '60s' } })
    atEnd(suite, () => redis.release())
  })

  /**
   * Sends an upgrade and waits until its token is checked and nothing but the subscription is
   * missing.
   */
  async function knock(session: string): Promise<RawSocket> {
    const token = await gateway.token(session)
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest(`/agent-1/ws/${session}`, { Authorization: `Bearer ${token}` }))
    const left = () => gateway.agent.pTTL(sessionAuth(session))
    await eventually(async () => (await left()) <= 30_000, 'the token to be checked')
    // The answer to a PING comes on the same connection, behind the answer to the check.
    assert.equal((await fetch(`${gateway.http}/health`)).status, 200)
    return raw
  }
  const aborted = () => gateway.metric('wsproxy_connections_total', { door: 'session', result: 'aborted' })
  const confirmation = (session: string, what = 'subscribe') =>
    eventually(
      () => redis.holds(`${what}\r\n$${sessionDown(session).length}\r\n${sessionDown(session)}`),
      `the ${what}`,
    )

  it('keeps what is published before the confirmation and delivers it first and in order once the socket opens', async () => {
    const session = 'between'
    redis.hold(sessionDown(session))
    const first = await knock(session)
    const second = await knock(session)
    await confirmation(session)
    const early = Array.from({ length: 100 }, (_, i) => `early ${i}`)
    for (const message of early) publish(gateway, session, message)
    await eventually(() => redis.holds('early 99'), 'the messages to be on their way')
    redis.release()
    for (const raw of [first, second]) assert.equal(await raw.status(), 101)
    publish(gateway, session, 'late')
    for (const raw of [first, second]) {
      await eventually(() => texts(raw).includes('late'), 'the last message')
      assert.deepEqual(texts(raw), [...early, 'late'])
      raw.destroy()
    }
    await untilOpen(gateway, 0)
  })

  it('keeps a subscription that is not confirmed yet when one of two waiting sockets leaves', async () => {
    const session = 'waiting'
    redis.hold(sessionDown(session))
    const leaver = await knock(session)
    await confirmation(session)
    const before = await aborted()
    const stayer = await knock(session)
    leaver.destroy()
    await eventually(async () => (await aborted()) === before + 1, 'the abort to be noticed')
    redis.release()
    assert.equal(await stayer.status(), 101)
    publish(gateway, session, 'hello')
    await eventually(() => texts(stayer).includes('hello'), 'the message')
    stayer.destroy()
    await eventually(async () => (await listeners(gateway, sessionDown(session))) === 0, 'the channel to be left')
  })

  it('subscribes again for a socket that comes when the last one has just left, before Redis has confirmed', async () => {
    const session = 'given-up'
    redis.hold(sessionDown(session))
    const leaver = await knock(session)
    await confirmation(session)
    const before = await aborted()
    leaver.destroy()
    await eventually(async () => (await aborted()) === before + 1, 'the abort to be noticed')
    const newcomer = await knock(session)
    redis.release()
    assert.equal(await newcomer.status(), 101)
    publish(gateway, session, 'hello')
    await eventually(() => texts(newcomer).includes('hello'), 'the message')
    newcomer.destroy()
    await eventually(async () => (await listeners(gateway, sessionDown(session))) === 0, 'the channel to be left')
  })

  it('opens a socket that comes during an UNSUBSCRIBE only after a SUBSCRIBE of its own', async () => {
    const session = 'leaving'
    const last = await gateway.join(session)
    redis.hold(sessionDown(session))
    await last.close()
    await confirmation(session, 'unsubscribe')
    const newcomer = await knock(session)
    assert.equal(await listeners(gateway, sessionDown(session)), 0)
    assert.equal(newcomer.text, '', 'there is no subscription yet')
    redis.release()
    assert.equal(await newcomer.status(), 101)
    publish(gateway, session, 'hello')
    await eventually(() => texts(newcomer).includes('hello'), 'the message')
    newcomer.destroy()
    await untilOpen(gateway, 0)
    await eventually(async () => (await socketChannels(gateway)) === 0, 'the channel to be left')
  })
})

describe('bindings', () => {
  /** A feed whose confirmations are the test's to give. */
  class FakeFeed implements Feed {
    readonly calls: string[] = []
    readonly confirm: (() => void)[] = []
    failure: Error | undefined

    async subscribe(channel: string): Promise<void> {
      this.calls.push(`+${channel}`)
      if (this.failure) throw this.failure
      await new Promise<void>((resolve) => {
        this.confirm.push(resolve)
      })
    }

    unsubscribe(channel: string): void {
      this.calls.push(`-${channel}`)
    }
  }
  const source: Source = { render: (_, message) => message }
  const newConnection = () => new Connection({ name: 'test' } as Door, 'subject', 'address', 0)
  const resolved = async (promise: Promise<void>) =>
    (await Promise.race([promise.then(() => true), new Promise((done) => setImmediate(done, false))])) === true

  it('make a connection a member before the feed confirms, and resolve when it has confirmed every channel', async () => {
    const feed = new FakeFeed()
    const bindings = new Bindings(feed)
    const connection = newConnection()
    const joined = bindings.join(connection, source, ['a', 'b'])
    assert.deepEqual(bindings.find('a')?.members, [connection])
    assert.equal(bindings.find('b'), bindings.find('a'))
    feed.confirm[0]!()
    assert.equal(await resolved(joined), false)
    feed.confirm[1]!()
    assert.equal(await resolved(joined), true)
  })

  it('unsubscribe the channels with the last member only, and once', () => {
    const feed = new FakeFeed()
    const bindings = new Bindings(feed)
    const [first, second, third] = [newConnection(), newConnection(), newConnection()]
    for (const connection of [first, second, third]) void bindings.join(connection, source, ['a', 'b'])
    const topic = bindings.find('a')!
    bindings.leave(first, topic)
    bindings.leave(first, topic)
    bindings.leaveAll(first)
    assert.deepEqual(new Set(topic.members), new Set([second, third]))
    bindings.leaveAll(third)
    assert.deepEqual(
      feed.calls.filter((call) => call.startsWith('-')),
      [],
    )
    bindings.leaveAll(second)
    bindings.leaveAll(second)
    assert.deepEqual(
      feed.calls.filter((call) => call.startsWith('-')),
      ['-a', '-b'],
    )
    assert.equal(bindings.find('a'), undefined)
    assert.equal(bindings.find('b'), undefined)
  })

  it('keep the topics of one connection apart from each other', () => {
    const feed = new FakeFeed()
    const bindings = new Bindings(feed)
    const [first, second] = [newConnection(), newConnection()]
    for (const channel of ['a', 'b', 'c']) void bindings.join(first, source, [channel])
    void bindings.join(second, source, ['b'])
    bindings.leave(first, bindings.find('a')!)
    assert.deepEqual(bindings.find('b')?.members, [first, second])
    bindings.leaveAll(first)
    assert.deepEqual(bindings.find('b')?.members, [second])
    assert.deepEqual(
      feed.calls.filter((call) => call.startsWith('-')),
      ['-a', '-c'],
    )
  })

  it('keep the topic of a newer member when an older member of the same channels leaves late', () => {
    const feed = new FakeFeed()
    const bindings = new Bindings(feed)
    const [older, newer] = [newConnection(), newConnection()]
    void bindings.join(older, source, ['a'])
    const stale = bindings.find('a')!
    bindings.leaveAll(older)
    void bindings.join(newer, source, ['a'])
    bindings.leave(older, stale)
    bindings.leaveAll(older)
    assert.deepEqual(bindings.find('a')?.members, [newer])
    assert.deepEqual(feed.calls, ['+a', '-a', '+a'])
  })

  it('end a membership whose channel the feed refuses', async () => {
    const feed = new FakeFeed()
    const bindings = new Bindings(feed)
    const connection = newConnection()
    feed.failure = new Error('no')
    await assert.rejects(bindings.join(connection, source, ['a', 'b']), feed.failure)
    assert.equal(bindings.find('a'), undefined)
    assert.deepEqual(connection.topics, [])
    assert.deepEqual(feed.calls, ['+a', '+b', '-a', '-b'])
  })
})
