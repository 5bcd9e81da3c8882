import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { useKeyPrefix } from '../../../src/contract/names.ts'
import { run } from '../../support/cli.ts'
import { clusterFor } from '../../support/cluster.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { resultOf } from '../../support/preflight.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { AMPLE_CHECK_TIMEOUT, eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const AS_OPERATOR = { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } }

describe('the probe of keyspace events, where CONFIG is forbidden', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: RealRedis
  let admin: Client
  before(async () => {
    redis = await realRedisFor(suite)
    admin = await redis.client()
  })
  after(() => useKeyPrefix(''))

  const setFlags = (flags: string) => admin.configSet('notify-keyspace-events', flags)
  const user = (...rules: string[]) => admin.sendCommand(['ACL', 'SETUSER', 'limited', 'reset', 'on', '>pw', ...rules])
  const url = () => redis.url.replace('//', '//limited:pw@')

  /** The user with exactly the documented rights: no CONFIG. */
  async function documented(env: Record<string, string> = {}): Promise<void> {
    const { stdout } = await run(['redis', 'acl'], { env })
    const words = [...stdout.trim().matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
    await user(...words.slice(6))
  }

  const start = (env: Record<string, string> = {}) =>
    gatewayFor(each, {
      redis: { ...redis, url: url(), client: () => redis.client() },
      env: { ADMIN_TOKEN, RUN_RESYNC_INTERVAL: '100ms', ...env },
    })
  const gauge = (gateway: TestGateway) => gateway.metric('wsproxy_redis_keyspace_events_missing')
  const warnings = ({ log }: TestGateway) =>
    log.filter(({ event, level }) => event === 'keyspace-events' && level === 'warn')
  async function degraded(gateway: TestGateway): Promise<{ name: string; message?: string }[]> {
    const answer = await fetch(`${gateway.http}/ready`, AS_OPERATOR)
    assert.equal(answer.status, 200)
    return ((await answer.json()) as { degraded?: { name: string; message: string }[] }).degraded ?? []
  }

  /** What doctor says about the flags. */
  async function doctor(env: Record<string, string>): Promise<string> {
    const common = { LISTEN_ADDR: '127.0.0.1:0', MAX_CONNECTIONS: '100', PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT }
    const { stdout } = await run(['doctor', '--json'], { env: { ...common, ...env } })
    const { status, message } = resultOf(JSON.parse(stdout), 'keyspace-events')
    return `${status}: ${message}`
  }

  for (const [flags, missing] of Object.entries({
    '': 'Khgx',
    Elgx: 'Khgx',
    K$: 'Khgx',
    Kgx: 'h',
    Khx: 'g',
    Khg: 'x',
    Kh: 'gx',
    Khgx: '',
    KA: '',
  })) {
    it(`finds that the keyspace flags "${flags}" lack "${missing}", and follows when they are set and taken away`, async () => {
      await documented()
      await setFlags(flags)
      const gateway = await start()
      if (missing !== '') {
        const said = () => gateway.log.find((each) => each.event === 'keyspace-events' && each.missing !== undefined)
        const line = await eventually(said, 'the line about the flags')
        const loses = /[Kh]/.test(missing)
        assert.equal(await gauge(gateway), loses ? 1 : 0)
        assert.deepEqual([line.missing, line.level], [missing, loses ? 'warn' : 'info'])
        assert.match(String(line?.msg), /as a probe found: set it in redis\.conf/)
      }
      await setFlags('KA')
      await eventually(async () => (await gauge(gateway)) === 0, 'the gauge to follow')
      const before = warnings(gateway).length
      await setFlags('')
      await eventually(async () => (await gauge(gateway)) === 1, 'the gauge to follow again')
      // A probe that was under way has heard some events.
      await eventually(() => warnings(gateway).at(-1)?.missing === 'Khgx', 'the last warning')
      assert.ok(warnings(gateway).length <= before + 2)
    })
  }

  it('shows what it found in /ready to operators, and in doctor, as a warning', async () => {
    await documented()
    await setFlags('Kgx')
    const gateway = await start()
    const found = await eventually(async () => (await degraded(gateway))[0], 'the warning')
    assert.match(
      `${found.name}: ${found.message}`,
      /^keyspace-events: notify-keyspace-events lacks h, as a probe found/,
    )
    const stranger = (await (await fetch(`${gateway.http}/ready`)).json()) as { degraded: object[] }
    assert.deepEqual(stranger.degraded, [{ name: 'keyspace-events' }])
    assert.match(await doctor({ REDIS_URL: url() }), /^warn: .*lacks h, as a probe/)
    await setFlags('KA')
    await eventually(async () => (await degraded(gateway)).length === 0, 'the warning to end', 20_000)
    assert.match(await doctor({ REDIS_URL: url() }), /^pass: .*as a probe found/)
  })

  it('leaves no key and no subscription behind, also with REDIS_KEY_PREFIX', async () => {
    const env = { REDIS_KEY_PREFIX: 'staging:' }
    await documented(env)
    await setFlags('KA')
    const gateway = await start(env)
    const events = await redis.client()
    const seen: string[] = []
    await events.pSubscribe('__keyspace@0__:*wsproxy:probe:*', (event) => seen.push(event))
    await eventually(() => seen.length >= 6, 'two probes')
    await gateway.stop()
    const first = seen.indexOf('hset')
    assert.deepEqual(seen.slice(first, first + 3), ['hset', 'expire', 'expired'])
    await eventually(async () => (await admin.keys('*probe*')).length === 0, 'the key to expire')
    assert.deepEqual(await admin.sendCommand(['PUBSUB', 'CHANNELS', '*probe*']), [])
    assert.equal(warnings(gateway).length, 0)
  })

  it('says that the flags are unknown, and what to allow, when the user may not probe either', async () => {
    await setFlags('KA')
    await user('~*', '&*', '+@all', '-config', '-hset')
    const gateway = await start()
    await eventually(() => warnings(gateway).length > 0, 'the warning')
    assert.match(String(warnings(gateway)[0]?.msg), /refuses the probe.*wsproxy redis acl/)
    const [found] = await degraded(gateway)
    assert.match(String(found?.message), /the probe of keyspace events failed, so notify-keyspace-events is unknown/)
    assert.equal(warnings(gateway).length, 1, 'logged once')
  })

  it('asks every primary of a cluster', async (t) => {
    const cluster = await clusterFor(t)
    const nodes = await Promise.all(cluster.nodes.map((node) => node.client()))
    for (const node of nodes) {
      await node.sendCommand(['CONFIG', 'SET', 'notify-keyspace-events', 'KA'])
      await node.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '&*', '+@all', '-config'])
    }
    const env = { REDIS_CLUSTER_NODES: cluster.addresses, REDIS_URL: 'redis://limited:pw@any' }
    assert.match(await doctor(env), /^pass: .*as a probe found/)
    await nodes.at(-1)!.sendCommand(['CONFIG', 'SET', 'notify-keyspace-events', 'Kh'])
    assert.match(await doctor(env), /^pass: .*lacks gx, as a probe found: changes of fields arrive/)
    await nodes.at(-1)!.sendCommand(['CONFIG', 'SET', 'notify-keyspace-events', 'Kgx'])
    assert.match(await doctor(env), /^warn: .*lacks h, as a probe/)
  })
})
