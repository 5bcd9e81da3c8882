import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { useKeyPrefix } from '../../src/contract/names.ts'
import { aclCommand, aclRules } from '../../src/redis/rights.ts'
import { run } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { gatewayFor } from '../support/gateway.ts'
import { controls, joinNumbered, positionOf, say, takeMessages, ticketFrames } from '../support/numbered.ts'
import { page } from '../support/pages.ts'
import { type Client, type RealRedis, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const LOGIN = {
  AUTH_LOGIN: 'true',
  AUTH_JWT_SECRET: 'a-secret-of-a-test-of-32-bytes-and-more',
  DEFAULT_ADMIN_EMAIL: 'ada@example.org',
  DEFAULT_ADMIN_PASSWORD: 'a fine pass word',
}
/** Every feature that has rights of its own. */
const ALL = {
  SESSION_FLOW_SIGNAL: 'true',
  RUN_AUTH: 'bearer',
  AUTH_RECONNECT_GRACE: '30s',
  OUTBOX_TOPICS: 'tasks',
  LIVE_LAST: 'agents',
  ...LOGIN,
}
const ROOT_PASSWORD = 'password-of-the-default-user'

/** The rules in the line that a page shows or a command prints. */
function rulesIn(line: string): string[] {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
  assert.deepEqual(words.slice(0, 2), ['ACL', 'SETUSER'])
  return words.slice(3)
}

/** What a stolen connection of the gateway would try. */
const ESCAPES = [
  ['CONFIG', 'GET', 'requirepass'],
  ['CONFIG', 'SET', 'requirepass', ''],
  ['ACL', 'LIST'],
  ['ACL', 'SETUSER', 'limited', '+@all', '~*'],
  ['CLIENT', 'KILL', 'TYPE', 'replica'],
  ['CLIENT', 'PAUSE', '1'],
  ['CLIENT', 'LIST'],
  ['SCRIPT', 'FLUSH'],
  ['SCRIPT', 'LOAD', 'return 1'],
  ['FUNCTION', 'FLUSH'],
  ['FLUSHALL'],
  ['FLUSHDB'],
  ['KEYS', '*'],
  ['SCAN', '0'],
  ['MONITOR'],
  ['SHUTDOWN', 'NOSAVE'],
  ['REPLICAOF', 'localhost', '1'],
  ['SAVE'],
  ['SELECT', '1'],
  ['GET', 'foreign'],
  ['SET', 'foreign', 'x'],
  ['SET', 'session:s1:auth', 'x'],
  ['DEL', 'foreign'],
  ['XADD', '{session:s1:down}:log', '0-1', 'm', 'x'],
  ['XTRIM', '{session:s1:down}:log', 'MAXLEN', '0'],
  ['DEL', '{session:s1:down}:log'],
  ['HSET', '{session:s1:down}:meta', 'e', 'x'],
  ['GET', 'live:last:agents'],
  ['GET', 'session:s1:cancel'],
  ['DEL', 'session:s1:cancel'],
  ['XRANGE', 'foreign-stream', '-', '+'],
  ['HSET', 'foreign-hash', 'a', 'b'],
  ['DEL', 'foreign-hash'],
  ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'foreign'],
  ['EVAL', "return redis.call('GET', 'foreign')", '0'],
  ['EVAL', "return redis.call('GET', 'foreign')", '1', 'session:s1:auth'],
  ['EVAL', "return redis.call('SET', 'foreign', 'x')", '1', '{preflight:reports}:hour:1'],
  ['EVAL', "return redis.call('DEL', 'foreign-hash')", '1', 'session:s1:flow'],
  ['EVAL', "return redis.call('CONFIG', 'GET', 'requirepass')", '1', 'session:s1:auth'],
  ['PUBLISH', 'a-channel-of-another-program', 'x'],
  ['PUBLISH', '__keyspace@0__:run-1', 'hset'],
  ['PUBLISH', 'session:s1:down', 'x'],
  ['PUBLISH', 'live:agents', '{}'],
  ['SUBSCRIBE', 'a-channel-of-another-program'],
  ['PSUBSCRIBE', '*'],
  ['MIGRATE', 'localhost', '1', 'foreign', '0', '1'],
  ['RENAME', 'foreign', 'session:s1:auth'],
  ['DUMP', 'foreign'],
]

