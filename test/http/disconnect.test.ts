import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { revokedSet, sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { BusSignature } from '../../src/doors/live/signature.ts'
import { disconnectRoute } from '../../src/http/disconnect.ts'
import type { ApiRequest } from '../../src/http/routes.ts'
import { selectionIn, selects } from '../../src/platform/selection.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { Command, killCommands, run, serve } from '../support/cli.ts'
import { connect, refused, type TestClient } from '../support/client.ts'
import { gatewayFor, sample } from '../support/gateway.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { type Client, realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually, within } from '../support/wait.ts'

const ADMIN_TOKEN = 'admin-token-of-this-test'
const PATH = '/api/admin/disconnect'

const call = (http: string, body: object, headers: Record<string, string> = {}) =>
  fetch(http + PATH, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

describe('disconnect, with two instances', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  let one: Awaited<ReturnType<typeof serve>>
  let two: Awaited<ReturnType<typeof serve>>
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
    atEnd(suite, killCommands)
    const env = { REDIS_URL: redis.url, ADMIN_TOKEN, TRUST_PROXY: 'x-forwarded-for' }
    ;[one, two] = await Promise.all([serve(env), serve(env)])
    for (const { http } of [one, two])
      await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
  })

  async function join(at: { ws: string }, session: string, address = '192.0.2.1'): Promise<TestClient> {
    await agent.set(sessionAuth(session), 'token')
    return connect(`${at.ws}/agent/ws/${session}`, { token: 'token', headers: { 'x-forwarded-for': address } })
  }

  const disconnect = (...args: string[]) =>
    run(['disconnect', ...args, '--gateway', one.http], { env: { ADMIN_TOKEN } })
  const closeOf = (client: TestClient) => within(client.closed, 'the close')

  it('closes the clients of a session on every instance with 4403, also one that goes on talking', async () => {
    const clients = [await join(one, 'bad'), await join(one, 'bad'), await join(two, 'bad')]
    const others = [await join(one, 'good'), await join(two, 'good')]
    clients[2]!.send('{"still":"here"}')
    const { status, stdout, stderr } = await disconnect('--session', 'bad')
    assert.deepEqual([status, stdout, stderr], [0, 'closed 3 sockets on 2 of 2 instances\n', ''])
    for (const client of clients) {
      const { code, reason } = await closeOf(client)
      assert.deepEqual([code, reason], [4403, 'forbidden'])
    }
    await agent.publish(sessionDown('good'), '{"n":1}')
    for (const client of others) await client.find({ n: 1 })
    const [line] = one.command.lines
      .filter((each) => each.includes('"event":"disconnected"'))
      .map((each) => JSON.parse(each))
    assert.deepEqual(
      [line.by, line.value, line.sockets, line.instances, line.expected, line.actor, line.address],
      ['session', 'bad', 3, 2, 2, 'token', '127.0.0.1'],
    )
    const page = await (await fetch(`${two.http}/metrics`)).text()
    assert.equal(sample(page, 'wsproxy_operator_closes_total', { by: 'session' }), 1)
    for (const client of others) await client.close()
  })

  it('closes the clients of a run, and those of an address or a network at every door', async () => {
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
    const runs = [await connect(`${one.ws}/run-1`, from('198.51.100.1')), await connect(`${two.ws}/run-1`)]
    const other = await connect(`${two.ws}/run-2`, from('198.51.100.2'))
    assert.equal((await disconnect('--run', 'run-1')).stdout, 'closed 2 sockets on 2 of 2 instances\n')
    for (const client of runs) assert.equal((await closeOf(client)).code, 4403)

    const atAllDoors = [
      await join(one, 'addr', '2001:db8::1'),
      await connect(`${two.ws}/live`, from('2001:db8::2')),
      await connect(`${two.ws}/run-3`, from('2001:db8::3')),
    ]
    const exact = await disconnect('--address', '2001:DB8:0::1')
    assert.equal(exact.stdout, 'closed 1 socket on 2 of 2 instances\n')
    assert.equal((await disconnect('--address', '2001:db8::/64')).stdout, 'closed 2 sockets on 2 of 2 instances\n')
    for (const client of atAllDoors) assert.equal((await closeOf(client)).code, 4403)
    assert.equal((await disconnect('--session', 'addr')).stdout, 'closed 0 sockets on 2 of 2 instances\n')
    other.send('{}')
    await other.close()
  })

  it('refuses what names no client, or more than one kind, and needs the token', async () => {
    for (const body of [
      {},
      [],
      { session: 's', run: 'r' },
      { session: '*' },
      { run: 5 },
      { address: 'localhost' },
      { subject: '' },
      { all: true },
    ])
      assert.equal((await call(one.http, body)).status, 400, JSON.stringify(body))
    assert.equal((await call(one.http, { session: 's' }, { authorization: 'Bearer wrong' })).status, 403)
    const misuses: [string[], Record<string, string>, RegExp][] = [
      [['--session', 's', '--run', 'r'], { ADMIN_TOKEN }, /exactly one/],
      [[], { ADMIN_TOKEN }, /exactly one/],
      [['--address', '10.0.0.0/33'], { ADMIN_TOKEN }, /not an IP address or a network/],
      [['--session', 's'], {}, /ADMIN_TOKEN is not set/],
    ]
    for (const [args, env, why] of misuses) {
      const { status, stderr } = await run(['disconnect', ...args], { env })
      assert.equal(status, 2, stderr)
      assert.match(stderr, why)
    }
    const nowhere = await run(['disconnect', '--session', 's', '--gateway', 'http://127.0.0.1:1'], {
      env: { ADMIN_TOKEN },
    })
    assert.equal(nowhere.status, 1)
    assert.match(nowhere.stderr, /no answer from http:\/\/127\.0\.0\.1:1\S*: .*ECONNREFUSED|bad port/)
  })

  it('fails and says so when an instance does not answer', async (t) => {
    const foreign = await serve({ REDIS_URL: redis.url, ADMIN_TOKEN: 'another-token-of-this-test' })
    t.after(() => foreign.command.signal('SIGKILL'))
    await eventually(async () => (await fetch(`${foreign.http}/ready`)).ok, 'the gateway to be ready')
    const client = await join(two, 'partly')
    const { status, stdout, stderr } = await disconnect('--session', 'partly')
    assert.deepEqual([status, stdout], [1, 'closed 1 socket on 2 of 3 instances\n'])
    assert.match(stderr, /not every instance answered.*FLEET_SECRET/)
    assert.equal((await closeOf(client)).code, 4403)
  })

  it('asks the gateway of this machine without --gateway', async () => {
    const client = await join(one, 'own')
    const { host } = new URL(one.http)
    const { stdout } = await run(['disconnect', '--session', 'own'], { env: { ADMIN_TOKEN, LISTEN_ADDR: host } })
    assert.equal(stdout, 'closed 1 socket on 2 of 2 instances\n')
    assert.equal((await closeOf(client)).code, 4403)
  })

  it('tells a client of the command line why it ended', async () => {
    await agent.set(sessionAuth('terminal'), 'token')
    const terminal = new Command(['connect', `${one.ws}/agent/ws/terminal`], { env: { WSPROXY_TOKEN: 'token' } })
    await terminal.says(/^connected/m)
    await disconnect('--session', 'terminal')
    await terminal.status()
    assert.match(terminal.stderr, /4403.*an operator has disconnected this client/)
  })
})

