import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { cooldown, eventsConfig, sessionAuth, sessionUp } from '../../../src/contract/names.ts'
import { Listeners } from '../../../src/platform/uws.ts'
import type { CheckContext, CheckedGateway, Launch, Verdict } from '../../../src/preflight/check.ts'
import { Loopback } from '../../../src/preflight/probes/loopback.ts'
import { PreflightRedis } from '../../../src/preflight/probes/redis.ts'
import { openStandalone } from '../../../src/preflight/probes/standalone.ts'
import { BUILT_IN, loadChecks } from '../../../src/preflight/registry.ts'
import type { RedisClient } from '../../../src/redis/client.ts'
import { SAY_CODE } from '../../../src/redis/session-say.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { keptLog } from '../../support/link.ts'
import { checkContext, FULL } from '../../support/preflight.ts'
import { type Client, realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import { atEnd, type Scope, scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const checks = new Map((await loadChecks([BUILT_IN])).map((check) => [check.name, check]))

/** Runs one check and returns its verdict. */
function ask(name: string, around: CheckContext, launch: Partial<Launch> = {}): Promise<Verdict> {
  const signal = AbortSignal.timeout(5000)
  // As the runner does: a check adds one listener for each command that it has under way.
  setMaxListeners(0, signal)
  return checks.get(name)!.execute({ ...FULL, ...launch }, signal, around)
}

/** The connections of a gateway to a Redis, as checks see them. */
async function reach(
  scope: Scope,
  url: string,
): Promise<{ redis: PreflightRedis; client: RedisClient; with: (env: Record<string, string>) => PreflightRedis }> {
  const { config } = loadConfig({ REDIS_URL: url })
  const metrics = new Metrics()
  const options = { ...config, url, afterTokenMs: 0 }
  const { client, access } = openStandalone(options, metrics, keptLog().log)
  atEnd(scope, () => {
    client.close()
    metrics.stop()
  })
  const redis = new PreflightRedis(access, config, url)
  const withSettings = (env: Record<string, string>) => new PreflightRedis(access, loadConfig(env).config, url)
  await eventually(() => client.ready, 'Redis')
  return { redis, client, with: withSettings }
}

describe('a check of Redis', () => {
  const suite = scopeOf(after)
  let server: TestRedis
  let agent: Client
  let reached: Awaited<ReturnType<typeof reach>>
  let around: CheckContext
  before(async () => {
    server = await redisFor(suite)
    agent = await server.client()
    reached = await reach(suite, server.url)
    around = { ...checkContext(), redis: reached.redis }
  })
  afterEach(() => agent.sendCommand(['FLUSHALL']))

  it('each check of a healthy Redis passes and leaves no key and no channel behind', async () => {
    for (const name of [
      'redis',
      'redis-pubsub',
      'token-store',
      'redis-commands',
      'redis-version',
      'keyspace-events',
      'clock-skew',
    ]) {
      const { status, message } = await ask(name, around)
      assert.equal(status, 'pass', `${name}: ${message}`)
    }
    assert.deepEqual(await agent.keys('*'), [])
    const left = async () => (await agent.sendCommand(['PUBSUB', 'CHANNELS', 'session:*'])) as unknown as string[]
    await eventually(async () => (await left()).length === 0, 'the channel to be left')
  })

  it('session-token: fails without a token, with a used one and with another type of key; names its lifetime', async () => {
    const launch = { sessionId: 's1' }
    assert.equal((await ask('session-token', around)).status, 'skipped')
    const absent = await ask('session-token', around, launch)
    assert.equal(absent.status, 'fail')
    assert.match(absent.remediation!, /wsproxy token create s1/)
    await agent.set(sessionAuth('s1'), 'secret-token', { expiration: { type: 'EX', value: 60 } })
    const there = await ask('session-token', around, launch)
    assert.equal(there.status, 'pass')
    assert.match(there.message, /for another (59\.\d|60) s/)
    assert.doesNotMatch(JSON.stringify(there), /secret-token/)
    await agent.persist(sessionAuth('s1'))
    assert.match((await ask('session-token', around, launch)).message, /never expires/)
    await agent.del(sessionAuth('s1'))
    await agent.hSet(sessionAuth('s1'), 'a', 'b')
    assert.match((await ask('session-token', around, launch)).message, /holds a hash/)
  })

  it('agent-connection: passes when an agent has subscribed to the upstream channel of the session', async () => {
    const launch = { sessionId: 's1' }
    assert.equal((await ask('agent-connection', around)).status, 'skipped')
    assert.equal((await ask('agent-connection', around, launch)).status, 'fail')
    const subscriber = await server.client()
    await subscriber.subscribe(sessionUp('s1'), () => {})
    assert.equal((await ask('agent-connection', around, launch)).status, 'pass')
    await subscriber.unsubscribe()
    assert.equal((await ask('agent-connection', around, { sessionId: 's2' })).status, 'fail')
  })

  it('cooldown: fails while the key exists and says when it ends', async () => {
    const launch = { eventType: 'mail', campaignId: 'c1' }
    assert.equal((await ask('cooldown', around, { eventType: 'mail' })).status, 'skipped')
    assert.equal((await ask('cooldown', around, launch)).status, 'pass')
    await agent.set(cooldown('mail', 'c1'), '1', { expiration: { type: 'EX', value: 90 } })
    const { status, message, details } = await ask('cooldown', around, launch)
    assert.equal(status, 'fail')
    assert.match(message, /again in (89|90) s, at 20/)
    assert.ok(Math.abs(Date.parse(String(details?.endsAt)) - Date.now() - 90_000) < 2000)
    assert.equal((await ask('cooldown', around, { ...launch, campaignId: 'c2' })).status, 'pass')
    await agent.persist(cooldown('mail', 'c1'))
    assert.match((await ask('cooldown', around, launch)).message, /its cooldown never ends/)
  })

  it('event-enabled: fails when the event type is switched off, and only then', async () => {
    const of = async (eventType: string) => (await ask('event-enabled', around, { eventType })).status
    assert.equal(await of('none'), 'skipped')
    assert.equal(await of('mail'), 'pass')
    for (const off of ['false', '0', 'False']) {
      await agent.hSet(eventsConfig(), 'mail', off)
      assert.equal(await of('mail'), 'fail', off)
    }
    for (const on of ['true', '1', '', 'no']) {
      await agent.hSet(eventsConfig(), 'mail', on)
      assert.equal(await of('mail'), 'pass', on)
    }
    await agent.hSet(eventsConfig(), 'sms', '0')
    assert.equal(await of('mail'), 'pass')
  })

  it('keyspace-events: warns without K or h, mentions the others, and says what to set', {
    skip: withoutRealRedis,
  }, async () => {
    await agent.configSet('notify-keyspace-events', 'Kh')
    const advice = await ask('keyspace-events', around)
    assert.equal(advice.status, 'pass')
    assert.match(advice.message, /lacks gxe: .*only DEL, EXPIRE, RENAME/)
    await agent.configSet('notify-keyspace-events', 'K')
    const { status, message, remediation } = await ask('keyspace-events', around)
    await agent.configSet('notify-keyspace-events', 'KEA')
    assert.equal(status, 'warn')
    assert.match(message, /lacks hgxe: runs are only read/)
    const flags = /notify-keyspace-events (\w+),/.exec(remediation!)![1]!
    assert.deepEqual(
      [...'Khgxe'].filter((flag) => !flags.includes(flag)),
      [],
    )
  })

  it('pubsub-buffer: warns when the buffer is smaller than a second of the expected traffic', {
    skip: withoutRealRedis,
  }, async () => {
    const limits = { maxConnections: 1, maxBufferBytes: 1024, expectedBytesPerSecond: 20 * 1024 ** 2 }
    const of = async () => (await ask('pubsub-buffer', { ...around, gateway: { limits } as CheckedGateway })).status
    const set = (value: string) => agent.configSet('client-output-buffer-limit', `pubsub ${value}`)
    for (const [value, expected] of [
      ['32mb 8mb 60', 'pass'],
      ['0 0 0', 'pass'],
      ['19mb 8mb 60', 'warn'],
      ['20mb 8mb 60', 'pass'],
    ] as const) {
      await set(value)
      assert.equal(await of(), expected, value)
    }
    limits.maxBufferBytes = 21 * 1024 ** 2
    assert.equal(await of(), 'warn', 'one socket may have more waiting')
    await set('32mb 8mb 60')
  })

  it('session-log: names the library, AOF, the policy and full memory, once agents use the library', {
    skip: withoutRealRedis,
  }, async () => {
    const of = (isProduction = false) =>
      ask('session-log', { ...around, gateway: { isProduction } as unknown as CheckedGateway })
    const absent = await of(true)
    assert.equal(absent.status, 'pass')
    assert.match(absent.message, /the library is not installed, AOF is off, maxmemory-policy is noeviction/)
    await agent.sendCommand(['FUNCTION', 'LOAD', SAY_CODE])
    assert.deepEqual([(await of()).status, (await of()).message.includes('the library is installed')], ['pass', true])
    const lost = await of(true)
    assert.equal(lost.status, 'warn')
    assert.match(lost.message, /a restart of Redis loses them/)
    assert.match(lost.remediation!, /appendonly yes/)
    const { used_memory: used } = Object.fromEntries(
      Array.from((await agent.info('memory')).matchAll(/^(\w+):(\d+)\r?$/gm), ([, name, value]) => [name, value]),
    )
    try {
      await agent.configSet('maxmemory', String(Number(used) * 10))
      await agent.configSet('maxmemory-policy', 'volatile-lru')
      assert.match((await of()).message, /may evict them \(volatile-lru\)/)
      await agent.configSet('maxmemory-policy', 'noeviction')
      assert.equal((await of()).status, 'pass')
      await agent.configSet('maxmemory', String(Math.ceil(Number(used) * 1.02)))
      assert.match((await of()).message, /90 % of maxmemory/)
    } finally {
      await agent.configSet('maxmemory', '0')
    }
    await agent.sendCommand(['FUNCTION', 'LOAD', 'REPLACE', `${SAY_CODE}\n`])
    const differs = await of()
    assert.match(`${differs.message} ${differs.remediation}`, /another version.*wsproxy redis install/)
    await agent.sendCommand(['FUNCTION', 'FLUSH'])
  })

  it('clock-skew: warns when the clock of Redis is ahead or behind', async () => {
    for (const [ahead, word] of [
      [5000, 'behind'],
      [-5000, 'ahead of'],
    ] as const) {
      const { status, message } = await ask('clock-skew', { ...around, now: () => Date.now() + ahead })
      assert.equal(status, 'warn')
      assert.match(message, new RegExp(`^the clock of Redis is (49|50)\\d\\d ms ${word} ours$`))
    }
  })

  it('redis-version: fails for a version that is too old', async () => {
    const of = async (info: string) =>
      (await ask('redis-version', checkContext({ redis: { everyNode: async () => [info] } }))).status
    assert.equal(await of('redis_version:5.0.14\r\n'), 'fail')
    assert.equal(await of('redis_version:6.0.0\r\n'), 'pass')
    assert.equal(await of('redis_version:7.2.4\r\nvalkey_version:8.1.0\r\n'), 'pass')
  })

  it('token-store: fails when a stored token is missing', async () => {
    const answers: Record<string, unknown> = { SET: 'OK', EVAL: -1, EXISTS: 0 }
    const of = () => ask('token-store', checkContext({ redis: { command: async ([verb]) => answers[verb!] } }))
    assert.match((await of()).message, /a stored token is missing/)
    Object.assign(answers, { EVAL: 1, EXISTS: 1 })
    assert.match((await of()).message, /a spent token still exists/)
  })
})

describe('a check of a Redis that lets us do little', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let admin: Client
  let server: TestRedis
  let reached: Awaited<ReturnType<typeof reach>>
  let around: CheckContext
  before(async () => {
    server = await realRedisFor(suite)
    admin = await server.client()
    const rules = [
      '~session:*',
      '&session:*',
      '&wsproxy:*',
      '+@all',
      '-config',
      '-info',
      '-xadd',
      '-time',
      '-pubsub|numsub',
    ]
    await admin.sendCommand(['ACL', 'SETUSER', 'small', 'on', '>pw', ...rules])
    reached = await reach(suite, server.url.replace('//', '//small:pw@'))
    around = { ...checkContext(), redis: reached.redis }
  })

  it('redis-commands: warns and names missing rights and their purpose, as long as sessions work', async () => {
    const { status, message, remediation } = await ask('redis-commands', around)
    assert.equal(status, 'warn')
    for (const missing of [
      'PUBSUB',
      'HGETALL on run ids',
      'TIME',
      'XADD on preflight:reports',
      'HGET on events:config',
      '{preflight:reports}:*',
      'XRANGE on {session:*:down}:log (numbered messages)',
    ])
      assert.ok(message.includes(missing), `${missing} in ${message}`)
    for (const there of ['EVALSHA', 'PUBLISH']) assert.ok(!message.includes(there), `${there} in ${message}`)
    assert.match(remediation!, /ACL SETUSER/)
    await admin.sendCommand(['ACL', 'SETUSER', 'small', '-evalsha'])
    const without = await ask('redis-commands', around)
    await admin.sendCommand(['ACL', 'SETUSER', 'small', '+evalsha'])
    assert.equal(without.status, 'fail')
    assert.match(without.message, /EVALSHA \(tokens\)/)
  })

  it('redis-commands: tests the commands that the settings need, and no others', async (t) => {
    const url = server.url.replace('//', '//none:pw@')
    await admin.sendCommand(['ACL', 'SETUSER', 'none', 'on', '>pw', '+hello', '+ping', '+client'])
    const none = await reach(t, url)
    const missing = async (env: Record<string, string>) => {
      const off = { REDIS_CANARY_INTERVAL: '0', SESSION_FLOW_SIGNAL: 'false', RESUME_TICKET_TTL: '0' }
      const redis = none.with({ ...off, SESSION_UPSTREAM: 'false', ...env })
      return (await ask('redis-commands', { ...checkContext(), redis })).message
    }
    const least = await missing({})
    for (const each of ['PUBLISH to wsproxy:live:* (the live bus)', 'INFO (the reason of a gap)'])
      assert.ok(least.includes(each), `${each} in ${least}`)
    for (const [env, what] of [
      [
        { SESSION_FLOW_SIGNAL: 'true' },
        ['SET on session:*:flow', 'EVAL on session:*:flow', 'PUBLISH to session:*:ctl'],
      ],
      [{ REDIS_CANARY_INTERVAL: '1s' }, ['PUBLISH to wsproxy:canary:* (the canary)']],
      [{ RUN_AUTH: 'bearer' }, ['EVAL on run:*:auth (run tokens)']],
      [{ RESUME_TICKET_TTL: '15m' }, ['HMGET on wsproxy:ticket-secret (resume tickets)', 'on wsproxy:revoked']],
      [{ SESSION_UPSTREAM: 'true' }, ['EVAL on {session:*:up}:posted:* (frames posted with an Idempotency-Key)']],
      [{ STREAM_APPEND: 'true' }, ['the script of streams on {session:*:down}:log']],
      [{ OUTBOX_TOPICS: 'tasks,notes.*' }, ['XADD on {live:tasks}:outbox', 'XDEL on {live:notes.*}:outbox']],
      [{ REDIS_SENTINELS: '127.0.0.1:1' }, ['ROLE (refusing a demoted master)']],
      [{ REDIS_SHARDED_PUBSUB: 'true', REDIS_CLUSTER_NODES: '127.0.0.1:1' }, ['SPUBLISH to session:*:up']],
    ] as [Record<string, string>, string[]][]) {
      const message = await missing(env)
      for (const each of what) {
        assert.ok(message.includes(each), `${each} in ${message}`)
        assert.ok(!least.includes(each), `${each} not in ${least}`)
      }
    }
  })

  it('redis-commands: finds each command that streams and the outbox lack', async (t) => {
    const url = server.url.replace('//', '//http:pw@')
    const env = { STREAM_APPEND: 'true', OUTBOX_TOPICS: 'tasks,notes.*' }
    const settings = ({ with: given }: Awaited<ReturnType<typeof reach>>) => given(env)
    await admin.sendCommand(['ACL', 'SETUSER', 'http', 'on', '>pw', '~*', '&*', '+@all'])
    const redis = settings(await reach(t, url))
    const message = async () => (await ask('redis-commands', { ...checkContext(), redis })).message
    assert.match(await message(), /allows every command/)
    for (const [command, what] of [
      ['append', 'posted:*'],
      ['hincrby', 'the script of streams'],
      ['pexpireat', 'the script of streams'],
      ['xtrim', 'the script of streams'],
      ['incr', '{live:notes.*}:count:*'],
      ['xdel', 'XDEL on {live:tasks}:outbox'],
    ] as const) {
      await admin.sendCommand(['ACL', 'SETUSER', 'http', `-${command}`])
      const refused = await message()
      assert.ok(refused.includes(what), `${command}: ${what} in ${refused}`)
      await admin.sendCommand(['ACL', 'SETUSER', 'http', `+${command}`])
    }
    assert.match(await message(), /allows every command/)
    assert.deepEqual(await admin.sendCommand(['KEYS', '*posted*']), [])
    assert.deepEqual(await admin.sendCommand(['KEYS', '*preflight*']), [])
    assert.deepEqual(await admin.sendCommand(['KEYS', '{live:*']), [])
  })

  it('keyspace-events, pubsub-buffer, redis-version, session-log: warn when the server forbids the question', async () => {
    for (const name of ['keyspace-events', 'pubsub-buffer', 'redis-version', 'session-log']) {
      assert.equal((await ask(name, around)).status, 'warn', name)
    }
  })

  it('redis-pubsub, token-store: pass with the rights that sessions need', async () => {
    for (const name of ['redis-pubsub', 'token-store']) assert.equal((await ask(name, around)).status, 'pass', name)
  })

  it('the address in check messages contains no credentials', () => {
    assert.equal(reached.redis.address, server.url)
  })
})

describe('a check of a Redis that is away', { skip: withoutRealRedis }, () => {
  it('redis, redis-pubsub: fail at once without Redis and say what to do', async (t) => {
    const server = await realRedisFor(t)
    const reached = await reach(t, server.url)
    await server.kill()
    await eventually(() => !reached.client.ready, 'the loss')
    const around = { ...checkContext(), redis: reached.redis }
    for (const name of ['redis', 'redis-pubsub']) {
      const { status, remediation } = await ask(name, around)
      assert.equal(status, 'fail')
      assert.ok(remediation)
    }
  })
})

describe('a check of this machine', () => {
  const gateway = (rest: Partial<CheckedGateway>) => checkContext({ gateway: rest })

  it('native-binary: passes where this test runs', async () => {
    assert.equal((await ask('native-binary', checkContext())).status, 'pass')
  })

  it('exposure: warns in production of what is open to anybody', async () => {
    const of = (isProduction: boolean, exposure?: string) => ask('exposure', gateway({ isProduction, exposure }))
    const warned = await of(true, 'open to anybody: the run door (RUN_AUTH=bearer closes it)')
    assert.deepEqual([warned.status, warned.message.includes('RUN_AUTH=bearer')], ['warn', true])
    assert.equal((await of(false, 'open to anybody: the run door')).status, 'pass')
    assert.equal((await of(true)).status, 'pass')
  })

  it('jwks: warns when the keys cannot be fetched, and of a clock that differs', async () => {
    const of = async (state: Awaited<ReturnType<CheckedGateway['keySet']>>) =>
      ask('jwks', gateway({ keySet: async () => state }))
    const known = { isAway: false, reason: undefined, skewMs: 900 }
    assert.deepEqual([(await of(undefined)).status, (await of(known)).status], ['skipped', 'pass'])
    const away = await of({ isAway: true, reason: 'it answers 500', skewMs: undefined })
    assert.deepEqual([away.status, away.message], ['warn', 'AUTH_JWKS_URL gives no keys: it answers 500'])
    const [ahead, behind] = [await of({ ...known, skewMs: 61_000 }), await of({ ...known, skewMs: -61_000 })]
    assert.deepEqual([ahead.status, behind.status], ['warn', 'warn'])
    assert.match(ahead.message, /61 s ahead of ours/)
    assert.match(behind.message, /61 s behind ours/)
  })

  it('jwt-audience: warns of a JWKS without an audience', async () => {
    const of = async (jwts: CheckedGateway['jwts']) => (await ask('jwt-audience', gateway({ jwts }))).status
    assert.deepEqual([await of('off'), await of('bound'), await of('unbound')], ['skipped', 'pass', 'warn'])
    assert.match((await ask('jwt-audience', gateway({ jwts: 'unbound' }))).remediation!, /AUTH_JWT_AUDIENCE/)
  })

  it('weak-secrets: warns of secrets of logins that production would refuse', async () => {
    const of = (weakSecrets: string[]) => ask('weak-secrets', gateway({ weakSecrets }))
    assert.equal((await of([])).status, 'pass')
    const warned = await of(['DEFAULT_ADMIN_PASSWORD'])
    assert.deepEqual([warned.status, warned.message.includes('DEFAULT_ADMIN_PASSWORD')], ['warn', true])
  })

  it('open-files: fails in production, else warns, when the limit is below MAX_CONNECTIONS', async () => {
    const limits = { maxConnections: 1000, maxBufferBytes: 1, maxBufferedBytes: 1, expectedBytesPerSecond: 1 }
    const of = (limit: number | undefined, isProduction = true) =>
      ask('open-files', gateway({ limits, isProduction, openFiles: () => limit }))
    assert.equal((await of(1024)).status, 'fail')
    assert.equal((await of(1024, false)).status, 'warn')
    assert.match((await of(1024)).remediation!, /MAX_CONNECTIONS=960\./)
    assert.equal((await of(1064)).status, 'pass')
    assert.equal((await of(undefined)).status, 'skipped')
    const relayed = await ask('open-files', gateway({ limits, openFiles: () => 1064, filesPerSocket: 3 }))
    assert.match(relayed.remediation!, /ulimit -n 3064,.* MAX_CONNECTIONS=333\./)
  })

  it('buffer-budget: names both sizes, warns from half of the memory, fails in production at all of it', async () => {
    const MIB = 1024 ** 2
    const of = (budgetMib: number, isProduction = true) => {
      const limits = {
        maxConnections: 1,
        maxBufferBytes: 1,
        maxBufferedBytes: budgetMib * MIB,
        expectedBytesPerSecond: 1,
      }
      const memory = () => ({ usedBytes: 0, limitBytes: 512 * MIB })
      return ask('buffer-budget', gateway({ limits, isProduction, memory }))
    }
    const { status, message } = await of(128)
    assert.equal(status, 'pass')
    assert.equal(message, 'MAX_BUFFERED_BYTES is 128 MiB, and the memory of this process 512 MiB')
    assert.equal((await of(256)).status, 'pass')
    assert.equal((await of(257)).status, 'warn')
    assert.equal((await of(512, false)).status, 'warn')
    const failed = await of(512)
    assert.equal(failed.status, 'fail')
    assert.match(failed.remediation!, /MAX_BUFFERED_BYTES=128MiB/)
  })

  it('client-address: warns of a proxy that TRUST_PROXY does not name', async () => {
    const of = (...proxies: string[]) => ask('client-address', gateway({ unknownProxies: () => proxies }))
    assert.equal((await of()).status, 'pass')
    const warned = await of('10.0.0.9', '10.0.0.10')
    assert.equal(warned.status, 'warn')
    assert.match(warned.message, /proxy at 10\.0\.0\.9 and 1 more, and TRUST_PROXY=none/)
    assert.match(warned.remediation!, /TRUST_PROXY_CIDR .*10\.0\.0\.9/)
  })

  it('capacity: warns from 75 % and fails from 90 % of sockets or of memory', async () => {
    const limits = { maxConnections: 100, maxBufferBytes: 1, maxBufferedBytes: 1, expectedBytesPerSecond: 1 }
    const of = async (sockets: number, usedBytes: number) =>
      (
        await ask(
          'capacity',
          gateway({ limits, sockets: () => sockets, memory: () => ({ usedBytes, limitBytes: 1000 }) }),
        )
      ).status
    assert.equal(await of(74, 749), 'pass')
    assert.equal(await of(75, 0), 'warn')
    assert.equal(await of(0, 750), 'warn')
    assert.equal(await of(90, 0), 'fail')
    assert.equal(await of(0, 900), 'fail')
  })

  it('websocket: passes for a real upgrade, and fails when nothing listens', async () => {
    const listeners = new Listeners()
    const app = listeners.app()
    const loopback = new Loopback(loadConfig({ LISTEN_ADDR: '127.0.0.1:0' }).config)
    loopback.mount(app)
    const around = gateway({ upgrade: (signal) => loopback.upgrade(signal) })
    assert.match((await ask('websocket', around)).message, /nothing listens yet/)
    const port = listeners.listen(app, '127.0.0.1', 0)
    loopback.listening(port)
    assert.equal((await ask('websocket', around)).status, 'pass')
    const stranger = new Loopback(loadConfig({ LISTEN_ADDR: '127.0.0.1:0' }).config)
    stranger.listening(port)
    await assert.rejects(stranger.upgrade(AbortSignal.timeout(5000)), /it answered 404/)
    listeners.close()
    listeners.stop()
    const gone = await ask('websocket', around)
    assert.equal(gone.status, 'fail')
    assert.match(gone.message, /ECONNREFUSED/)
  })
})

describe('the check http-dependencies', () => {
  const suite = scopeOf(after)
  let server: Server
  let base: string
  before(async () => {
    server = createServer((request, response) => {
      if (request.url === '/hang') return
      response.statusCode = Number(request.url!.slice(1, 4))
      response.end('a body that nobody reads')
    })
    atEnd(suite, () => {
      server.closeAllConnections()
      server.close()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  const of = (...paths: string[]) =>
    ask('http-dependencies', checkContext({ gateway: { httpDependencies: paths.map((path) => base + path) } }))

  it('http-dependencies: passes when all statuses are below 400, and is skipped without addresses', async () => {
    assert.equal((await of('/200', '/204', '/302', '/399')).status, 'pass')
    assert.equal((await of()).status, 'skipped')
  })

  it('http-dependencies: names each failing address without its query', async () => {
    const { status, message } = await of('/200', '/404?key=secret', '/503')
    assert.equal(status, 'fail')
    assert.equal(message, `${base}/404 answers 404; ${base}/503 answers 503`)
  })

  it('http-dependencies: names addresses that cannot be reached or do not answer in time', async () => {
    const around = checkContext({ gateway: { httpDependencies: ['http://127.0.0.1:1/x', `${base}/hang`] } })
    const { message } = await checks.get('http-dependencies')!.execute(FULL, AbortSignal.timeout(100), around)
    assert.match(message, /127\.0\.0\.1:1\/x: .*(ECONNREFUSED|bad port)/)
    assert.match(message, /\/hang: no answer in time/)
  })
})