describe('the rights of the Redis user', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)
  let redis: RealRedis
  let admin: Client

  before(async () => {
    redis = await realRedisFor(suite)
    admin = await redis.client()
    await admin.set('foreign', 'of another program')
    await admin.hSet('foreign-hash', 'a', '1')
  })
  after(() => useKeyPrefix(''))

  /** The refused commands since the last call, each once. */
  async function denied(): Promise<string[]> {
    const entries = (await admin.sendCommand(['ACL', 'LOG'])) as unknown[]
    await admin.sendCommand(['ACL', 'LOG', 'RESET'])
    const objects = entries.map((each) => JSON.stringify(each))
    return [...new Set(objects.filter((each) => !/config\|get/i.test(each)))]
  }

  const lineOf = async (version: string, env: Record<string, string> = {}) =>
    (await run(['redis', 'acl', '--redis', version], { env: { ...ALL, ...env } })).stdout.trim()

  for (const [version, env] of [
    ['7', {}],
    ['7', { REDIS_KEY_PREFIX: 'staging:', RUN_KEY_PREFIX: 'run-' }],
    ['6', { RUN_KEY_PREFIX: 'run-' }],
  ] as [string, Record<string, string>][]) {
    it(`the line for Redis ${version} with ${JSON.stringify(env)} serves all doors, and Redis denies nothing but CONFIG`, async (t) => {
      await admin.sendCommand(['ACL', 'SETUSER', 'limited', ...rulesIn(await lineOf(version, env))])
      await denied()
      const url = redis.url.replace('//', '//limited:a-password@')
      const gateway = await gatewayFor(t, {
        redis: { ...redis, url, client: () => redis.client() },
        env: { ...ALL, ...env, ADMIN_TOKEN, REDIS_CANARY_INTERVAL: '50ms', SESSION_LOG_INSTALL: 'false' },
      })
      const prefix = env.REDIS_KEY_PREFIX ?? ''
      for (const session of ['one', 'two']) {
        const client = await gateway.join(session)
        client.send({ type: 'ask' })
        await admin.publish(`${prefix}session:${session}:down`, '{"n":1}')
        await client.take(1)
        await client.close()
      }
      const logged = `logged-${version}`
      await say(admin, logged, '"kept"')
      const numbered = await joinNumbered(gateway, logged, 'cursor=-1')
      assert.equal((await positionOf(numbered)).grade, 'exact')
      assert.deepEqual(await takeMessages(numbered, 1), ['1 "kept"'])
      numbered.send('1 {"type":"control","command":"cancel","run":"r7"}')
      await eventually(() => controls(numbered).some(({ command }) => command === 'ack'), 'the ack')
      assert.equal(await admin.get(`${prefix}session:${logged}:cancel`), 'r7')
      const [{ ticket } = { ticket: '' }] = ticketFrames(numbered)
      const once = { Authorization: `Bearer ${ticket}`, 'Idempotency-Key': 'key' }
      const frame = { method: 'POST', headers: once, body: '{}' }
      for (let i = 0; i < 2; i++)
        assert.equal((await fetch(`${gateway.http}/agent-1/sse/${logged}`, frame)).status, 202)
      await numbered.close()
      await admin.set(`${prefix}run:run-1:auth`, 'token')
      const watched = await connect(`${gateway.url}/run-1`, { token: 'token' })
      await watched.take(1)
      await admin.hSet(`${prefix}run-1`, 'last_modified', String(Date.now() % 1e6))
      await watched.take(2)
      const live = await connect(`${gateway.url}/live?subscriptions=agents,system,project_index`)
      await admin.publish(`${prefix}agent_events:a`, '{"n":1}')
      await live.find({ type: 'agent_event' })
      const post = { method: 'POST', headers: { authorization: `Bearer ${ADMIN_TOKEN}` }, body: '{}' }
      const sent = await fetch(`${gateway.http}/api/dashboard/websocket/broadcast?subscription=agents`, post)
      assert.equal(((await sent.json()) as { clients_reached: number }).clients_reached, 1)
      const envelope = { correlation_id: randomUUID(), ts: 1, op: 'delete', domain: 'tasks', id: '1' }
      const list = JSON.stringify([{ topic: 'tasks', envelope }])
      const published = await fetch(`${gateway.http}/api/outbox`, { ...post, body: list })
      assert.match(await published.text(), /"duplicate":false/)
      await eventually(
        async () => (await gateway.metric('wsproxy_redis_canary_seconds_count')) > 0,
        'a canary to come back',
      )
      const call = async (path: string, body: object) => {
        const headers = { 'content-type': 'application/json' }
        const answer = await fetch(`${gateway.http}/api/auth/${path}`, {
          method: 'POST',
          headers,
          body: JSON.stringify(body),
        })
        return [answer.status, ((await answer.json()) as { refresh_token?: string }).refresh_token] as const
      }
      const named = { email: LOGIN.DEFAULT_ADMIN_EMAIL, password: LOGIN.DEFAULT_ADMIN_PASSWORD }
      await eventually(async () => (await call('login', named))[0] === 200, 'the first admin')
      assert.equal((await call('login', { ...named, password: 'wrong' }))[0], 401)
      const [, refresh_token] = await call('login', named)
      assert.equal((await call('refresh', { refresh_token }))[0], 200)
      for (const path of ['/ready', '/health']) assert.equal((await fetch(gateway.http + path)).status, 200, path)
      assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'redis' }), 0)
      const own = { LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: url, MAX_CONNECTIONS: '100' }
      const doctor = await run(['doctor'], { env: { ...ALL, ...env, ...own } })
      assert.equal(doctor.status, 0, doctor.stdout + doctor.stderr)
      assert.doesNotMatch(doctor.stdout, /Redis refuses/)
      // Redis 6 does not know the command, so its line cannot name it.
      const hasRule = (entry: string) => version === '7' || !entry.includes('function|list')
      assert.deepEqual((await denied()).filter(hasRule), [])
    })
  }

  it('on Redis 7 every escape is refused: CONFIG, ACL, CLIENT, foreign keys, foreign channels, scripts', async () => {
    await admin.sendCommand(['ACL', 'SETUSER', 'limited', ...rulesIn(await lineOf('7'))])
    const user = await redis.client()
    await user.sendCommand(['AUTH', 'limited', 'a-password'])
    await admin.sendCommand(['CONFIG', 'SET', 'requirepass', ROOT_PASSWORD])
    try {
      for (const command of ESCAPES) {
        const answer = await user.sendCommand(command).then(String, (error: Error) => error)
        assert.ok(
          answer instanceof Error && /NOPERM|ACL|permission|not allowed from script|can't access/i.test(answer.message),
          `${command.join(' ')}: ${answer}`,
        )
      }
    } finally {
      await admin.sendCommand(['CONFIG', 'SET', 'requirepass', ''])
    }
    assert.equal(await admin.get('foreign'), 'of another program')
    assert.deepEqual({ ...(await admin.hGetAll('foreign-hash')) }, { a: '1' })
  })

  it('with RUN_KEY_PREFIX the user reads no other hash', async () => {
    await admin.sendCommand(['ACL', 'SETUSER', 'limited', ...rulesIn(await lineOf('7', { RUN_KEY_PREFIX: 'run-' }))])
    const user = await redis.client()
    await user.sendCommand(['AUTH', 'limited', 'a-password'])
    await assert.rejects(user.sendCommand(['HGETALL', 'foreign-hash']), /NOPERM/)
    assert.ok(await user.sendCommand(['HGETALL', 'run-1']))
  })

  it('the page shows the lines that the table makes', () => {
    const { config } = loadConfig(ALL)
    useKeyPrefix('')
    for (const version of [7, 6] as const) {
      const runs = version === 6 ? { runKeyPrefix: 'run-' } : {}
      const line = aclCommand('wsproxy', 'a-password', aclRules({ ...config, ...runs, database: 0 }, version))
      assert.ok(page('docs/operations/redis.md').includes(`\n    redis-cli -u "$REDIS_ADMIN_URL" ${line}\n`), line)
    }
  })
})
