import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { preflightReports, sessionAuth } from '../../src/contract/names.ts'
import type { Report } from '../../src/preflight/check.ts'
import { killCommands, run, serve } from '../support/cli.ts'
import { freePort } from '../support/ports.ts'
import { checkFolderFor, checkSource, resultOf } from '../support/preflight.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { AMPLE_CHECK_TIMEOUT } from '../support/wait.ts'

describe('wsproxy doctor', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  let env: Record<string, string>
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
    env = {
      REDIS_URL: redis.url,
      LISTEN_ADDR: '127.0.0.1:0',
      MAX_CONNECTIONS: '100',
      PREFLIGHT_CHECK_TIMEOUT: AMPLE_CHECK_TIMEOUT,
    }
    atEnd(suite, killCommands)
  })
  const json = async (args: string[] = [], more: Record<string, string> = {}) => {
    const { status, stdout, stderr } = await run(['doctor', '--json', ...args], { env: { ...env, ...more } })
    return { status, report: JSON.parse(stdout) as Report & { redis: Record<string, string> }, stderr }
  }

  it('doctor without a gateway prints a table of at most 80 columns and exits with 0', async () => {
    const { status, stdout, stderr } = await run(['doctor'], { env })
    assert.equal(status, 0, stdout + stderr)
    assert.equal(stderr, '')
    const lines = stdout.split('\n')
    assert.equal(lines[0], `Redis: ${redis.url} (REDIS_URL)`)
    for (const line of lines) assert.ok(line.length <= 80, line)
    // The check of Redis warns when its answer takes 100 ms, as it may on a loaded machine.
    assert.match(stdout, /^(ok {2}|WARN) {2}redis +[\d.]+ ms {2}\S/m)
    for (const name of ['native-binary', 'redis-pubsub', 'websocket', 'token-store', 'open-files', 'capacity'])
      assert.match(stdout, new RegExp(`^ok    ${name} +[\\d.]+ ms  \\S`, 'm'))
    assert.match(stdout, /^skip {2}session-token +- {2}no session was given$/m)
    assert.match(stdout, /no gateway runs here/)
    assert.match(stdout, /^Fit to launch(, with warnings)?: \d+ ok, \d+ warned, 0 failed, \d+ skipped, in \d+ ms\.$/m)
    assert.ok(!stdout.includes('\u001b'), 'no colours where nobody sees them')
  })

  it('doctor records its run and changes nothing else in Redis', async () => {
    await agent.sendCommand(['FLUSHALL'])
    const { status, report } = await json()
    assert.equal(status, 0)
    assert.deepEqual([report.healthy, report.mode, report.triggeredBy], [true, 'full', 'doctor'])
    const keys = await agent.keys('*')
    assert.deepEqual(
      keys.filter((key) => !key.includes(preflightReports())),
      [],
    )
    assert.equal(await agent.xLen(preflightReports()), 1)
  })

  it('doctor checks the given ids, prints a remedy, and exits with 1 when a check fails', async () => {
    const { status, stdout } = await run(['doctor', '--session', 's1'], { env })
    assert.equal(status, 1)
    assert.match(stdout, /^FAIL {2}session-token +[\d.]+ ms {2}session s1 has no token/m)
    assert.match(stdout, /-> Create one: wsproxy token create s1/)
    assert.match(stdout, /^Not fit to launch: /m)
    await agent.set(sessionAuth('s1'), 'hunter2')
    const args = ['--session', 's1', '--run', 'r;1', '--agent', 'a1', '--event-type', 'launch', '--campaign', 'c1']
    const { report } = await json(args)
    const { sessionId, runId, agentId, eventType, campaignId } = report
    assert.deepEqual([sessionId, runId, agentId, eventType, campaignId], ['s1', 'r;1', 'a1', 'launch', 'c1'])
    assert.equal(resultOf(report, 'session-token').status, 'pass')
    assert.equal(resultOf(report, 'agent-connection').status, 'fail')
    assert.doesNotMatch(JSON.stringify(report), /hunter2/)
  })

  it('doctor says why Redis cannot be reached, without its password, and does not hang', async () => {
    const port = await freePort()
    const startedAt = performance.now()
    const { status, stdout } = await run(['doctor'], {
      env: { ...env, REDIS_URL: `redis://u:hunter2@127.0.0.1:${port}` },
    })
    assert.ok(performance.now() - startedAt < 10_000)
    assert.equal(status, 1)
    assert.match(stdout, /cannot be reached: .*ECONNREFUSED/)
    assert.match(stdout, /^FAIL {2}redis /m)
    assert.match(stdout, /-> No program listens there\. Start Redis/)
    assert.match(stdout, /^skip {2}token-store +- {2}cannot tell without Redis/m)
    assert.match(stdout, /^ok {4}capacity /m)
    assert.doesNotMatch(stdout, /hunter2/)
  })

  it('doctor names the cause when the connection for commands fails after the other one', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', (bytes) => {
        if (bytes.includes('wsproxy-commands')) setTimeout(() => socket.destroy(), 100)
        else socket.destroy()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const { message } = resultOf((await json([], { REDIS_URL: `redis://127.0.0.1:${port}` })).report, 'redis')
    assert.match(message, /is connecting; the connection was closed before the answer to HELLO/)
  })

  it('doctor names each cause of a refused Redis with its own remedy', async () => {
    const { port } = new URL(redis.url)
    const of = async (url: string) => resultOf((await json([], { REDIS_URL: url })).report, 'redis')
    const password = await of(`redis://stranger:hunter2@127.0.0.1:${port}`)
    assert.match(password.message, /WRONGPASS/)
    assert.match(password.remediation!, /^Redis runs, and refuses this user or password/)
    assert.doesNotMatch(JSON.stringify(password), /hunter2/)
    const name = await of('redis://no-such-host.invalid:6379')
    assert.match(name.remediation!, /^The host name in REDIS_URL cannot be resolved/, name.message)
    const tls = await of(`rediss://127.0.0.1:${port}`)
    assert.equal(tls.status, 'fail')
  })

  it('doctor without REDIS_URL names the Redis that it used', async () => {
    const { stdout } = await run(['doctor'], { env: { ...env, REDIS_URL: '' } })
    assert.match(
      stdout,
      /^Redis: redis:\/\/127\.0\.0\.1:\d+ \(REDIS_URL is not set: (an embedded Redis, started for this command|the embedded Redis of the running gateway)\)$/m,
    )
  })

  it('doctor notes that a gateway has the port, and fails when another program has it', async () => {
    const gateway = await serve({ REDIS_URL: redis.url })
    const { report } = await json([], { LISTEN_ADDR: gateway.http.replace('http://', '') })
    assert.match(resultOf(report, 'websocket').message, /wsproxy \d\S* listens on port \d+/)
    const other = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const taken = await json([], { LISTEN_ADDR: `127.0.0.1:${port}` })
    other.close()
    assert.equal(taken.status, 1)
    assert.match(resultOf(taken.report, 'websocket').message, /cannot listen on 127\.0\.0\.1:\d+: the port is taken/)
  })

  it('doctor shows in its table that the native binary cannot be loaded', async () => {
    const otherMachine = "Object.defineProperty(process, 'arch', { value: 'mips' })"
    const hook = `data:text/javascript,${encodeURIComponent(otherMachine)}`
    const { status, report } = await json([], { NODE_OPTIONS: `--import ${hook}` })
    assert.equal(status, 1)
    assert.equal(resultOf(report, 'native-binary').status, 'fail')
    assert.match(resultOf(report, 'native-binary').message, /no binary for Node v\d+/)
    assert.equal(resultOf(report, 'redis').status, 'pass')
  })

  it('doctor exits with 2 and names an invalid argument or an invalid check file', async (t) => {
    for (const [args, pattern] of [
      [['--session', 'a/b'], /^--session: must be/],
      [['--run', 'a/b'], /^--run: must be/],
      [['--event-type', 'A B'], /^--event-type: must be/],
      [['--campaign', ''], /^--campaign: must be/],
    ] as const) {
      const { status, complaints } = await run(['doctor', ...args], { env })
      assert.equal(status, 2)
      assert.match(complaints[0]!, pattern)
    }
    const folder = checkFolderFor(t).add('redis.js', checkSource('redis', ''))
    for (const command of ['doctor', 'serve']) {
      const { status, complaints } = await run([command], { env: { ...env, PREFLIGHT_CHECKS_FOLDER: folder.path } })
      assert.equal(status, 2)
      assert.deepEqual(complaints, ['redis.js: the check "redis" is also in redis.js'])
    }
    const wrong = { ...env, PREFLIGHT_HTTP_DEPENDENCIES: 'http://u:hunter2@h/' }
    const { status, stderr } = await run(['serve'], { env: wrong })
    assert.equal(status, 2)
    assert.match(stderr, /^PREFLIGHT_HTTP_DEPENDENCIES: /)
    assert.doesNotMatch(stderr, /hunter2/)
  })
})
