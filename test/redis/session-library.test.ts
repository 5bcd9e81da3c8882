import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { startEmbeddedRedis } from '../../src/redis/servers/embedded.ts'
import { SAY_CODE, SAY_SHA, SAY_TEXT } from '../../src/redis/session-say.ts'
import { killCommands, run, serve, serveReady } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { clusterFor, type TestCluster } from '../support/cluster.ts'
import { positionOf, takeMessages } from '../support/numbered.ts'
import { type Client, type RealRedis, realRedisFor, redisFor, withoutRealRedis } from '../support/redis.ts'
import { createClient } from '../support/redis-client.ts'
import { atEnd, type Scope, scopeOf } from '../support/scope.ts'
import { sentinelsFor } from '../support/sentinel.ts'
import { eventually } from '../support/wait.ts'

/** Sends a command to the server of `log`. */
type Send = (log: string, command: readonly string[]) => Promise<unknown>

/** A command without a name is unknown, as on Redis 6. */
const WITHOUT_FUNCTIONS = ['--rename-command', 'FUNCTION', '']
const LISTED = ['FUNCTION', 'LIST', 'LIBRARYNAME', 'wsproxy']
/** Each way to call the script, without its keys and arguments. */
const WAYS = { FCALL: ['FCALL', 'wsproxy_say'], EVALSHA: ['EVALSHA', SAY_SHA], EVAL: ['EVAL', SAY_TEXT] }

const namesOf = (session: string, prefix = '') => {
  const slot = `{${prefix}session:${session}:down}`
  return { log: `${slot}:log`, meta: `${slot}:meta` }
}

/** Writes by a call of the script, as an agent does. */
const writer =
  (send: Send, way: readonly string[], session: string, prefix = '') =>
  (payload: string, ...rest: string[]): Promise<number> => {
    const { log, meta } = namesOf(session, prefix)
    return send(log, [...way, '2', log, meta, payload, ...rest]).then(Number)
  }

/** Serves, writes to a session, and checks what a client of `wsproxy.v2` gets. */
async function assertHeard(env: Record<string, string>, write: ReturnType<typeof writer>, session: string, flag = '') {
  const { ws } = await serveReady(env)
  const { stdout } = await run(['token', 'create', session], { env })
  const limits = ['60', '100', '100000']
  assert.equal(await write('"before"', ...limits, flag), 1)
  const client = await connect(`${ws}/agent/ws/${session}?cursor=-1`, {
    token: stdout.trim(),
    protocols: ['wsproxy.v2'],
  })
  assert.equal((await positionOf(client)).grade, 'exact')
  assert.equal(await write('"live"', ...limits, flag), 2)
  // A message without a number does not wait for those that this client still reads from the log.
  await takeMessages(client, 2)
  await write('"aside"', ...limits, `ephemeral,${flag}`)
  assert.deepEqual(await takeMessages(client, 3), ['1 "before"', '2 "live"', '- "aside"'])
}

/** Whether Redis is of version 7 or later. Skips the test if not. */
async function hasFunctions(client: Client, t?: TestContext): Promise<boolean> {
  const has = await client.sendCommand(['FUNCTION', 'LIST']).then(
    () => true,
    () => false,
  )
  if (!has) t?.skip('this Redis has no functions')
  return has
}

/** A server without functions: this one, or one that has forgotten them. */
async function olderRedis(t: TestContext): Promise<RealRedis> {
  const server = await realRedisFor(t)
  return (await hasFunctions(await server.client())) ? realRedisFor(t, WITHOUT_FUNCTIONS) : server
}

/** The embedded Redis of development, with a client. */
async function embeddedFor(scope: Scope): Promise<{ client(): Promise<Client> }> {
  const server = await startEmbeddedRedis(0, '')
  atEnd(scope, () => server.close())
  const client = await createClient({ url: server.url }).connect()
  atEnd(scope, () => client.destroy())
  return { client: async () => client as Client }
}

const sendTo =
  (client: Client): Send =>
  (_, command) =>
    client.sendCommand(command)

