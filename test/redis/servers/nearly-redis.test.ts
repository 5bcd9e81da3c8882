import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sessionDown, sessionUp } from '../../../src/contract/names.ts'
import { bareGatewayFor } from '../../support/bare.ts'
import { Command, run } from '../../support/cli.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live } from '../../support/live.ts'
import { nearlyRedisFor } from '../../support/nearly-redis.ts'
import { freePorts } from '../../support/ports.ts'
import { type Client, PATIENT, type RealRedis, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { createClient } from '../../support/redis-client.ts'
import { atEnd, type Scope } from '../../support/scope.ts'
import { AMPLE_CHECK_TIMEOUT, eventually } from '../../support/wait.ts'

/** Renames commands to nothing: the server then does not know them. */
const without = (...commands: readonly string[]) => commands.flatMap((each) => ['--rename-command', each, ''])

/** A server whose clients speak RESP2: node-redis does not connect without HELLO otherwise. */
async function serverFor(t: Scope, args: readonly string[] = [], port?: number): Promise<RealRedis> {
  const server = await realRedisFor(t, args, port)
  const client = async () => {
    const made = createClient({ url: server.url, RESP: 2, disableClientInfo: true, commandOptions: PATIENT })
    made.on('error', () => {})
    atEnd(t, () => made.isOpen && made.destroy())
    await made.connect()
    return made as unknown as Client
  }
  return Object.assign(Object.create(server), { client, kill: server.kill, restart: server.restart, stop: server.stop })
}

/** A session both ways, and another one beside it. */
async function assertServes(gateway: TestGateway): Promise<void> {
  const { agent } = gateway
  const heard: string[] = []
  const ear = await gateway.redis.client()
  await ear.subscribe(sessionUp('s1'), (message) => void heard.push(message))
  const [one, other] = [await gateway.join('s1'), await gateway.join('s2')]
  one.send({ n: 1 })
  await eventually(() => heard.some((each) => each.includes('"n":1')), 'the client frame')
  for (let n = 0; n < 50; n++) await agent.publish(sessionDown('s1'), `{"message":${n}}`)
  await agent.publish(sessionDown('s2'), '{"down":2}')
  await other.find({ down: 2 })
  await one.find({ message: 49 })
  assert.deepEqual(
    one.values.flatMap(({ message }) => message ?? []),
    Array.from({ length: 50 }, (_, n) => n),
  )
  await one.close()
  await other.close()
  assert.equal(await gateway.metric('wsproxy_redis_up'), 1)
  ear.destroy()
}

const lines = (gateway: TestGateway, event: string) => gateway.log.filter((line) => line.event === event)

/** A gateway whose Redis is `server`, reached at the port of `before`. */
const through = async (t: Scope, server: RealRedis, before: { port: number }, env: Record<string, string> = {}) =>
  gatewayFor(t, {
    redis: { url: `redis://127.0.0.1:${before.port}`, port: server.port, client: server.client, stop: server.stop },
    env: { REDIS_CANARY_INTERVAL: '100ms', ...env },
  })

const SYNTAX = `ERR Syntax error in HELLO option 'SETNAME'`

describe('a server that is nearly Redis', { skip: withoutRealRedis }, () => {
  it('is served over RESP2 where it knows no HELLO, and one line names command, need and version', async (t) => {
    const redis = await serverFor(t, without('HELLO'))
    const gateway = await gatewayFor(t, { redis, env: { REDIS_CANARY_INTERVAL: '100ms' } })
    await assertServes(gateway)
    await eventually(async () => (await gateway.metric('wsproxy_redis_canary_seconds_count')) > 2, 'canaries')
    const said = lines(gateway, 'redis-lacks')
    assert.equal(said.length, 1)
    assert.match(String(said[0]!.msg), /^Redis \d+\.\d+\.\d+ refuses HELLO: .*RESP2/)
    assert.deepEqual(lines(gateway, 'redis-lost'), [])
  })

  it('is served again over RESP2 after an outage, with the same line once', async (t) => {
    const redis = await serverFor(t, without('HELLO'))
    const gateway = await gatewayFor(t, { redis })
    const client = await gateway.join('s1')
    await redis.restart()
    await client.find({ type: 'control', command: 'gap' })
    await gateway.agent.publish(sessionDown('s1'), '{"n":1}')
    await client.find({ n: 1 })
    assert.equal(lines(gateway, 'redis-lacks').length, 1)
  })

  it('gets the password by AUTH, with and without a user, in RESP2', async (t) => {
    const redis = await serverFor(t, without('HELLO'))
    const admin = await redis.client()
    await admin.sendCommand(['ACL', 'SETUSER', 'named', 'on', '>p-of-named', '+@all', 'allkeys', 'allchannels'])
    for (const [login, user] of [
      ['named:p-of-named', 'named'],
      [':needless', 'default'],
    ]) {
      const gateway = await gatewayFor(t, {
        redis: {
          url: `redis://${login}@127.0.0.1:${redis.port}/`,
          port: redis.port,
          client: redis.client,
          stop: redis.stop,
        },
      })
      const list = String(await admin.sendCommand(['CLIENT', 'LIST']))
      assert.match(list, new RegExp(`name=wsproxy-commands .* user=${user} `))
      await gateway.stop()
    }
  })

  for (const [what, refuse] of [
    [
      'a name within HELLO',
      (text: string) => (text.startsWith('HELLO') && text.includes('SETNAME') ? SYNTAX : undefined),
    ],
    ['a name and CLIENT', (text: string) => (text.includes('SETNAME') ? SYNTAX : undefined)],
  ] as const) {
    it(`is served over RESP3 and without a name where it refuses ${what}`, async (t) => {
      const redis = await serverFor(t)
      const gateway = await through(t, redis, await nearlyRedisFor(t, redis.port, { refuse }))
      await assertServes(gateway)
      assert.deepEqual(lines(gateway, 'redis-lacks'), [])
    })
  }

  for (const text of [
    `ERR unknown command 'HELLO'`,
    `ERR unsupported command 'hello'`,
    'NOPROTO unsupported protocol version',
    `NOPERM this user has no permissions to run the 'hello' command`,
    'invalid request',
  ]) {
    it(`is served where it answers HELLO with "${text}"`, async (t) => {
      const redis = await serverFor(t)
      const refuse = (command: string) => (command.startsWith('HELLO') ? text : undefined)
      await assertServes(await through(t, redis, await nearlyRedisFor(t, redis.port, { refuse })))
    })
  }

  it('is served where it sends the pushes of RESP3 as plain arrays', async (t) => {
    const redis = await serverFor(t)
    const gateway = await through(t, redis, await nearlyRedisFor(t, redis.port, { plainPushes: true }))
    await assertServes(gateway)
    assert.deepEqual(lines(gateway, 'redis-lost'), [])
  })

  for (const commands of [['EVALSHA'], ['CONFIG', 'INFO', 'ROLE', 'CLIENT'], ['HELLO', 'CONFIG', 'INFO', 'CLIENT']]) {
    it(`is served where it does not know ${commands.join(', ')}`, async (t) => {
      const redis = await serverFor(t, without(...commands))
      const gateway = await gatewayFor(t, { redis })
      await assertServes(gateway)
      assert.deepEqual(lines(gateway, 'redis-lost'), [])
    })
  }

  it('without EVAL is named in one line with the need and the version', async (t) => {
    const redis = await serverFor(t, without('EVAL', 'EVALSHA'))
    const gateway = await gatewayFor(t, { redis })
    await eventually(() => lines(gateway, 'redis-lacks').length > 0, 'the line')
    const [said, ...others] = lines(gateway, 'redis-lacks')
    assert.match(String(said!.msg), /^Redis \d\S+ refuses EVAL: it compares tokens/)
    assert.deepEqual(others, [])
  })

  it('without PSUBSCRIBE is served, and named in one line at the start', async (t) => {
    const redis = await serverFor(t, without('PSUBSCRIBE'))
    const gateway = await gatewayFor(t, { redis })
    await assertServes(gateway)
    await eventually(() => lines(gateway, 'redis-lacks').length > 0, 'the line')
    const [said, ...others] = lines(gateway, 'redis-lacks')
    assert.match(String(said!.msg), /^Redis \d\S+ refuses PSUBSCRIBE: the live door does not hear agents/)
    assert.deepEqual(others, [])
  })

  it('without SSUBSCRIBE and SPUBLISH is named at the start of a gateway that has to use them', async (t) => {
    const [port, bus] = await freePorts(2)
    const args = ['--cluster-enabled', 'yes', '--cluster-port', String(bus), ...without('SSUBSCRIBE', 'SPUBLISH')]
    const redis = await serverFor(t, args, port)
    const client = await redis.client()
    for (const words of [['ADDSLOTSRANGE', '0', '16383'], ['BUMPEPOCH']])
      await client.sendCommand(['CLUSTER', ...words])
    const nodes = { REDIS_CLUSTER_NODES: `127.0.0.1:${redis.port}` }
    const needs = bareGatewayFor(t, redis.url, { ...nodes, REDIS_SHARDED_PUBSUB: 'true' })
    const said = () => needs.log.filter(({ event }) => event === 'redis-lacks').map(({ command }) => command)
    await eventually(() => said().length === 2, 'both lines')
    assert.deepEqual(said(), ['SSUBSCRIBE', 'SPUBLISH'])
    const plain = bareGatewayFor(t, redis.url, nodes)
    await eventually(() => plain.gateway.redisReady, 'the gateway to reach the cluster')
    assert.ok(!plain.log.some(({ event }) => event === 'redis-lacks'))
  })

  for (const error of [
    `ERR unknown command 'PSUBSCRIBE'`,
    `NOPERM this user has no permissions to run the 'psubscribe' command`,
  ]) {
    it(`is served where it answers PSUBSCRIBE with "${error}", and the log names the command`, async (t) => {
      const redis = await serverFor(t)
      const refuse = (command: string) => (command.startsWith('PSUBSCRIBE') ? error : undefined)
      const gateway = await through(t, redis, await nearlyRedisFor(t, redis.port, { refuse }), { LIVE_TOPICS: 'news' })
      const watcher = await live(gateway, '/live?subscriptions=agents,news')
      await gateway.agent.publish('live:news', '{"n":1}')
      await watcher.find({ type: 'news_update' })
      await assertServes(gateway)
      const [said] = lines(gateway, 'redis-forbids')
      assert.equal(said!.channel, 'agent_events:*')
      assert.match(JSON.stringify(said!.err), /psubscribe/i)
      assert.equal(watcher.code, undefined)
      assert.deepEqual(lines(gateway, 'redis-lost'), [])
      assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
    })
  }

  it('is named with HELLO in the log where it closes the connection instead of an answer', async (t) => {
    const redis = await serverFor(t)
    const hangUp = (command: string) => command.startsWith('HELLO')
    const proxy = await nearlyRedisFor(t, redis.port, { hangUp })
    const { gateway, log } = bareGatewayFor(t, `redis://127.0.0.1:${proxy.port}`)
    const lost = () => log.find(({ event }) => event === 'redis-lost')
    await eventually(lost, 'the line')
    assert.match(String(lost()!.reason), /^the connection was closed before the answer to HELLO.*TLS/)
    assert.equal(gateway.redisReady, false)
  })

  it('shows no part of a long password that it repeats, neither in the log nor in a command', async (t) => {
    const password = `Zx7${'secret-token-of-an-hour-'.repeat(40)}`
    const redis = await serverFor(t, ['--requirepass', password, ...without('HELLO', 'AUTH')])
    const env = {
      REDIS_URL: `redis://:${password}@127.0.0.1:${redis.port}`,
      LISTEN_ADDR: '127.0.0.1:0',
      PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT,
    }
    const serve = new Command(['serve'], { env })
    await serve.prints(/"event":"redis-lost"/)
    serve.signal('SIGTERM')
    await serve.exited
    const others = [await run(['doctor'], { env }), await run(['token', 'create', 's1'], { env })]
    for (const { stdout, stderr } of [serve, ...others]) assert.doesNotMatch(stdout + stderr, /Zx7|secret-token/)
  })
})
