import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { missingFlags } from '../../../src/redis/servers/keyspace.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { type Client, type RealRedis, realRedisFor, type TestRedis, withoutRealRedis } from '../../support/redis.ts'
import { frameOf, untilShown, watchRun } from '../../support/runs.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

/** What the run door lives on, in the order in which it is asked for. */
const ALL = 'Khgxe'

describe('the flags of notify-keyspace-events', () => {
  const flags: Record<string, string> = {
    '': ALL,
    KEA: '',
    AK: '',
    AE: 'K',
    A: 'K',
    K: 'hgxe',
    Khgxe: '',
    gxeKh: '',
    K$h: 'gxe',
    Elg: 'Khxe',
    Kmn: 'hgxe',
  }
  for (const [given, missing] of Object.entries(flags)) {
    it(`finds that the keyspace flags "${given}" lack "${missing}"`, () => assert.equal(missingFlags(given), missing))
  }
})

describe('notify-keyspace-events', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: RealRedis
  let agent: Client
  before(async () => {
    redis = await realRedisFor(suite)
    agent = await redis.client()
  })
  beforeEach(() => agent.configSet('notify-keyspace-events', 'KEA'))
  afterEach(async () => {
    await agent.flushAll()
  })

  const setFlags = (flags: string) => agent.configSet('notify-keyspace-events', flags)
  const currentFlags = async () => (await agent.configGet('notify-keyspace-events'))['notify-keyspace-events'] ?? ''
  const lines = ({ log }: TestGateway) => log.filter(({ event }) => event === 'keyspace-events')
  const missing = (from: TestGateway) => from.metric('wsproxy_redis_keyspace_events_missing')

  async function start(env: Record<string, string> = {}, url = redis.url): Promise<TestGateway> {
    const there: TestRedis = { ...redis, url }
    return gatewayFor(each, { redis: there, env: { RUN_RESYNC_INTERVAL: '0', ...env } })
  }

  /** Cuts the connections of the gateway, and waits until it has new ones. */
  async function reconnect(from: TestGateway): Promise<void> {
    const ready = () => from.log.filter(({ event }) => event === 'redis-ready').length
    const before = ready()
    await agent.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    await eventually(() => ready() > before && from.gateway.redisReady, 'the gateway to come back')
  }

  /** A user with a password and these rights, as a URL. */
  async function user(name: string, ...rights: string[]): Promise<string> {
    await agent.aclSetUser(name, ['on', '>secret', '~*', '&*', '+@all', ...rights])
    return `redis://${name}:secret@127.0.0.1:${redis.port}`
  }

  it('looks at the keyspace flags again with every re-sync, and adds what another program took away', async () => {
    const [watching, setting] = [
      await start({ RUN_RESYNC_INTERVAL: '100ms' }),
      await start({ RUN_RESYNC_INTERVAL: '100ms', REDIS_SET_KEYSPACE_EVENTS: 'true' }),
    ]
    for (let round = 0; round < 2; round++) {
      await setFlags('Ex')
      await eventually(async () => missingFlags(await currentFlags()) === '', 'the flags to be added again')
      await eventually(async () => (await missing(watching)) === 0, 'the gauge to follow')
      assert.equal(await missing(setting), 0)
    }
    await setting.stop()
    await setFlags('Ex')
    await eventually(async () => (await missing(watching)) === 1, 'the gauge to say that flags are missing')
    const warned = lines(watching).length
    await setFlags('AKE')
    await eventually(async () => (await missing(watching)) === 0, 'the gauge to say that none is missing')
    assert.equal(lines(watching).length, warned)
  })

  it('logs nothing when notify-keyspace-events has every flag needed', async () => {
    const started = await start()
    assert.deepEqual(lines(started), [])
    assert.equal(await missing(started), 0)
    assert.equal(await currentFlags(), 'AKE')
  })

  for (const [flags, lacking, level] of [
    ['', ALL, 'warn'],
    ['Elg', 'Khxe', 'warn'],
    ['KEgx', 'he', 'warn'],
    ['KEh$', 'gxe', 'info'],
    ['Khg', 'xe', 'info'],
  ] as const) {
    it(`logs the keyspace flags "${flags}" as ${level}, and does not change them`, async () => {
      await setFlags(flags)
      const before = await currentFlags()
      const started = await start()
      const [line, ...more] = lines(started)
      assert.deepEqual([line?.level, line?.missing, more], [level, lacking, []])
      const late = level === 'warn' ? /runs are only read/ : /only DEL, EXPIRE, RENAME and evictions/
      assert.match(String(line?.msg), late)
      assert.match(
        String(line?.msg),
        new RegExp(`lacks ${lacking}: until it is set \\(REDIS_SET_KEYSPACE_EVENTS=true\\), `),
      )
      assert.equal(await missing(started), level === 'warn' ? 1 : 0)
      assert.equal(await currentFlags(), before)
    })

    it(`adds what the keyspace flags "${flags}" lack with REDIS_SET_KEYSPACE_EVENTS=true`, async () => {
      await setFlags(flags)
      const before = await currentFlags()
      const started = await start({ REDIS_SET_KEYSPACE_EVENTS: 'true' })
      const now = await currentFlags()
      assert.deepEqual([...now].sort(), [...new Set(before + lacking)].sort())
      assert.equal(await missing(started), 0)
      assert.equal(lines(started)[0]?.missing, lacking)
      const client = await watchRun(started, 'set')
      await agent.hSet('set', 'last_modified', '1')
      await untilShown([client], frameOf({ last_modified: '1' }))
    })
  }

  it('shows a change of a field at once with the keyspace flags K and h alone', async () => {
    await setFlags('Kh')
    const started = await start()
    const client = await watchRun(started, 'plain')
    await agent.hSet('plain', 'last_modified', '1')
    await untilShown([client], frameOf({ last_modified: '1' }))
    await client.close()
  })

  it('checks the keyspace flags again on each new connection', async () => {
    const started = await start()
    await setFlags('')
    await reconnect(started)
    assert.equal(await missing(started), 1)
    assert.equal(lines(started).length, 1)
    await setFlags('KEA')
    await reconnect(started)
    assert.equal(await missing(started), 0)
    assert.equal(lines(started).length, 1)
  })

  it('sets keyspace flags that a restart has reset again with REDIS_SET_KEYSPACE_EVENTS=true', async () => {
    const started = await start({ REDIS_SET_KEYSPACE_EVENTS: 'true' })
    const client = await watchRun(started, 'again')
    await setFlags('')
    await reconnect(started)
    assert.deepEqual([...(await currentFlags())].sort(), [...ALL].sort())
    await agent.hSet('again', 'last_modified', '1')
    await untilShown([client], frameOf({ last_modified: '1' }))
  })

  for (const set of ['false', 'true']) {
    it(`starts with a user without CONFIG, with REDIS_SET_KEYSPACE_EVENTS=${set}`, async () => {
      const started = await start({ REDIS_SET_KEYSPACE_EVENTS: set }, await user('noconfig', '-config'))
      const [line, ...more] = lines(started)
      assert.deepEqual([line?.level, more], ['info', []])
      assert.match(String(line?.reason), /NOPERM/)
      assert.equal(await started.metric('wsproxy_errors_total', { type: 'redis' }), 0)
      assert.equal((await fetch(`${started.http}/ready`)).status, 200)
      const client = await watchRun(started, 'acl')
      await agent.hSet('acl', 'last_modified', '1')
      await untilShown([client], frameOf({ last_modified: '1' }))
    })
  }

  it('reports missing keyspace flags when the user may not set them', async () => {
    await setFlags('')
    const started = await start({ REDIS_SET_KEYSPACE_EVENTS: 'true' }, await user('readonly', '-config|set'))
    assert.equal((await fetch(`${started.http}/ready`)).status, 200)
    assert.equal(await missing(started), 1)
    assert.ok(lines(started).some(({ level }) => level === 'warn'))
  })
})