const SERVERS = { Redis: redisFor, 'the embedded Redis': embeddedFor }
for (const [server, start] of Object.entries(SERVERS))
  describe(`the script that writes the log of a session, on ${server}`, () => {
    const suite = scopeOf(after)
    let client: Client
    before(async () => {
      client = await (await start(suite)).client()
      // Redis 6 has no functions.
      await client.sendCommand(['FUNCTION', 'LOAD', SAY_CODE]).catch(() => {})
      assert.equal(await client.sendCommand(['SCRIPT', 'LOAD', SAY_TEXT]), SAY_SHA)
    })
    const entriesOf = async (session: string) => (await client.xRange(namesOf(session).log, '-', '+')) ?? []
    const idsOf = async (session: string) => (await entriesOf(session)).map(({ id }) => Number(id.slice(2)))

    for (const [name, way] of Object.entries(WAYS)) {
      it(`counts from 1 and keeps an hour by default (${name})`, async (t) => {
        if (name === 'FCALL' && !(await hasFunctions(client, t))) return
        const session = `counts-${name}`
        const { log, meta } = namesOf(session)
        const write = writer(sendTo(client), way, session)
        assert.deepEqual([await write('a'), await write('b')], [1, 2])
        assert.deepEqual(await idsOf(session), [1, 2])
        for (const key of [log, meta]) assert.ok((await client.ttl(key)) > 3590, key)
        assert.match((await client.hGet(meta, 'e')) ?? '', /^[0-9a-z]{12}$/)
      })

      it(`keeps so many entries, so many bytes, and the newest one always (${name})`, async (t) => {
        if (name === 'FCALL' && !(await hasFunctions(client, t))) return
        const session = `bounds-${name}`
        const write = writer(sendTo(client), way, session)
        for (let n = 1; n <= 30; n++) await write('x'.repeat(10), '60', '20', '100000')
        assert.deepEqual((await idsOf(session)).at(0), 11)
        for (let n = 1; n <= 30; n++) {
          await write('x'.repeat(1000), '60', '20', '5000')
          const entries = await entriesOf(session)
          const bytes = entries.reduce((sum, { message }) => sum + message.m!.length, 0)
          assert.ok(entries.length === 1 || bytes <= 5000, `${bytes} bytes are kept`)
        }
        assert.equal(await write('x'.repeat(9000), '60', '20', '5000'), 61)
        assert.deepEqual(await idsOf(session), [61])
        assert.equal(await client.hGet(namesOf(session).meta, 'b'), '9000')
      })

      it(`counts the bytes of many small and few large messages (${name})`, async (t) => {
        if (name === 'FCALL' && !(await hasFunctions(client, t))) return
        const session = `sizes-${name}`
        const write = writer(sendTo(client), way, session)
        const limit = 1024 * 1024
        for (let n = 1; n <= 1000; n++) await write('small', '60', '900', String(limit))
        assert.ok((await entriesOf(session)).length <= 900)
        for (let n = 1; n <= 40; n++) await write('x'.repeat(limit / 16), '60', '900', String(limit))
        const bytes = (await entriesOf(session)).reduce((sum, { message }) => sum + message.m!.length, 0)
        assert.ok(bytes <= limit && bytes > limit / 2, `${bytes} bytes are kept`)
        assert.equal(await client.hGet(namesOf(session).meta, 'b'), String(bytes))
      })

      it(`takes the flags snapshot, close and ephemeral (${name})`, async (t) => {
        if (name === 'FCALL' && !(await hasFunctions(client, t))) return
        const session = `flags-${name}`
        const write = writer(sendTo(client), way, session)
        const limits = ['0', '100', '100000']
        for (const payload of ['a', 'b']) await write(payload, ...limits)
        assert.equal(await write('all of it', ...limits, 'snapshot'), 3)
        assert.equal(await write('aside', ...limits, 'ephemeral'), 0)
        assert.equal(await write('end', ...limits, 'close'), 4)
        assert.deepEqual(await idsOf(session), [3, 4])
        const { log, meta } = namesOf(session)
        assert.deepEqual(await client.hmGet(meta, ['snap', 'closed', 'n']), ['3', '4', '4'])
        assert.equal(await client.ttl(log), -1, 'a log with 0 seconds has no end')
      })

      it(`says how it is called when an argument is wrong (${name})`, async (t) => {
        if (name === 'FCALL' && !(await hasFunctions(client, t))) return
        const { log, meta } = namesOf(`wrong-${name}`)
        const usage = /usage: <log> <meta> <payload>/
        await assert.rejects(client.sendCommand([...way, '2', log, meta]), usage)
        await assert.rejects(client.sendCommand([...way, '2', log, meta, 'a', 'an hour']), usage)
        assert.equal(await client.exists([log, meta]), 0)
      })
    }
  })

