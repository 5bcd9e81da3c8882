import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { after, afterEach, before, describe, it } from 'node:test'
import { portAdvice } from '../../src/cli/listen-failure.ts'
import { Command, killCommands, run, serve, serveReady, untilReady, withoutTerminal } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { temporaryFolder } from '../support/folder.ts'
import { takeMessages } from '../support/numbered.ts'
import { freePort } from '../support/ports.ts'
import { realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'

describe('the start of wsproxy serve', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  afterEach(killCommands)

  const start = (env: Record<string, string> = {}) => serveReady({ REDIS_URL: redis.url, ...env })

  it('serve names the program that has the port and another port, and logs no drain', async () => {
    const { command, http } = await start()
    const { hostname, port } = new URL(http)
    for (const [env, prefix] of [
      [{}, 'wsproxy serve'],
      [{ npm_lifecycle_event: 'start' }, 'npm start'],
    ] as const) {
      const second = await run(['serve'], {
        env: { LISTEN_ADDR: `${hostname}:${port}`, REDIS_URL: redis.url, ...env },
      })
      assert.equal(second.status, 1)
      const [line = ''] = second.complaints
      if (existsSync('/proc/net/tcp'))
        assert.ok(line.includes(`Port ${port} belongs to node (pid ${command.child.pid})`), line)
      assert.ok(line.endsWith(`take another port: LISTEN_ADDR=${hostname}:${Number(port) + 1} ${prefix}`), line)
      assert.doesNotMatch(second.stdout, /drain/)
    }
  })

  it('serve says without the delay of a drain that it cannot listen', async () => {
    const { http } = await start()
    const env = { SHUTDOWN_GRACE_PERIOD: '300s', DRAIN_DELAY: '100s' }
    const second = await run(['serve'], { env: { LISTEN_ADDR: new URL(http).host, REDIS_URL: redis.url, ...env } })
    assert.equal(second.status, 1)
  })

  it('serve names ADMIN_PORT where that port is taken', async () => {
    const { http } = await start()
    const { hostname, port } = new URL(http)
    const second = await run(['serve'], {
      env: { LISTEN_ADDR: `${hostname}:${await freePort()}`, ADMIN_PORT: port, REDIS_URL: redis.url },
    })
    assert.equal(second.status, 1)
    const [line = ''] = second.complaints
    assert.ok(line.endsWith(`take another port: ADMIN_PORT=${Number(port) + 1} wsproxy serve`), line)
    assert.doesNotMatch(line, /LISTEN_ADDR|\.\./)
  })

  it('serve proposes no other port where the address is not one of this machine', async () => {
    const { status, complaints } = await run(['serve'], {
      env: { LISTEN_ADDR: `192.0.2.1:${await freePort()}`, REDIS_URL: redis.url },
    })
    assert.equal(status, 1)
    assert.match(complaints[0]!, /cannot listen on 192\.0\.2\.1:\d+: .* does not have that address$/)
  })

  it('serve says that a port needs a privilege, and proposes one that needs none', () => {
    const [line, ...more] = portAdvice(80, 'EACCES', (port) => `LISTEN_ADDR=0.0.0.0:${port}`)
    assert.match(line!, /^Port 80 needs a privilege .*LISTEN_ADDR=0\.0\.0\.0:8080 /)
    assert.deepEqual(more, [])
  })

  it('serve with PORT in production answers on all addresses', async () => {
    const port = await freePort()
    const command = new Command(['serve'], {
      env: { PORT: String(port), NODE_ENV: 'production', REDIS_URL: redis.url, PREFLIGHT_CHECK_TIMEOUT: '2s' },
    })
    await command.prints(new RegExp(`"event":"listening","host":"0.0.0.0","port":${port}`))
    const [other] = Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4')
    for (const host of ['127.0.0.1', other?.address ?? '127.0.0.2']) await untilReady(`http://${host}:${port}`)
  })

  it('serve prints five lines in development: addresses, Redis, doors, what is open, what is next', async () => {
    const { command, http } = await start()
    await command.says(/^Next.*\n/m)
    const { port, host } = new URL(http)
    assert.deepEqual(
      command.complaints.map((line) => line.replace(/ \d+\.\d+\.\d+ /, ' VERSION ')),
      [
        `wsproxy VERSION listens on http://${host}`,
        `Redis   ${redis.url}`,
        'Doors   /{agent}/ws/{session}  /{run}  /live',
        'Open    the run door, the live door, /metrics: no token needed',
        `Next    wsproxy connect -c ws://127.0.0.1:${port}/agent-1/ws/s1`,
      ],
    )
    for (const line of command.complaints) assert.ok(line.length <= 80, line)
  })

  it('serve says at its start why Redis refuses it and which setting mends that, as the log does', {
    skip: withoutRealRedis,
  }, async (t) => {
    const guarded = await realRedisFor(t, ['--requirepass', 'open sesame'])
    const url = `redis://:another-word@127.0.0.1:${guarded.port}`
    const command = new Command(['serve'], { env: { REDIS_URL: url, LISTEN_ADDR: '127.0.0.1:0' } })
    await command.says(/^Next.*\n/m)
    const [line] = command.complaints.filter((each) => each.startsWith('Redis'))
    const remedy = 'Redis runs, and refuses this user or password. Correct both in REDIS_URL'
    assert.match(line!, new RegExp(`^Redis   redis://127.0.0.1:${guarded.port}; not connected: WRONGPASS .*${remedy}`))
    await command.prints(new RegExp(`"event":"redis-lost".*"remedy":"${remedy}.*\\n`))
    assert.doesNotMatch(command.stdout + command.stderr, /another-word|sesame/)
    command.signal('SIGTERM')
    assert.equal(await command.exited, 0)
  })

  it('serve says in one line of the log what is open to anybody, and nothing when all is closed', async () => {
    const production = { NODE_ENV: 'production', LISTEN_ADDR: '127.0.0.1:0' }
    const open = await start(production)
    const lines = open.command.lines.filter((line) => line.includes('"event":"open-to-anybody"'))
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).msg),
      [
        'open to anybody: the run door (RUN_AUTH=bearer closes it), the live door (WS_AUTH_REQUIRED=true closes it), ' +
          '/metrics (ADMIN_PORT closes it)',
      ],
    )
    assert.equal(open.command.stderr, '')
    const closed = await start({
      ...production,
      RUN_AUTH: 'bearer',
      WS_AUTH_REQUIRED: 'true',
      WS_AUTH_TOKEN: 'b8f2c1a09e7d46f3',
      METRICS_ENABLED: 'false',
    })
    assert.doesNotMatch(closed.command.stdout, /open-to-anybody/)
  })

  it('serve with the embedded Redis answers the first frame of session demo, unless DEMO_AGENT=false', async (t) => {
    const env = temporaryFolder(t)
    const { command, http, ws } = await serve(env)
    await untilReady(http)
    const [, next = ''] = await command.says(/^Next +wsproxy connect -c (ws:\S+)/m)
    assert.equal(next, `${ws}/echo/ws/demo`)
    const client = new Command(['connect', '-c', next], { env })
    await client.says(/^connected/m)
    client.write('{"text":"hello"}')
    assert.ok(await client.prints(/^\{"type":"echo","frame":\{"text":"hello"\}\}$/m))
    client.signal('SIGINT')
    await client.status()
    const { stdout: token } = await run(['token', 'create', 'demo'], {
      env: { ...env, LISTEN_ADDR: new URL(http).host },
    })
    const late = await connect(`${next}?cursor=-1`, { token: token.trim(), protocols: ['wsproxy.v2'] })
    assert.deepEqual(await takeMessages(late, 1), ['1 {"type":"echo","frame":{"text":"hello"}}'])
    await late.close()
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)

    const silent = await serve({ ...env, DEMO_AGENT: 'false' })
    await silent.command.says(/^Next.*agent-1\/ws\/s1$/m)
  })

  it('serve on a terminal logs for people, and JSON in production', { skip: withoutTerminal }, async () => {
    const env = { LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: redis.url }
    const people = new Command(['serve'], { env, terminal: true })
    await people.prints(/^Next /m)
    people.child.stdin?.write('\u0003')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the colour of the level.
    await people.prints(/\d\d:\d\d:\d\d\.\d{3} \u001b\[32minfo \u001b\[0m draining {2}sockets=0/)
    assert.doesNotMatch(people.stdout, /"level"/)
    assert.equal(await people.status(), 0)
    const production = new Command(['serve'], { env: { ...env, NODE_ENV: 'production' }, terminal: true })
    await production.prints(/^\{"level":"info".*"event":"listening"/m)
    production.child.stdin?.write('\u0003')
    assert.equal(await production.status(), 0)
  })
})