describe('disconnect by the subject of a JWT, with two instances', () => {
  const suite = scopeOf(after)
  const SECRET = 'a-secret-of-this-test-with-32-bytes'
  const seconds = () => Math.floor(Date.now() / 1000)
  const sign = (sub: string, claims: object = {}): string =>
    tokenOf(secretSigner(SECRET), { sub, session_id: ['s1', 's2'], run_id: 'run-9', topics: 'agents', ...claims })
  let redis: TestRedis
  let one: Awaited<ReturnType<typeof serve>>
  let two: Awaited<ReturnType<typeof serve>>
  before(async () => {
    redis = await redisFor(suite)
    atEnd(suite, killCommands)
    const env = {
      REDIS_URL: redis.url,
      ADMIN_TOKEN,
      AUTH_JWT_SECRET: SECRET,
      RUN_AUTH: 'bearer',
      WS_AUTH_REQUIRED: 'true',
    }
    ;[one, two] = await Promise.all([serve(env), serve(env)])
    for (const { http } of [one, two])
      await eventually(async () => (await fetch(`${http}/ready`)).ok, 'the gateway to be ready')
  })
  const disconnect = (...args: string[]) =>
    run(['disconnect', ...args, '--gateway', one.http], { env: { ADMIN_TOKEN } })
  const everywhere = (token: string) =>
    Promise.all(
      [one, two].flatMap(({ ws }) => ['a/ws/s1', 'run-9', 'live'].map((path) => connect(`${ws}/${path}`, { token }))),
    )

  it('closes its sockets at every door and instance with 4403, and its JWTs open no other', async () => {
    const token = sign('u1', { iat: seconds() })
    const clients = [
      ...(await everywhere(token)),
      await connect(`${two.ws}/a/ws/s2`, { token: sign('u1'), protocols: ['wsproxy.v2'] }),
    ]
    const others = await everywhere(sign('u2', { iat: seconds() }))
    const { status, stdout, stderr } = await disconnect('--subject', 'u1')
    assert.deepEqual([status, stdout, stderr], [0, 'closed 7 sockets on 2 of 2 instances\n', ''])
    for (const client of clients) assert.equal((await within(client.closed, 'the close')).code, 4403)
    for (const each of [token, sign('u1')])
      await eventually(
        async () =>
          (await refused(`${two.ws}/a/ws/s1`, { token: each }).catch(() => undefined))?.code === 'token-rejected',
        'the JWT to be revoked',
      )
    const later = await connect(`${one.ws}/a/ws/s1`, { token: sign('u1', { iat: seconds() + 5 }) })
    for (const client of [...others, later]) {
      assert.equal(client.code, undefined)
      await client.close()
    }
  })

  it('revokes its JWTs for good, also where a setting bounds the life of sockets', async (t) => {
    const env = { ADMIN_TOKEN, AUTH_JWT_SECRET: SECRET, AUTH_JWT_MAX_LIFETIME: '1h', RESUME_MAX_LIFETIME: '1h' }
    const gateway = await gatewayFor(t, { env })
    assert.equal((await call(gateway.http, { subject: 'u4' })).status, 200)
    const [member = ''] = await gateway.agent.zRange(revokedSet(), 0, -1)
    // `sign` makes JWTs without `exp`.
    const years = (Number(member.split(' ')[1]) - Date.now()) / (365 * 86_400_000)
    assert.ok(years > 1, `${years} years`)
  })

  it('leaves the JWTs valid with --reconnect', async () => {
    const token = sign('u3', { iat: seconds() })
    const client = await connect(`${two.ws}/run-9`, { token })
    assert.equal((await disconnect('--subject', 'u3', '--reconnect')).stdout, 'closed 1 socket on 2 of 2 instances\n')
    assert.equal((await within(client.closed, 'the close')).code, 4403)
    await (await connect(`${one.ws}/run-9`, { token })).close()
  })
})

