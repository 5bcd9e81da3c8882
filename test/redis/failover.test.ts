import assert from 'node:assert/strict'
import dns from 'node:dns'
import { afterEach, describe, it, mock } from 'node:test'
import { sessionUp } from '../../src/contract/names.ts'
import { bareGatewayFor } from '../support/bare.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { joinNumbered } from '../support/numbered.ts'
import { proxyFor } from '../support/proxy.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

/**
 * A fail-over is over for clients after this time, from the moment when the address leads to it.
 */
const REMADE_MS = 2000
const ENV = { SESSION_RATE: '0' }
/** A user that may do all that a gateway needs, but not ask for the role of the server. */
const NO_ROLE = ['--user', 'quiet', 'on', '>secret', '~*', '&*', '+@all', '-role', '-info']

const gaps = (client: TestClient) => client.values.filter(({ command }) => command === 'gap')
const errors = (client: TestClient, code: string) => client.values.filter((each) => each.code === code).length

/** Two servers, of which the second follows the first. */
interface Pair {
  readonly servers: readonly [RealRedis, RealRedis]
  readonly clients: readonly [Client, Client]
}

describe('a fail-over behind one address', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)
  afterEach(() => mock.restoreAll())

  async function pair(args: readonly string[] = []): Promise<Pair> {
    const fast = ['--repl-diskless-sync-delay', '0', ...args]
    const servers = [await realRedisFor(each, fast), await realRedisFor(each, fast)] as const
    const clients = [await servers[0].client(), await servers[1].client()] as const
    await follow(clients[1], servers[0])
    return { servers, clients }
  }

  async function follow(replica: Client, { port }: { port: number }, host = '127.0.0.1'): Promise<void> {
    await replica.sendCommand(['REPLICAOF', host, String(port)])
    await eventually(async () => (await replica.info('replication')).includes('master_link_status:up'), 'the replica')
  }

  /**
   * The second server becomes the master, and the first one its replica, which keeps its clients.
   */
  async function promote({ servers, clients }: Pair): Promise<void> {
    await clients[1].sendCommand(['REPLICAOF', 'NO', 'ONE'])
    await follow(clients[0], servers[1])
  }

  function gatewayAt(url: string, server: RealRedis): Promise<TestGateway> {
    return gatewayFor(each, { redis: { ...server, url, client: () => server.client() }, env: ENV })
  }

  /** A new session, whose token is on the new master. */
  async function joinAt(gateway: TestGateway, agent: Client, session: string): Promise<TestClient> {
    await agent.set(`session:${session}:auth`, 'token', { expiration: { type: 'EX', value: 60 } })
    return connect(gateway.sessionUrl(session), { token: 'token' })
  }

  async function hear(agent: Client, session: string): Promise<number[]> {
    const heard: number[] = []
    const ear = agent.duplicate()
    ear.on('error', () => {})
    await ear.connect()
    atEnd(each, () => ear.destroy())
    await ear.subscribe(sessionUp(session), (frame) => heard.push(JSON.parse(frame).n))
    return heard
  }

  it('remakes both links within two seconds of the switch, with one gap from before it', async () => {
    const made = await pair()
    const [first, second] = made.servers
    const proxy = await proxyFor(each, first.port)
    const gateway = await gatewayAt(`redis://127.0.0.1:${proxy.port}`, first)
    const client = await gateway.join('s1')
    const promotedAt = Date.now()
    await promote(made)
    proxy.switchTo(second.port)
    const switchedAt = performance.now()
    await eventually(() => gaps(client).length > 0, 'the gap')
    assert.ok(performance.now() - switchedAt < REMADE_MS, 'the links were remade in time')
    const heard = await hear(made.clients[1], 's1')
    client.send({ n: 1 })
    await eventually(() => heard.includes(1), 'a frame at the new master')
    const late = await joinAt(gateway, made.clients[1], 's2')
    await made.clients[1].publish('session:s2:down', '{"n":2}')
    await late.find({ n: 2 })
    assert.equal(gaps(client).length, 1)
    assert.ok(Date.parse(String(gaps(client)[0]!.from)) <= promotedAt, 'the gap begins before the promotion')
    assert.equal(await gateway.metric('wsproxy_gaps_total', { reason: 'redis_moved' }), 1)
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total', { link: 'commands' }), 1)
    assert.equal(await gateway.metric('wsproxy_redis_reconnects_total', { link: 'subscriber' }), 1)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })

  it('delivers each frame of a fail-over once or reports it as uncertain', async () => {
    const made = await pair()
    const [first, second] = made.servers
    const proxy = await proxyFor(each, first.port)
    const gateway = await gatewayAt(`redis://127.0.0.1:${proxy.port}`, first)
    const client = await gateway.join('s1')
    const heard = [await hear(made.clients[0], 's1'), await hear(made.clients[1], 's1')] as const
    let sent = 0
    const timer = setInterval(() => client.send({ n: sent++ }), 5)
    await eventually(() => heard[0].length > 20, 'frames at the old master')
    await promote(made)
    proxy.switchTo(second.port)
    await eventually(() => gaps(client).length > 0, 'the gap')
    const before = sent
    await eventually(() => heard[1].some((n) => n >= before), 'frames at the new master')
    clearInterval(timer)
    await eventually(() => heard[1].includes(sent - 1), 'the last frame')
    // Messages that are published on the old master go to its own subscribers only.
    const all = [...new Set([...heard[0], ...heard[1]])]
    const news = new Set(heard[1])
    const told = errors(client, 'upstream-uncertain')
    const onlyOld = heard[0].filter((n) => !news.has(n))
    assert.equal(news.size, heard[1].length, 'no frame was published twice')
    assert.deepEqual(
      heard[1],
      heard[1].toSorted((a, b) => a - b),
    )
    assert.ok(told > 0, 'the frames that the old master took as a replica are reported')
    assert.ok(told + all.length >= sent, `${sent} sent, ${all.length} heard, ${told} uncertain`)
    assert.ok(onlyOld.length > 0)
  })

  it('answers a numbered frame once: acknowledged with its receivers, or uncertain', async () => {
    const made = await pair()
    const [first, second] = made.servers
    const proxy = await proxyFor(each, first.port)
    const gateway = await gatewayAt(`redis://127.0.0.1:${proxy.port}`, first)
    const client = await joinNumbered(gateway, 's1')
    const heard = [await hear(made.clients[0], 's1'), await hear(made.clients[1], 's1')] as const
    const acks = () => client.values.filter(({ command }) => command === 'ack')
    let sent = 0
    const timer = setInterval(() => client.send(`${++sent} {"n":${sent}}`), 5)
    await eventually(() => heard[0].length > 20, 'frames at the old master')
    await promote(made)
    proxy.switchTo(second.port)
    await eventually(() => heard[1].length > 20, 'frames at the new master')
    clearInterval(timer)
    await eventually(() => acks().length >= sent, 'an answer to each frame')
    assert.deepEqual(
      acks().map(({ n }) => n),
      Array.from({ length: sent }, (_, i) => i + 1),
      'each frame is answered once',
    )
    assert.equal(errors(client, 'upstream-uncertain'), 0, 'and nothing else is said about it')
    const all = new Set([...heard[0], ...heard[1]])
    for (const { n, receivers } of acks()) if (Number(receivers) > 0) assert.ok(all.has(Number(n)), `${n} was heard`)
  })

  it('follows a READONLY reply when the user of Redis may not ask for the role', async () => {
    const made = await pair(NO_ROLE)
    const [first, second] = made.servers
    const proxy = await proxyFor(each, first.port)
    const gateway = await gatewayAt(`redis://quiet:secret@127.0.0.1:${proxy.port}`, first)
    const client = await gateway.join('s1')
    await promote(made)
    proxy.switchTo(second.port)
    await made.clients[1].set('session:s2:auth', 'token')
    await made.clients[1].set('session:s3:auth', 'token')
    await eventually(async () => (await made.clients[0].get('session:s2:auth')) === 'token', 'replication')
    const refusal = await refused(gateway.sessionUrl('s2'), { token: 'token' })
    assert.equal(refusal.status, 503)
    assert.equal(refusal.code, 'redis-unavailable')
    assert.ok(Number(refusal.headers['retry-after']) > 0)
    await eventually(() => gateway.gateway.redisReady && gaps(client).length === 1, 'both links at the new master')
    await joinAt(gateway, made.clients[1], 's3')
    const heard = await hear(made.clients[1], 's1')
    client.send({ n: 1 })
    await eventually(() => heard.includes(1), 'a frame at the new master')
  })

  it('is not ready while its address leads to a replica, says so, and is ready once that is promoted', async () => {
    const made = await pair()
    const [, second] = made.servers
    const gateway = await bareGatewayFor(each, second.url)
    await eventually(() => gateway.log.some(({ event }) => event === 'redis-lost'), 'the first attempt')
    const { reason } = gateway.log.find(({ event }) => event === 'redis-lost')!
    assert.match(String(reason), /the server is a replica, not the master/)
    assert.equal(gateway.gateway.redisReady, false)
    await made.clients[1].sendCommand(['REPLICAOF', 'NO', 'ONE'])
    await eventually(() => gateway.gateway.redisReady, 'the promoted server')
  })

  it('resolves the name of the server again at each attempt', async () => {
    const old = await realRedisFor(each)
    await realRedisFor(each, ['--bind', '127.0.0.2'], old.port)
    const next = (await old.client()).duplicate({ url: `redis://127.0.0.2:${old.port}` })
    await next.connect()
    atEnd(each, () => next.destroy())
    let address = '127.0.0.1'
    const lookup = dns.lookup
    mock.method(dns, 'lookup', ((name: string, options: object, done: (...answer: unknown[]) => void) => {
      if (name !== 'redis.example') return lookup(name, options, done as never)
      process.nextTick(done, null, [{ address, family: 4 }])
    }) as never)
    const gateway = await gatewayAt(`redis://redis.example:${old.port}`, old)
    const client = await gateway.join('s1')
    address = '127.0.0.2'
    await follow(gateway.agent, old, '127.0.0.2')
    await eventually(() => gaps(client).length === 1, 'the gap')
    await next.publish('session:s1:down', '{"n":1}')
    await client.find({ n: 1 })
  })
})
