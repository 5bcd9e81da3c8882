import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../src/contract/names.ts'
import { bareGatewayFor } from '../support/bare.ts'
import { connect, type Refused, refused, type TestClient } from '../support/client.ts'
import { gatewayFor, socketChannels, type TestGateway } from '../support/gateway.ts'
import { proxyFor, type TcpProxy } from '../support/proxy.ts'
import { type RealRedis, realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { createClient } from '../support/redis-client.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

/** SPEC: upgrades are refused "within a second" during an outage. */
const REFUSAL_MS = 1000
const CROWD = 2000
const NO_RATE = { SESSION_RATE: '0' }

const isGap = ({ type, command }: Record<string, unknown>) => type === 'control' && command === 'gap'
const gaps = (client: TestClient) => client.values.filter(isGap)
const errors = (client: TestClient, code: string) => client.values.filter((each) => each.code === code).length
const status = async (url: string) => (await fetch(url)).status
const marker = (n: number | string) => JSON.stringify({ marker: n })

/** A gap frame has this shape and says a time around the outage. */
function assertGap(frame: Record<string, unknown>, before: number, lostAt: number, backAt: number): void {
  assert.deepEqual(Object.keys(frame), ['type', 'command', 'from', 'to'])
  const [from, to] = [Date.parse(String(frame.from)), Date.parse(String(frame.to))]
  assert.ok(from >= before && from <= lostAt, `from ${frame.from} is before the loss`)
  assert.ok(to >= backAt && to <= Date.now(), `to ${frame.to} is after the return`)
}

async function timedRefusal(url: string): Promise<Refused & { ms: number }> {
  const startedAt = performance.now()
  const refusal = await refused(url, { token: 'any' })
  return { ...refusal, ms: performance.now() - startedAt }
}

/** Publishes to each session and waits until each of its clients has got it. */
async function assertFlows(gateway: TestGateway, clients: Readonly<Record<string, TestClient[]>>, mark: string) {
  for (const session of Object.keys(clients)) void gateway.agent.publish(sessionDown(session), marker(mark))
  for (const each of Object.values(clients).flat()) await each.find({ marker: mark })
}

async function recovered(gateway: TestGateway): Promise<void> {
  await eventually(() => gateway.gateway.redisReady, 'the gateway to have Redis again')
}

async function lost(gateway: TestGateway): Promise<void> {
  await eventually(() => !gateway.gateway.redisReady, 'the gateway to notice')
}

describe('an outage of Redis', () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: TestRedis
  let proxy: TcpProxy
  let gateway: TestGateway
  before(async () => {
    redis = await redisFor(suite)
  })

  /** A gateway whose way to Redis can be cut while agents keep theirs. */
  async function start(env: Record<string, string> = {}): Promise<void> {
    proxy = await proxyFor(each, redis.port)
    const through = { ...redis, url: `redis://127.0.0.1:${proxy.port}`, client: () => redis.client() }
    gateway = await gatewayFor(each, { redis: through, env: { ...NO_RATE, ...env } })
  }

  async function listen(session: string): Promise<string[]> {
    const heard: string[] = []
    const subscriber = await redis.client()
    await subscriber.subscribe(sessionUp(session), (message) => heard.push(message))
    return heard
  }

  it('keeps every socket through an outage and sends each one gap when it ends', async () => {
    const before = Date.now()
    await start()
    const clients = { a: [await gateway.join('a'), await gateway.join('a')], b: [await gateway.join('b')] }
    const all = Object.values(clients).flat()
    await assertFlows(gateway, clients, 'before')
    const lostAt = Date.now()
    proxy.cut()
    await lost(gateway)
    const backAt = Date.now()
    proxy.restore()
    await recovered(gateway)
    const counts = await gateway.agent.pubSubNumSub([sessionDown('a'), sessionDown('b')])
    assert.deepEqual(Object.values(counts), [1, 1])
    await assertFlows(gateway, clients, 'after')
    for (const client of all) {
      assert.equal(client.code, undefined)
      assert.equal(client.frames.length, 3)
      assertGap(client.values[1]!, before, lostAt, backAt)
    }
  })

  it('sends a gap for each outage, and a newer socket only the gaps since it joined', async () => {
    await start()
    const first = await gateway.join('first')
    const lostAt = [0]
    for (let round = 1; round <= 2; round++) {
      lostAt.push(Date.now())
      proxy.cut()
      await lost(gateway)
      proxy.restore()
      await recovered(gateway)
      await eventually(() => gaps(first).length === round, 'the gap')
      if (round > 1) continue
      const second = await gateway.join('second')
      assert.deepEqual(second.frames, [])
    }
    const [one, two] = gaps(first)
    assert.ok(Date.parse(String(one!.from)) <= lostAt[1]!)
    assert.ok(Date.parse(String(two!.from)) >= lostAt[1]! && Date.parse(String(two!.from)) <= lostAt[2]!)
    assert.equal(await gateway.metric('wsproxy_gaps_total', { reason: 'redis_down' }), 2)
  })

  it('answers 503 within a second during an outage, also at /ready and /health', async () => {
    await start()
    const client = await gateway.join('seen')
    assert.equal(await gateway.metric('wsproxy_redis_up'), 1)
    assert.equal(await socketChannels(gateway), 1)
    proxy.cut()
    await lost(gateway)
    for (const refusal of await Promise.all([1, 2, 3].map(() => timedRefusal(gateway.sessionUrl('new'))))) {
      assert.equal(refusal.status, 503)
      assert.equal(refusal.code, 'redis-unavailable')
      assert.ok(Number(refusal.headers['retry-after']) > 0)
      assert.ok(refusal.ms < REFUSAL_MS, `${refusal.ms} ms`)
    }
    assert.equal(await status(`${gateway.http}/ready`), 503)
    assert.equal(await status(`${gateway.http}/health`), 503)
    assert.equal(await gateway.metric('wsproxy_redis_up'), 0)
    assert.equal(await gateway.metric('wsproxy_redis_pubsub_channels_active'), 0)
    proxy.restore()
    await recovered(gateway)
    assert.equal(await status(`${gateway.http}/ready`), 200)
    assert.equal(await status(`${gateway.http}/health`), 200)
    assert.equal(await gateway.metric('wsproxy_redis_up'), 1)
    assert.equal(await socketChannels(gateway), 1)
    for (const link of ['commands', 'subscriber']) {
      assert.equal(await gateway.metric('wsproxy_redis_reconnects_total', { link }), 1)
    }
    await gateway.join('new')
    assert.equal(client.code, undefined)
  })

  it('holds client frames during an outage and refuses the newest past the limit', async () => {
    await start({ UPSTREAM_BUFFER_MESSAGES: '20' })
    const heard = await listen('held')
    const client = await gateway.join('held')
    proxy.cut()
    await lost(gateway)
    for (let i = 0; i < 25; i++) client.send(marker(i))
    await eventually(() => errors(client, 'upstream-unavailable') === 5, 'the refusals')
    assert.equal(await gateway.metric('wsproxy_upstream_held_messages'), 20)
    assert.equal(await gateway.metric('wsproxy_lost_messages_total', { reason: 'upstream_full' }), 5)
    proxy.restore()
    await eventually(() => heard.length === 20, 'those that were held')
    client.send(marker('next'))
    await eventually(() => heard.length === 21, 'the next')
    assert.deepEqual(heard, [...Array.from({ length: 20 }, (_, i) => marker(i)), marker('next')])
    assert.equal(await gateway.metric('wsproxy_upstream_held_messages'), 0)
    assert.equal(errors(client, 'upstream-uncertain'), 0)
  })

  it('gives a session its place although another one has taken all, and tells that one', async () => {
    await start({ UPSTREAM_BUFFER_MESSAGES: '20' })
    const [heard, others] = [await listen('quiet'), await listen('greedy')]
    const [quiet, greedy] = [await gateway.join('quiet'), await gateway.join('greedy')]
    proxy.cut()
    await lost(gateway)
    for (let i = 0; i < 30; i++) greedy.send(marker(i))
    await eventually(() => errors(greedy, 'upstream-unavailable') === 10, 'the refusals')
    for (let i = 0; i < 3; i++) quiet.send(marker(i))
    await eventually(() => errors(greedy, 'upstream-unavailable') === 13, 'three more')
    proxy.restore()
    await eventually(() => heard.length === 3 && others.length === 17, 'what was held')
    assert.deepEqual(
      others,
      Array.from({ length: 17 }, (_, i) => marker(i)),
    )
    assert.equal(errors(quiet, 'upstream-unavailable'), 0)
  })

  it("shares the held frames' limit among all sockets and reports to each its own frames", async () => {
    await start({ UPSTREAM_BUFFER_MESSAGES: '30' })
    const heard = await listen('shared')
    const clients = [await gateway.join('shared'), await gateway.join('shared')]
    proxy.cut()
    await lost(gateway)
    for (let i = 0; i < 20; i++) for (const [who, client] of clients.entries()) client.send(marker(`${who}-${i}`))
    const refusals = () => clients.map((client) => errors(client, 'upstream-unavailable'))
    await eventually(() => refusals()[0]! + refusals()[1]! === 10, 'the refusals')
    proxy.restore()
    await eventually(() => heard.length === 30, 'those that were held')
    for (const who of [0, 1]) {
      const own = Array.from({ length: 20 - refusals()[who]! }, (_, i) => marker(`${who}-${i}`))
      assert.deepEqual(
        heard.filter((each) => each.includes(`"${who}-`)),
        own,
      )
    }
  })

  it('reports a frame in flight at the outage as uncertain and does not publish it again', async () => {
    await start()
    const heard = await listen('flight')
    const client = await gateway.join('flight')
    const received = await gateway.metric('wsproxy_messages_received_total', { source: 'client' })
    proxy.hold()
    for (let i = 0; i < 3; i++) client.send(marker(i))
    await eventually(
      async () => (await gateway.metric('wsproxy_messages_received_total', { source: 'client' })) === received + 3,
      'the frames to reach the gateway',
    )
    proxy.cut()
    await eventually(() => errors(client, 'upstream-uncertain') === 3, 'the reports')
    assert.equal(await gateway.metric('wsproxy_lost_messages_total', { reason: 'upstream_uncertain' }), 3)
    proxy.restore()
    await recovered(gateway)
    client.send(marker('after'))
    await eventually(() => heard.includes(marker('after')), 'the frame after it')
    assert.deepEqual(heard, [marker('after')])
  })

  it('publishes, refuses or reports each frame through repeated outages', async () => {
    await start({ UPSTREAM_BUFFER_MESSAGES: '40' })
    const heard = await listen('storm')
    const clients = [await gateway.join('storm'), await gateway.join('storm')]
    let sent = 0
    const burst = () => {
      for (let i = 0; i < 15; i++, sent++)
        for (const [who, each] of clients.entries()) each.send(marker(`${who}-${sent}`))
    }
    for (let round = 0; round < 4; round++) {
      burst()
      if (round % 2) proxy.hold()
      burst()
      proxy.cut()
      burst()
      await lost(gateway)
      burst()
      proxy.restore()
      burst()
      await recovered(gateway)
      burst()
    }
    for (const client of clients) client.send(marker('end'))
    await eventually(() => heard.filter((each) => each === marker('end')).length === 2, 'the end')
    for (const [who, client] of clients.entries()) {
      const own = heard.filter((each) => each.includes(`"${who}-`)).map((each) => Number(/-(\d+)/.exec(each)?.[1]))
      assert.deepEqual(
        own,
        [...new Set(own)].sort((a, b) => a - b),
        'in order, and none twice',
      )
      const [unavailable, uncertain] = [errors(client, 'upstream-unavailable'), errors(client, 'upstream-uncertain')]
      assert.ok(own.length + unavailable <= sent, 'none that was published is called refused')
      assert.ok(own.length + unavailable + uncertain >= sent, `${own.length}+${unavailable}+${uncertain} of ${sent}`)
    }
  })

  it('refuses an upgrade at once when Redis is lost during its check', async () => {
    await start({ HANDSHAKE_TIMEOUT: '60s' })
    const token = await gateway.token('waiting')
    proxy.hold()
    const refusal = refused(gateway.sessionUrl('waiting'), { token })
    await eventually(() => proxy.connections >= 2, 'both connections')
    proxy.cut()
    assert.equal((await within(refusal, 'the refusal')).code, 'redis-unavailable')
  })

  it('does not subscribe the channel of a socket that left during the outage again', async () => {
    await start()
    const [stays, goes] = [await gateway.join('stays'), await gateway.join('goes')]
    proxy.cut()
    await lost(gateway)
    await goes.close()
    await eventually(
      async () => (await gateway.metric('wsproxy_active_connections', { door: 'session' })) === 1,
      'its end',
    )
    proxy.restore()
    await recovered(gateway)
    const ours = await gateway.agent.pubSubChannels('session:*:down')
    assert.deepEqual(ours, [sessionDown('stays')])
    assert.equal(await socketChannels(gateway), 1)
    await eventually(() => gaps(stays).length === 1, 'the gap')
  })

  it('refuses held frames before the goodbye when the gateway stops during an outage', async () => {
    await start()
    const client = await gateway.join('stopping')
    proxy.cut()
    await lost(gateway)
    client.send(marker(1))
    await eventually(async () => (await gateway.metric('wsproxy_upstream_held_messages')) === 1, 'the hold')
    void gateway.gateway.stop()
    assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.deepEqual(
      client.values.map((each) => each.code ?? each.command),
      ['upstream-unavailable', 'goodbye'],
    )
  })

  it('sends no gap when only the command connection is lost', async () => {
    await start()
    const client = await gateway.join('commands')
    const ids = (await gateway.agent.clientList()).filter(({ name }) => name === 'wsproxy-commands').map(({ id }) => id)
    for (const id of ids) await gateway.agent.sendCommand(['CLIENT', 'KILL', 'ID', String(id)])
    await eventually(
      async () => (await gateway.metric('wsproxy_redis_reconnects_total', { link: 'commands' })) === 1,
      'the next connection',
    )
    await recovered(gateway)
    await gateway.join('commands')
    await assertFlows(gateway, { commands: [client] }, 'after')
    assert.equal(client.frames.length, 1)
    assert.equal(await gateway.metric('wsproxy_gaps_total'), 0)
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total', { link: 'subscriber' }), 0)
  })

  it('answers upgrades with 503 until Redis is reached for the first time', async (t) => {
    await start()
    const late = await proxyFor(t, redis.port)
    late.cut()
    const bare = bareGatewayFor(t, `redis://127.0.0.1:${late.port}`)
    assert.equal((await timedRefusal(`${bare.ws}/agent/ws/early`)).code, 'redis-unavailable')
    assert.equal(await status(`${bare.http}/ready`), 503)
    late.restore()
    await eventually(() => bare.gateway.redisReady, 'Redis')
    const client = await connect(`${bare.ws}/agent/ws/early`, { token: await gateway.token('early') })
    await gateway.agent.publish(sessionDown('early'), marker(1))
    assert.deepEqual(await client.take(1), [marker(1)])
  })
})

