import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionLog } from '../../../src/contract/names.ts'
import { run } from '../../support/cli.ts'
import { connect } from '../../support/client.ts'
import { clusterFor } from '../../support/cluster.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { joinNumbered, messages, say, takeMessages } from '../../support/numbered.ts'
import { embeddedRedisFor, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventsIn, type Read, readerOf } from '../../support/streams.ts'
import { secretSigner, tokenOf } from '../../support/tokens.ts'
import { eventually } from '../../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const SECRET = 'a-secret-of-thirty-two-bytes-for-jwts'
const ENV = {
  STREAM_APPEND: 'true',
  ADMIN_TOKEN,
  AUTH_JWT_SECRET: SECRET,
  STREAM_MAX_BODY: '16KiB',
  STREAM_END_TIMEOUT: '200ms',
  CONNECT_RATE_PER_IP: '0',
  REFUSED_RATE_PER_IP: '0',
}
const hs256 = (secret: string, claims: object) => tokenOf(secretSigner(secret), claims)
const JSON_TYPE = { 'content-type': 'application/json' }

const put = (ask: Read, session: string, headers: Record<string, string> = {}, body = '') =>
  ask(session, '', { method: 'PUT', headers: { ...JSON_TYPE, ...headers }, body })
const post = (ask: Read, session: string, body: string, headers: Record<string, string> = {}) =>
  ask(session, '', { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body })
const producer = (epoch: number, seq: number) => ({
  'producer-id': 'p1',
  'producer-epoch': String(epoch),
  'producer-seq': String(seq),
})