describe('disconnect, while Redis does not answer', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)

  it('refuses an upgrade that is under way, whose token may be spent already', async (t) => {
    const redis = await realRedisFor(t)
    const gateway = await gatewayFor(t, {
      redis,
      env: { ADMIN_TOKEN, HANDSHAKE_TIMEOUT: '30s' },
    })
    await gateway.token('late', 'token')
    redis.process.kill('SIGSTOP')
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/agent/ws/late', { Authorization: 'Bearer token' }))
    await fetch(`${gateway.http}/livez`)
    const answered = call(gateway.http, { session: 'late' })
    assert.equal(await raw.status(), 403)
    assert.match(raw.text, /operator has disconnected/)
    redis.process.kill('SIGCONT')
    await answered
    // Its token goes back to other refused upgrades, but not to this one.
    await gateway.agent.ping()
    assert.equal(await gateway.agent.exists(sessionAuth('late')), 0)
  })

  it('closes the sockets of this instance, and says that no other was asked', async () => {
    const redis = await realRedisFor(suite)
    const gateway = await gatewayFor(suite, { redis, env: { ADMIN_TOKEN } })
    const client = await gateway.join('away')
    await redis.kill()
    await eventually(() => !gateway.gateway.redisReady, 'the gateway to see it')
    const response = await call(gateway.http, { session: 'away' })
    assert.equal(response.status, 503)
    assert.match(await response.text(), /Closed 1 sockets of this instance. Redis is away/)
    assert.equal((await within(client.closed, 'the close')).code, 4403)
  })

  it('says so when Redis is lost before it has passed the order on', async (t) => {
    const redis = await realRedisFor(t)
    const gateway = await gatewayFor(t, { redis, env: { ADMIN_TOKEN } })
    const order = { session: 'lost', reconnect: true }
    assert.equal((await call(gateway.http, order)).status, 200)
    const client = await gateway.join('lost')
    redis.process.kill('SIGSTOP')
    const answer = call(gateway.http, order)
    await within(client.closed, 'the close')
    await redis.kill()
    assert.equal((await answer).status, 503)
  })
})