describe('a real Redis that is killed, restarted or stopped', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: RealRedis
  let gateway: TestGateway
  before(async () => {
    redis = await realRedisFor(suite)
  })
  const start = async (env: Record<string, string> = {}) => {
    gateway = await gatewayFor(each, { redis, env: { ...NO_RATE, ...env } })
  }

  it(`subscribes all of ${CROWD} channels again after a restart of Redis`, async () => {
    await start()
    const sessions = Array.from({ length: CROWD }, (_, i) => `crowd-${i}`)
    const clients: Record<string, TestClient[]> = {}
    for (let i = 0; i < CROWD; i += 100) {
      const some = sessions.slice(i, i + 100)
      const joined = await Promise.all(some.map((each) => gateway.join(each)))
      for (const [at, session] of some.entries()) clients[session] = [joined[at]!]
    }
    await redis.kill()
    await lost(gateway)
    assert.ok((await timedRefusal(gateway.sessionUrl('new'))).ms < REFUSAL_MS)
    await redis.restart()
    await recovered(gateway)
    assert.equal(await socketChannels(gateway), CROWD)
    const counts = await gateway.agent.pubSubNumSub(sessions.map(sessionDown))
    assert.deepEqual([...new Set(Object.values(counts).map(Number))], [1])
    await assertFlows(gateway, clients, 'after')
    for (const client of Object.values(clients).flat()) {
      await eventually(() => gaps(client).length > 0, 'the gap')
      assert.equal(client.code, undefined)
      assert.equal(client.frames.length, 2)
      assert.equal(gaps(client).length, 1)
    }
  })

  it('publishes every held frame exactly once after a restart of Redis', async () => {
    await start({ UPSTREAM_BUFFER_MESSAGES: '50' })
    const clients = await Promise.all(['x', 'y', 'z'].map((each) => gateway.join(each)))
    await redis.kill()
    await lost(gateway)
    for (let i = 0; i < 20; i++) for (const client of clients) client.send(marker(i))
    const refusals = () => clients.reduce((sum, client) => sum + errors(client, 'upstream-unavailable'), 0)
    await eventually(() => refusals() === 10, 'the refusals')
    await redis.restart()
    await recovered(gateway)
    await eventually(async () => (await gateway.metric('wsproxy_upstream_unheard_total')) === 50, 'the publishes')
    assert.match(await gateway.agent.info('commandstats'), /cmdstat_publish:calls=50,/)
    assert.equal(
      clients.reduce((sum, client) => sum + errors(client, 'upstream-uncertain'), 0),
      0,
    )
  })

  it('sends one gap when Redis drops all subscribers', async () => {
    await start()
    const clients = { p: [await gateway.join('p'), await gateway.join('p')], q: [await gateway.join('q')] }
    await gateway.agent.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    for (const client of Object.values(clients).flat()) await client.find({ command: 'gap' })
    await assertFlows(gateway, clients, 'after')
    for (const client of Object.values(clients).flat()) assert.equal(client.frames.length, 2)
    assert.equal(await gateway.metric('wsproxy_gaps_total'), 1)
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total', { link: 'commands' }), 0)
  })

  it('detects a Redis that hangs and recovers when it goes on', async () => {
    await start({ HANDSHAKE_TIMEOUT: '300ms' })
    const client = await gateway.join('hang')
    const token = await gateway.token('hang')
    redis.process.kill('SIGSTOP')
    try {
      assert.equal((await refused(gateway.sessionUrl('hang'), { token })).code, 'redis-timeout')
      await eventually(async () => (await status(`${gateway.http}/health`)) === 503, '/health to say so')
      await lost(gateway)
      assert.ok((await timedRefusal(gateway.sessionUrl('hang'))).ms < REFUSAL_MS)
      // The other connection is given up soon after; one that was not loses nothing when Redis goes
      // on.
      const isLost = (line: Record<string, unknown>) => line.event === 'redis-lost' && line.link === 'subscriber'
      await eventually(() => gateway.log.some(isLost), 'the connection for messages to be given up')
    } finally {
      redis.process.kill('SIGCONT')
    }
    await recovered(gateway)
    await client.find({ command: 'gap' })
    await assertFlows(gateway, { hang: [client] }, 'after')
    assert.equal(gaps(client).length, 1)
    await gateway.join('hang')
  })

  it('reports a frame as uncertain when Redis hangs and then dies', async () => {
    await start()
    const client = await gateway.join('dies')
    redis.process.kill('SIGSTOP')
    client.send(marker(1))
    await eventually(
      async () => (await gateway.metric('wsproxy_messages_received_total', { source: 'client' })) === 1,
      'the frame to reach the gateway',
    )
    await redis.kill()
    await client.find({ type: 'error', code: 'upstream-uncertain' })
    await redis.restart()
    await recovered(gateway)
    assert.equal(client.code, undefined)
  })

  it('checks tokens after a restarted Redis has lost its scripts', async () => {
    await start()
    await gateway.join('script')
    await gateway.agent.scriptFlush()
    await gateway.join('script')
  })

  it('refuses a session at once when an ACL forbids its channel, and keeps the others', async () => {
    const agent = await redis.client()
    const rules = ['on', '>pw', '+@all', '~*', 'resetchannels', '&session:ok-*']
    await agent.sendCommand(['ACL', 'SETUSER', 'limited', ...rules])
    gateway = await gatewayFor(each, { redis: { ...redis, url: `redis://limited:pw@127.0.0.1:${redis.port}` } })
    const before = await gateway.join('ok-1')
    const token = await gateway.token('forbidden')
    const refusal = await within(refused(gateway.sessionUrl('forbidden'), { token }), 'the refusal', 4000)
    assert.deepEqual([refusal.status, refusal.code], [403, 'forbidden'])
    assert.equal(await agent.exists(sessionAuth('forbidden')), 1, 'the token is not spent')
    const later = await gateway.join('ok-2')
    await assertFlows(gateway, { 'ok-1': [before], 'ok-2': [later] }, 'after')
    assert.deepEqual(before.values.filter(isGap), [])
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total'), 0)
  })

  it('serves other sockets again when an ACL forbids one channel during the outage', async () => {
    const agent = await redis.client()
    const rules = ['on', '>pw', '+@all', '~*', 'resetchannels']
    const allow = (channels: string[]) => agent.sendCommand(['ACL', 'SETUSER', 'changed', ...rules, ...channels])
    await allow(['&session:*'])
    gateway = await gatewayFor(each, { redis: { ...redis, url: `redis://changed:pw@127.0.0.1:${redis.port}` } })
    const clients = [await gateway.join('kept'), await gateway.join('taken')]
    // Redis itself drops the connections that have channels which they may not have any more.
    await allow(['&session:kept:*'])
    await clients[0]!.find({ command: 'gap' })
    await assertFlows(gateway, { kept: [clients[0]!] }, 'after')
    await gateway.join('kept')
  })
})