describe('an agent without Redis', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let ask: Read
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
    ask = readerOf(gateway, ADMIN_TOKEN)
  })

  it('reaches sockets of wsproxy.v2 and wsproxy.v1 and readers of the stream, as an agent with Redis does', async () => {
    assert.equal((await put(ask, 'all')).status, 201)
    const numbered = await joinNumbered(gateway, 'all', 'cursor=-1')
    const plain = await gateway.join('all')
    const { events } = await eventsIn(gateway, 'all', 'offset=-1&live=sse', ADMIN_TOKEN)
    assert.equal((await post(ask, 'all', ' [{"n":1} , [2],"3"] ')).status, 204)
    await say(gateway.agent, 'all', '{"by":"an agent"}')
    assert.equal((await post(ask, 'all', '{"n":9007199254740993}')).status, 204)
    const said = ['{"n":1}', '[2]', '"3"', '{"by":"an agent"}', '{"n":9007199254740993}']
    assert.deepEqual(
      await takeMessages(numbered, 5),
      said.map((text, i) => `${i + 1} ${text}`),
    )
    await plain.take(5)
    assert.deepEqual(plain.frames.map(String), said)
    const got = () =>
      events
        .filter(({ event }) => event === 'data')
        .map(({ data }) => data.slice(1, -1))
        .join()
    await eventually(() => got() === said.join(), 'all events')
    await plain.close()
  })

  it('closes the stream: sockets of wsproxy.v2 end, those of wsproxy.v1 hear nothing of it', async () => {
    await put(ask, 'over', {}, '1')
    const numbered = await joinNumbered(gateway, 'over', 'cursor=-1')
    const plain = await gateway.join('over')
    await takeMessages(numbered, 1)
    const poll = ask('over', 'offset=now&live=long-poll')
    const { events } = await eventsIn(gateway, 'over', 'offset=now&live=sse', ADMIN_TOKEN)
    await eventually(() => events.length === 1, 'the first event')
    const closed = await ask('over', '', { method: 'POST', headers: { 'stream-closed': 'true' } })
    assert.deepEqual([closed.status, closed.headers.get('stream-closed')], [204, 'true'])
    assert.equal((await numbered.closed).code, 1000)
    assert.deepEqual(messages(numbered), ['1 1'])
    const { status, headers } = await poll
    assert.deepEqual([status, headers.get('stream-closed')], [204, 'true'])
    await eventually(() => events.at(-1)?.event === 'end', 'the end')
    await say(gateway.agent, 'over', '"on"')
    await plain.take(1)
    assert.deepEqual(plain.frames.map(String), ['"on"'])
    await plain.close()
  })

  it('writes each message of a producer once, in order, and fences the one before', async () => {
    await put(ask, 'once')
    const steps: [number, number, number, string][] = [
      [0, 0, 200, 'ok'],
      [0, 0, 204, 'duplicate'],
      [0, 1, 200, 'ok'],
      [0, 3, 409, 'gap'],
      [1, 1, 400, 'refused'],
      [1, 0, 200, 'ok'],
      [0, 2, 403, 'stale'],
    ]
    for (const [epoch, seq, status, result] of steps) {
      const before = await gateway.metric('wsproxy_stream_appends_total', { result })
      const answer = await post(ask, 'once', JSON.stringify(`${epoch}.${seq}`), producer(epoch, seq))
      assert.equal(answer.status, status, `${epoch}.${seq}`)
      await eventually(
        async () => (await gateway.metric('wsproxy_stream_appends_total', { result })) === before + 1,
        `the count of ${result}`,
      )
    }
    assert.equal((await ask('once')).body, '["0.0","0.1","1.0"]')
    const gap = await post(ask, 'once', '1', producer(1, 7))
    assert.deepEqual([gap.headers.get('producer-expected-seq'), gap.headers.get('producer-received-seq')], ['1', '7'])
  })

  it('writes no message twice when two requests of a producer race', async () => {
    await put(ask, 'race')
    const all = await Promise.all(Array.from({ length: 20 }, () => post(ask, 'race', '"x"', producer(0, 0))))
    assert.deepEqual(all.map(({ status }) => status).sort(), [200, ...Array<number>(19).fill(204)])
    assert.equal((await ask('race')).body, '["x"]')
  })

  it('is refused with a closed code for every wrong request', async () => {
    await put(ask, 'wrong', {}, '1')
    const large = JSON.stringify('x'.repeat(20_000))
    const many = JSON.stringify(Array.from({ length: 1001 }, () => 1))
    for (const [what, status, code, request] of [
      ['no stream', 404, 'not-found', () => post(ask, 'nowhere', '1')],
      ['not JSON', 400, 'bad-request', () => post(ask, 'wrong', '{')],
      ['an empty array', 400, 'bad-request', () => post(ask, 'wrong', '[]')],
      ['no body', 400, 'bad-request', () => post(ask, 'wrong', '')],
      ['another type', 409, 'stream-conflict', () => post(ask, 'wrong', 'x', { 'content-type': 'text/plain' })],
      ['no type', 400, 'bad-request', () => post(ask, 'wrong', 'x', { 'content-type': 'nothing' })],
      ['half a producer', 400, 'bad-request', () => post(ask, 'wrong', '1', { 'producer-id': 'p' })],
      ['a large body', 413, 'body-too-large', () => post(ask, 'wrong', large)],
      ['many messages', 413, 'body-too-large', () => post(ask, 'wrong', many)],
      ['a fork', 501, 'forks-unsupported', () => put(ask, 'fork', { 'stream-forked-from': '/a/stream/wrong' })],
      ['another life', 409, 'stream-conflict', () => put(ask, 'wrong', { 'stream-ttl': '60' })],
      [
        'two lives',
        400,
        'bad-request',
        () => put(ask, 'x', { 'stream-ttl': '6', 'stream-expires-at': '2040-01-01T00:00:00Z' }),
      ],
      ['no life', 400, 'bad-request', () => put(ask, 'x', { 'stream-ttl': '0' })],
    ] as const) {
      const { status: got, body } = await request()
      assert.deepEqual([got, JSON.parse(body).error.code], [status, code], what)
    }
    assert.equal((await ask('wrong')).body, '[1]')
    assert.equal(await gateway.agent.exists(sessionLog('nowhere')), 0)
  })

  it('keeps a stream for its TTL after each use, and deletes it', async () => {
    await put(ask, 'short', { 'stream-ttl': '100' }, '1')
    await gateway.agent.expire(sessionLog('short'), 10)
    assert.equal((await ask('short', '', { method: 'HEAD' })).headers.get('stream-ttl'), '100')
    assert.equal(await gateway.agent.ttl(sessionLog('short')), 10)
    await ask('short')
    await eventually(async () => (await gateway.agent.ttl(sessionLog('short'))) > 90, 'a longer life')
    const before = (await ask('short')).headers.get('stream-next-offset')!
    assert.equal((await ask('short', '', { method: 'DELETE' })).status, 204)
    assert.equal((await ask('short', '', { method: 'DELETE' })).status, 404)
    assert.equal((await ask('short')).status, 404)
    await put(ask, 'short', {}, '2')
    assert.equal((await ask('short', `offset=${before}`)).status, 410)
    assert.ok((await ask('short')).headers.get('stream-next-offset')! > before)
  })

  it('counts a wrong token as a guess of the admin token', async (t) => {
    const own = await gatewayFor(t, { redis: gateway.redis, env: ENV })
    const guess = readerOf(own, 'a-guess-of-the-admin-token')
    const statuses = new Set<number>()
    for (let i = 0; i < 8; i++)
      for (const each of [guess('all'), post(guess, 'all', '1')]) statuses.add((await each).status)
    assert.deepEqual([...statuses], [403, 429])
    assert.equal((await readerOf(own, ADMIN_TOKEN)('all')).status, 429)
  })

  it('has the rights in Redis that `wsproxy redis acl` prints', { skip: withoutRealRedis }, async (t) => {
    const redis = await realRedisFor(t)
    const admin = await redis.client()
    for (const version of ['7', '6']) {
      const acl = { ...ENV, RUN_KEY_PREFIX: 'run-', SESSION_LOG_INSTALL: 'false' }
      const { stdout } = await run(['redis', 'acl', '--redis', version], { env: acl })
      const words = [...stdout.trim().matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!)
      await admin.sendCommand(['ACL', 'SETUSER', 'limited', ...words.slice(3)])
      const url = redis.url.replace('//', '//limited:a-password@')
      const own = await gatewayFor(t, { redis: { ...redis, url, client: () => redis.client() }, env: acl })
      await admin.sendCommand(['ACL', 'LOG', 'RESET'])
      const as = readerOf(own, ADMIN_TOKEN)
      assert.equal((await put(as, 'mine', { 'stream-ttl': '60' }, '[1,2]')).status, 201)
      assert.equal((await post(as, 'mine', '3', producer(0, 0))).status, 200)
      assert.equal((await as('mine')).body, '[1,2,3]')
      await put(as, 'mine2', { 'stream-expires-at': '2040-01-01T00:00:00Z', 'stream-closed': 'true' })
      for (const session of ['mine', 'mine2']) assert.equal((await as(session, '', { method: 'DELETE' })).status, 204)
      assert.deepEqual(await admin.sendCommand(['ACL', 'LOG']), [])
      await own.stop()
    }
  })

  it('keeps the count of producers where Redis forbids EVALSHA', { skip: withoutRealRedis }, async (t) => {
    const redis = await realRedisFor(t)
    const admin = await redis.client()
    await admin.sendCommand(['ACL', 'SETUSER', 'scriptless', 'on', '>pw', '~*', '&*', '+@all', '-evalsha'])
    const url = redis.url.replace('//', '//scriptless:pw@')
    const own = await gatewayFor(t, { redis: { ...redis, url, client: () => redis.client() }, env: ENV })
    const as = readerOf(own, ADMIN_TOKEN)
    assert.equal((await put(as, 's')).status, 201)
    const statuses: number[] = []
    for (const seq of [0, 1, 1, 3]) statuses.push((await post(as, 's', String(seq), producer(0, seq))).status)
    assert.deepEqual(statuses, [200, 200, 204, 409])
    assert.equal((await as('s')).body, '[0,1]')
  })

  it('needs the admin token, or a JWT of the session with publish', async () => {
    await put(ask, 'jwt')
    const statusOf = async (claims: object) => (await post(readerOf(gateway, hs256(SECRET, claims)), 'jwt', '1')).status
    const exp = Math.floor(Date.now() / 1000) + 60
    assert.equal(await statusOf({ exp, session_id: 'jwt', publish: true }), 204)
    assert.equal(await statusOf({ exp, session_id: 'jwt', agent_id: 'agent-1', publish: true }), 204)
    for (const claims of [
      { session_id: 'jwt' },
      { session_id: 'jwt', publish: 'true' },
      { session_id: 'jwt', publish: true, up: false },
      { session_id: 'other', publish: true },
      { session_id: 'jwt', agent_id: 'agent-2', publish: true },
      { publish: true },
    ])
      assert.equal(await statusOf({ exp, ...claims }), 403, JSON.stringify(claims))
    assert.equal(await statusOf({ exp: exp - 600, session_id: 'jwt', publish: true }), 401)
    await gateway.agent.set(sessionAuth('jwt'), 'token-of-a-client')
    assert.equal((await post(readerOf(gateway, 'token-of-a-client'), 'jwt', '1')).status, 403)
    assert.equal((await ask('jwt')).body, '[1,1]')
  })
})

