import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { LogOutput } from '../../src/telemetry/log-output.ts'
import { Command, killCommands, serve } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { sample } from '../support/gateway.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const AT_ONCE_MS = 10_000

describe('the output of the log', () => {
  it('counts lines that a full disk refuses, and throws nothing', { skip: !existsSync('/dev/full') }, async (t) => {
    const fd = openSync('/dev/full', 'w')
    t.after(() => closeSync(fd))
    const output = new LogOutput(fd)
    output.write('one\n')
    output.write('two\n')
    await eventually(() => output.dropped >= 1, 'the count')
    await output.flushWithin(1500)
    assert.equal(output.dropped, 2)
  })

  it('drops and counts the lines beyond its bound', async (t) => {
    const fd = openSync('/dev/null', 'w')
    t.after(() => closeSync(fd))
    const resumed: number[] = []
    const output = new LogOutput(fd, { maxWaitingBytes: 10, resumed: (lines) => resumed.push(lines) })
    for (let i = 0; i < 5; i++) output.write('1234\n')
    assert.equal(output.dropped, 3)
    await output.flushWithin(AT_ONCE_MS)
    assert.deepEqual(resumed, [3])
    output.write('1234\n')
    await output.flushWithin(AT_ONCE_MS)
    assert.equal(output.dropped, 3)
  })
})

describe('wsproxy serve with a reader of its log that has stopped', () => {
  const suite = scopeOf(after)
  const ADMIN = 'admin-token-of-this-test'
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
    atEnd(suite, killCommands)
  })

  /** A gateway whose log nothing reads any more, after more lines than it keeps. */
  async function stuck() {
    const served = await serve({ REDIS_URL: redis.url, ADMIN_TOKEN: ADMIN, NODE_ENV: 'production' })
    await eventually(async () => (await fetch(`${served.http}/ready`)).ok, 'readiness')
    served.command.child.stdout!.pause()
    const call = () =>
      fetch(`${served.http}/api/dashboard/websocket/disconnect/${'x'.repeat(3000)}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN}` },
      }).then((response) => response.text())
    const dropped = async () =>
      sample(await (await fetch(`${served.http}/metrics`)).text(), 'wsproxy_log_lines_dropped_total')
    assert.equal(await dropped(), 0)
    await eventually(async () => {
      // No instance has a socket with such an id, so each call waits a second for the answers.
      await Promise.all(Array.from({ length: 200 }, call))
      return (await dropped()) > 0
    }, 'dropped lines')
    return { ...served, dropped }
  }

  it('drops lines, counts them, and says how many when the reader goes on', async () => {
    const { command, dropped } = await stuck()
    command.child.stdout!.resume()
    const [, lines] = await command.prints(/"event":"log-dropped","lines":(\d+)/)
    assert.equal(Number(lines), await dropped())
    for (const line of command.lines) JSON.parse(line)
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
    assert.match(command.stdout, /drain-end/)
  })

  it('still serves clients, drains them, and ends with 0', async () => {
    const { command, http, ws } = await stuck()
    const agent = await redis.client()
    await agent.set('session:stuck:auth', 'secret')
    const client = await connect(`${ws}/a/ws/stuck`, { token: 'secret' })
    const exited = once(command.child, 'exit')
    command.signal('SIGTERM')
    assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.deepEqual(await within(exited, 'the end', AT_ONCE_MS), [0, null])
    await assert.rejects(fetch(`${http}/livez`))
    command.child.stdout!.resume()
  })

  it('still ends with 0 when the reader is gone', async () => {
    const { command, http } = await stuck()
    command.child.stdout!.destroy()
    const exited = once(command.child, 'exit')
    assert.equal((await fetch(`${http}/livez`)).status, 200)
    command.signal('SIGTERM')
    assert.deepEqual(await within(exited, 'the end', AT_ONCE_MS), [0, null])
  })
})

describe('wsproxy serve on a signal', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
    atEnd(suite, killCommands)
  })

  it('opens no inspector on SIGUSR1 in production', async () => {
    const { command, http } = await serve({ REDIS_URL: redis.url, NODE_ENV: 'production' })
    command.signal('SIGUSR1')
    // Node would print this at once, and a second process could attach.
    for (let i = 0; i < 20; i++) await fetch(`${http}/livez`)
    assert.doesNotMatch(command.stderr, /Debugger listening/)
    const inspector = await fetch('http://127.0.0.1:9229/json/version').catch(() => undefined)
    assert.ok(inspector === undefined || !(await inspector.text()).includes('node.js'), 'an inspector listens')
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
  })

  it('ends a start that cannot listen while nothing reads its log', async () => {
    const { http } = await serve({ REDIS_URL: redis.url })
    const second = new Command(['serve'], { env: { LISTEN_ADDR: new URL(http).host, REDIS_URL: redis.url } })
    second.child.stdout!.pause()
    const exited = once(second.child, 'exit')
    assert.deepEqual(await within(exited, 'the end', AT_ONCE_MS), [1, null])
  })
})