describe('a Redis with a password', { skip: withoutRealRedis }, () => {
  it('connects with the password of REDIS_URL, and answers 503 at /ready while it is wrong', async (t) => {
    const redis = await realRedisFor(t, ['--requirepass', 'first'])
    const url = (password: string) => `redis://:${password}@127.0.0.1:${redis.port}`
    const right = bareGatewayFor(t, url('first'))
    const wrong = bareGatewayFor(t, url('second'))
    const agent = createClient({ url: url('first') })
    await agent.connect()
    try {
      await eventually(() => right.gateway.redisReady, 'the right password')
      await agent.set(sessionAuth('s'), 'token')
      const client = await connect(`${right.ws}/agent/ws/s`, { token: 'token' })
      await agent.publish(sessionDown('s'), marker(1))
      assert.deepEqual(await client.take(1), [marker(1)])

      const attempts = () => wrong.log.filter(({ event }) => event === 'redis-lost').length
      await eventually(() => attempts() >= 6, 'several attempts')
      assert.equal(await status(`${wrong.http}/ready`), 503)
      assert.ok(!JSON.stringify(wrong.log).includes('second'), 'no password in the log')
      await agent.sendCommand(['CONFIG', 'SET', 'requirepass', 'second'])
      await eventually(async () => (await status(`${wrong.http}/ready`)) === 200, 'the password to be right')
    } finally {
      agent.destroy()
    }
  })
})
