import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, afterEach, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { Command, killCommands, run, serve, serveReady, untilReady } from '../support/cli.ts'
import { connect, type TestClient } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { LOGIN_ENV, PASSWORD, post } from '../support/login.ts'
import { freePort } from '../support/ports.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { type Client, realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

/** Far more than a cut takes, and far less than the grace periods of these tests. */
const AT_ONCE_MS = 10_000
const LONG = { SHUTDOWN_GRACE_PERIOD: '300s', DRAIN_WINDOW: '100s' }

describe('wsproxy serve', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })
  afterEach(killCommands)

  const start = (env: Record<string, string> = {}) => serveReady({ REDIS_URL: redis.url, ...env })

  async function join(ws: string, session: string): Promise<TestClient> {
    await agent.set(sessionAuth(session), 'token')
    return connect(`${ws}/agent/ws/${session}`, { token: 'token' })
  }

  /** A client that never answers, not even a close. */
  async function joinMute(http: string, session: string): Promise<RawSocket> {
    await agent.set(sessionAuth(session), 'token')
    const raw = await RawSocket.open(http)
    raw.write(upgradeRequest(`/agent/ws/${session}`, { Authorization: 'Bearer token' }))
    assert.equal(await raw.status(), 101)
    return raw
  }

  it('serve exits with 2 on a bad configuration, with one line a problem on stderr', async () => {
    const env = { REDIS_URL: 'http://u:hunter2@h', WSPROXY_NOPE: '1', LOG_LEVEL: 'loud', PONG_TIMEOUT: '1s' }
    const { status, stdout, complaints } = await run(['serve'], { env })
    assert.equal(status, 2)
    assert.equal(stdout, '')
    const names = complaints.map((line) => line.slice(0, line.indexOf(':')))
    assert.deepEqual(names.sort(), ['LOG_LEVEL', 'PONG_TIMEOUT', 'REDIS_URL', 'WSPROXY_NOPE'])
    assert.doesNotMatch(complaints.join('\n'), /hunter2/)
  })

  it('serve exits with 2 in production without REDIS_URL', async () => {
    const { status, stdout, complaints } = await run(['serve'], { env: { NODE_ENV: 'production' } })
    assert.equal(status, 2)
    assert.equal(stdout, '')
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /^REDIS_URL: /)
  })

  it('serve listens on all addresses at PORT, as platforms start it', async () => {
    const port = await freePort()
    const { command } = await serve({
      LISTEN_ADDR: '',
      PORT: String(port),
      NODE_ENV: 'production',
      REDIS_URL: redis.url,
    })
    await command.prints(new RegExp(`"host":"0\\.0\\.0\\.0","port":${port}`))
    const address = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === 'IPv4' && !each.internal)?.address
    await untilReady(`http://${address ?? '127.0.0.1'}:${port}`)
  })

  it('serve logs one warning for each variable that it does not use', async () => {
    const { command } = await start({ PORT: '1', MAX_CONECTIONS: '5', REDIS_PORT: 'tcp://10.0.0.1:6379' })
    const warnings = command.lines.filter((line) => line.includes('"event":"setting"'))
    assert.deepEqual(
      warnings.map((line) => JSON.parse(line).msg.split(':')[0]),
      ['REDIS_PORT', 'PORT', 'MAX_CONECTIONS'],
    )
  })

  it('serve exits with 1 and names the port when the port is taken', async () => {
    const { http } = await start()
    const { host } = new URL(http)
    const second = await run(['serve'], { env: { LISTEN_ADDR: host, REDIS_URL: redis.url } })
    assert.equal(second.status, 1)
    assert.equal(second.complaints.length, 1)
    assert.ok(second.complaints[0]!.includes(host), second.stderr)
    assert.equal((await fetch(`${http}/version`)).status, 200)

    const admin = await run(['serve'], {
      env: { LISTEN_ADDR: `127.0.0.1:${await freePort()}`, ADMIN_PORT: new URL(http).port, REDIS_URL: redis.url },
    })
    assert.equal(admin.status, 1)
    assert.ok(admin.complaints.at(-1)!.includes(host), admin.stderr)
  })

  it('a restarted gateway queues the connections of all its clients while it is busy', async () => {
    const { command, http } = await start()
    const { hostname, port } = new URL(http)
    // Nothing is accepted meanwhile, so all connections wait in the kernel, where one listener has
    // room for 512.
    command.signal('SIGSTOP')
    const sockets = Array.from({ length: 2000 }, () => connectTcp(Number(port), hostname))
    try {
      await within(Promise.all(sockets.map((socket) => once(socket, 'connect'))), 'all to be connected', AT_ONCE_MS)
    } finally {
      for (const socket of sockets) socket.destroy()
      command.signal('SIGCONT')
    }
  })

  it('serve with AUTH_LOGIN answers the logins of users that wsproxy user has added', async () => {
    const env = { REDIS_URL: redis.url }
    const added = await run(['user', 'add', 'ada@example.org'], { env, input: PASSWORD })
    assert.equal(added.status, 0, added.stderr)
    const { http } = await start(LOGIN_ENV)
    const { status, body } = await post({ http }, '/api/auth/login', { email: 'ada@example.org', password: PASSWORD })
    assert.deepEqual([status, body.user?.email], [200, 'ada@example.org'])
  })

  it('serve starts before Redis does, and stops with 0', async () => {
    const { command, http } = await serve({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` })
    assert.equal((await fetch(`${http}/ready`)).status, 503)
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
  })

  it('serve without REDIS_URL starts an embedded Redis and prints its address in one line', async (t) => {
    const env = temporaryFolder(t)
    const { command, http, ws } = await serve(env)
    await untilReady(http)
    const told = command.complaints.filter((line) => line.includes('redis://'))
    assert.equal(told.length, 1)
    assert.match(told[0]!, /redis:\/\/127\.0\.0\.1:\d+;/)

    const created = await run(['token', 'create', 's1', '--ttl', '60'], { env })
    assert.equal(created.status, 0, created.stderr)
    const client = new Command(['connect', `${ws}/agent/ws/s1`], { env: { WSPROXY_TOKEN: created.stdout.trim() } })
    await client.says(/^connected/m)
    const published = await run(['publish', 's1', '{"hello":1}'], { env })
    assert.equal(published.status, 0, published.stderr)
    await eventually(() => client.lines.length === 1, 'the frame')
    assert.deepEqual(client.lines, ['{"hello":1}'])

    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
    assert.equal(await client.status(), 0)
    assert.match(client.stdout, /"command":"goodbye"/)
  })

  it('serve logs JSON lines only on stdout, and never a token', async () => {
    const { command, ws } = await start({ LOG_LEVEL: 'trace' })
    const client = await join(ws, 'log')
    client.send('{"secret":"payload"}')
    await client.close()
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
    const events = command.lines.map((line) => JSON.parse(line).event)
    for (const event of ['listening', 'accepted', 'closed', 'drain-start', 'drain-end'])
      assert.ok(events.includes(event), event)
    assert.doesNotMatch(command.stdout, /Bearer|"token"|payload/)
  })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
    it(`serve drains on ${signal}: each socket gets its goodbye and 1001, and the status is 0`, async () => {
      const { command, http, ws } = await start()
      const clients: TestClient[] = []
      for (let i = 0; i < 20; i++) clients.push(await join(ws, `drain-${i % 4}`))
      // A connection that a scraper keeps alive must not keep the process alive.
      await fetch(`${http}/metrics`).then((response) => response.text())
      command.signal(signal)
      for (const client of clients) {
        assert.equal((await within(client.closed, 'the close')).code, 1001)
        const { type, reason, reconnect_after_ms: pause, ...rest } = client.values.at(-1)!
        assert.deepEqual({ type, reason, rest }, { type: 'control', reason: 'draining', rest: { command: 'goodbye' } })
        assert.ok(Number(pause) > 0)
        assert.equal(client.frames.length, 1)
      }
      assert.equal(await command.status(), 0)
      await assert.rejects(fetch(`${http}/ready`))
    })
  }

  it('serve waits for the drain delay with the listener open and /ready at 503', async () => {
    const { command, http, ws } = await start({ ...LONG, DRAIN_DELAY: '200s' })
    const client = await join(ws, 'delay')
    command.signal('SIGTERM')
    await command.prints(/drain-start/)
    assert.equal((await fetch(`${http}/ready`)).status, 503)
    await agent.publish(sessionDown('delay'), '{"still":"served"}')
    await client.find({ still: 'served' })
    command.signal('SIGTERM')
    assert.equal(await within(command.exited, 'the end', AT_ONCE_MS), 0)
  })

  it('serve cuts stragglers after the grace period and exits with 0', async () => {
    const { command, http } = await start({ SHUTDOWN_GRACE_PERIOD: '500ms' })
    const mute = await joinMute(http, 'mute')
    command.signal('SIGTERM')
    assert.equal(await within(command.exited, 'the end', AT_ONCE_MS), 0)
    await mute.untilClosed()
    assert.match(mute.text, /goodbye/)
  })

  it('serve cuts all sockets at once on a second signal', async () => {
    const { command, http } = await start(LONG)
    const mutes = [await joinMute(http, 'mute-1'), await joinMute(http, 'mute-2')]
    command.signal('SIGTERM')
    await eventually(() => mutes.every((mute) => mute.text.includes('goodbye')), 'the goodbyes')
    assert.equal(command.child.exitCode, null)
    command.signal('SIGINT')
    assert.equal(await within(command.exited, 'the end', AT_ONCE_MS), 0)
    for (const mute of mutes) await mute.untilClosed()
  })

  it('serve delivers accepted messages to a slow client before the goodbye', async () => {
    const { command, ws } = await start({ ...LONG, MAX_BUFFER_SIZE_BYTES: '10MiB' })
    const client = await join(ws, 'slow')
    client.socket.pause()
    const message = JSON.stringify({ text: 'x'.repeat(100_000) })
    for (let i = 0; i < 60; i++) await agent.publish(sessionDown('slow'), message)
    const http = ws.replace('ws', 'http')
    await eventually(
      async () =>
        (await (await fetch(`${http}/metrics`)).text()).includes('wsproxy_messages_sent_total{door="session"} 60'),
      'all to be accepted',
    )
    command.signal('SIGTERM')
    await command.prints(/drain-start/)
    client.socket.resume()
    assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.equal(client.frames.length, 61)
    assert.equal(client.values.at(-1)?.command, 'goodbye')
    assert.equal(await within(command.exited, 'the end', AT_ONCE_MS), 0)
  })

  it('serve stops with 0 while Redis hangs', { skip: withoutRealRedis }, async (t) => {
    const hanging = await realRedisFor(t)
    const { command, http } = await serve({ REDIS_URL: hanging.url })
    await untilReady(http)
    hanging.process.kill('SIGSTOP')
    command.signal('SIGTERM')
    assert.equal(await within(command.exited, 'the end', AT_ONCE_MS), 0)
  })
})