it('an agent writes and closes a stream on the embedded server', async (t) => {
  const gateway = await gatewayFor(t, { redis: await embeddedRedisFor(t), env: ENV })
  const ask = readerOf(gateway, ADMIN_TOKEN)
  assert.equal((await put(ask, 'small', { 'stream-ttl': '60' })).status, 201)
  assert.equal((await put(ask, 'small', { 'stream-ttl': '60' })).status, 200)
  const { events } = await eventsIn(gateway, 'small', 'offset=-1&live=sse', ADMIN_TOKEN)
  assert.equal((await post(ask, 'small', '[1,2]', producer(0, 0))).status, 200)
  assert.equal((await post(ask, 'small', '[1,2]', producer(0, 0))).status, 204)
  assert.equal((await post(ask, 'small', '3', { ...producer(0, 1), 'stream-closed': 'true' })).status, 200)
  await eventually(() => events.at(-1)?.event === 'end', 'the end')
  assert.equal((await ask('small')).body, '[1,2,3]')
  assert.equal((await post(ask, 'small', '4')).status, 409)
})

it('an agent writes streams on all servers of a cluster, sharded', { skip: withoutRealRedis }, async (t) => {
  const cluster = await clusterFor(t)
  const redis = await realRedisFor(t)
  const env = { ...ENV, REDIS_CLUSTER_NODES: cluster.addresses, REDIS_SHARDED_PUBSUB: 'true' }
  const gateway = await gatewayFor(t, { redis, env })
  const ask = readerOf(gateway, ADMIN_TOKEN)
  for (const session of ['a', 'b', 'c', 'd']) {
    await put(ask, session)
    const token = hs256(SECRET, { exp: Math.floor(Date.now() / 1000) + 60, session_id: session })
    const client = await connect(gateway.sessionUrl(session), { token })
    const poll = ask(session, 'offset=now&live=long-poll')
    assert.equal((await post(ask, session, '1', producer(0, 0))).status, 200)
    await client.take(1)
    assert.equal((await poll).body, '[1]')
    await client.close()
  }
})