describe('disconnect, where orders between instances are off', () => {
  it('closes the sockets of this instance and says that it did so only here', async () => {
    assert.equal(new BusSignature([], 'i').enabled, false)
    const { answer } = disconnectRoute({
      here: () => 2,
      everywhere: undefined,
      revoke: {},
      log: createLogger('silent', { write: () => {} }),
    })
    const request = {
      headers: { authorization: 'Bearer x' },
      client: { ip: '192.0.2.1' },
      body: Buffer.from('{"session":"s"}'),
    } as unknown as ApiRequest
    const { status, body } = await answer(request)
    assert.equal(status, '200 OK')
    assert.deepEqual(JSON.parse(String(body)), { closed: 2, instances: 1, complete: false, local_only: true })
  })
})

describe('a selection of clients', () => {
  const client = (subjectName: string, subject: string, address = '192.0.2.1') => ({
    door: { subjectName },
    subject,
    address,
  })

  it('of a session or a run names the sockets of that door only', () => {
    const session = selects(selectionIn('session', 'x')!)
    assert.deepEqual([client('session', 'x'), client('run', 'x'), client('session', 'xy')].map(session), [
      true,
      false,
      false,
    ])
    assert.equal(selects(selectionIn('run', 'x')!)(client('run', 'x')), true)
  })

  it('of an address compares addresses in any spelling, and not the text', () => {
    for (const text of ['192.0.2.1', '::ffff:192.0.2.1', '192.0.2.0/24'])
      assert.equal(selects(selectionIn('address', text)!)(client('run', 'x')), true, text)
    for (const text of ['192.0.2.1x', '192.0.2.0/33', '::ffff:192.0.2.0/120', '', '/', '192.0.2.1/', 'any'])
      assert.equal(selectionIn('address', text), undefined, text)
    assert.equal(selects(selectionIn('address', '192.0.2.1')!)(client('run', 'x', '192.0.2.10')), false)
  })

  it('is none for other kinds and values', () => {
    for (const [by, value] of [
      ['subject', ''],
      ['subject', 'u'.repeat(2049)],
      ['user', 'u'],
      ['constructor', 'x'],
      ['session', 5],
      ['session', 'a b'],
      [undefined, 'x'],
    ])
      assert.equal(selectionIn(by, value), undefined)
  })
})