describe('wsproxy redis install', { skip: withoutRealRedis }, () => {
  after(killCommands)
  const production = { NODE_ENV: 'production', ALLOWED_ORIGINS: 'https://app.example' }

  it('loads the library into one server, where agents call it under any prefix', async (t) => {
    const redis = await realRedisFor(t)
    if (!(await hasFunctions(await redis.client(), t))) return
    const env = { ...production, REDIS_URL: redis.url, REDIS_KEY_PREFIX: 'staging:' }
    const { status, stderr } = await run(['redis', 'install'], { env })
    const done = 'loaded the library wsproxy with the function wsproxy_say into 1 server'
    assert.deepEqual([status, stderr.trim()], [0, done])
    await assertHeard(env, writer(sendTo(await redis.client()), WAYS.FCALL, 's1', 'staging:'), 's1')
  })

  it('loads it into the master that Sentinels name, and its replica has it', async (t) => {
    const sentinels = await sentinelsFor(t)
    const [master, replica] = sentinels.servers
    if (!(await hasFunctions(await master.client(), t))) return
    const env = { ...production, REDIS_SENTINELS: sentinels.addresses }
    assert.equal((await run(['redis', 'install'], { env })).status, 0)
    await assertHeard(env, writer(sendTo(await master.client()), WAYS.FCALL, 's1'), 's1')
    const follower = await replica.client()
    const hasIt = async () => JSON.stringify(await follower.sendCommand(LISTED)).includes('wsproxy_say')
    await eventually(hasIt, 'the replica to have the library')
  })

  for (const sharded of ['false', 'true']) {
    it(`loads it into every master of a cluster (REDIS_SHARDED_PUBSUB=${sharded})`, async (t) => {
      if (!(await hasFunctions(await (await realRedisFor(t)).client(), t))) return
      const cluster: TestCluster = await clusterFor(t)
      const env = {
        ...production,
        REDIS_CLUSTER_NODES: cluster.addresses,
        REDIS_SHARDED_PUBSUB: sharded,
        REDIS_KEY_PREFIX: 'staging:',
      }
      const { stderr } = await run(['redis', 'install'], { env })
      assert.match(stderr, /into 3 servers/)
      const client = await cluster.client()
      const send: Send = (log, command) => client.sendCommand(log, false, [...command])
      const flag = sharded === 'true' ? 'sharded' : ''
      for (const session of ['s1', 's2', 's3', 's4'])
        await assertHeard(env, writer(send, WAYS.FCALL, session, 'staging:'), session, flag)
    })
  }

  it('says what agents do where Redis has no functions, or forbids them', async (t) => {
    const older = await olderRedis(t)
    const refused = await run(['redis', 'install'], { env: { REDIS_URL: older.url } })
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /functions need Redis 7 or later.*EVALSHA.*--print script/)
    const limited = await realRedisFor(t)
    if (!(await hasFunctions(await limited.client(), t))) return
    await (await limited.client()).sendCommand(['ACL', 'SETUSER', 'default', '-function'])
    const forbidden = await run(['redis', 'install'], { env: { REDIS_URL: limited.url } })
    assert.equal(forbidden.status, 1)
    assert.match(forbidden.stderr, /a user that may use FUNCTION LOAD/)
  })

  it('prints the library, and the script for SCRIPT LOAD', async () => {
    assert.equal((await run(['redis', 'install', '--print', 'library'])).stdout, SAY_CODE)
    assert.equal((await run(['redis', 'install', '--print', 'script'])).stdout, SAY_TEXT)
    assert.equal((await run(['redis', 'install', '--print', 'it'])).status, 2)
  })
})

describe('the library at the start of a gateway', { skip: withoutRealRedis }, () => {
  after(killCommands)
  const production = { NODE_ENV: 'production', ALLOWED_ORIGINS: 'https://app.example' }
  const FOREIGN = "#!lua name=wsproxy\nredis.register_function('wsproxy_say', function() return 7 end)"

  it('is loaded in development, in the place of another version', async (t) => {
    const redis = await realRedisFor(t)
    const client = await redis.client()
    if (!(await hasFunctions(client, t))) return
    await client.sendCommand(['FUNCTION', 'LOAD', FOREIGN])
    const { command } = await serve({ REDIS_URL: redis.url })
    await eventually(() => command.stdout.includes('"state":"installed"'), 'the log line')
    assert.equal(await writer(sendTo(client), WAYS.FCALL, 's1')('a'), 1)
  })

  it('is left alone in production, and a line says that it differs', async (t) => {
    const redis = await realRedisFor(t)
    const client = await redis.client()
    if (!(await hasFunctions(client, t))) return
    await client.sendCommand(['FUNCTION', 'LOAD', FOREIGN])
    const { command } = await serve({ ...production, REDIS_URL: redis.url })
    await eventually(() => command.stdout.includes('"state":"differs"'), 'the log line')
    assert.equal(await writer(sendTo(client), WAYS.FCALL, 's1')('a'), 7)
  })

  it('is not needed: a server without functions is one line in development', async (t) => {
    const redis = await olderRedis(t)
    const { command } = await serve({ REDIS_URL: redis.url })
    await eventually(() => command.stdout.includes('"state":"refused"'), 'the log line')
    await assertHeard({ REDIS_URL: redis.url }, writer(sendTo(await redis.client()), WAYS.EVAL, 's1'), 's1')
  })
})
