import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import { Command, killCommands, run } from '../support/cli.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { withoutProc } from '../support/memory.ts'
import { freePort } from '../support/ports.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

describe('wsproxy connect', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, {
      env: { STREAM_END_TIMEOUT: '300ms', MAX_MESSAGE_SIZE: '1KB', ALLOWED_ORIGINS: 'https://app.example.org' },
    })
    atEnd(suite, killCommands)
  })

  /** A command that has connected to the session. */
  async function join(session: string, args: readonly string[] = []): Promise<Command> {
    const token = await gateway.token(session)
    const command = new Command(['connect', gateway.sessionUrl(session), ...args], { env: { WSPROXY_TOKEN: token } })
    await command.says(/^connected/m)
    return command
  }

  async function listen(session: string): Promise<string[]> {
    const heard: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp(session), (message) => heard.push(message))
    return heard
  }

  it('connect prints each frame as a line of stdout, and nothing else there', async () => {
    const command = await join('prints')
    const sent = ['{"n":1}', '{"text":"é😀"}', '[3]']
    for (const each of sent) await gateway.agent.publish(sessionDown('prints'), each)
    await eventually(() => command.lines.length === 3, 'the lines')
    assert.deepEqual(command.lines, sent)
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
    assert.deepEqual(command.lines, sent)
  })

  it('connect says which door it dialled, and what a session would be', async () => {
    const session = await join('named')
    assert.match(session.stderr, /^connected to ws:.*\/ws\/named \(session "named"\)$/m)
    const { origin } = new URL(gateway.sessionUrl('named'))
    const base = origin.replace(/^http/, 'ws')
    for (const [path, door] of [
      ['/mistyped', /^connected to .* \(run "mistyped"; a session would be \/\{agent\}\/ws\/\{session\}\)$/m],
      ['/live', /^connected to .* \(the live door\)$/m],
      ['/api/dashboard/ws/tasks', /^connected to .* \(the live door\)$/m],
      // The path of another gateway: here it is that of a run.
      ['/feed', /^connected to .* \(the live door\)$/m],
    ] as const) {
      const command = new Command(
        ['connect', `${base}${path}`],
        path === '/feed' ? { env: { WSPROXY_LIVE_PATH: path } } : {},
      )
      await command.says(door)
      assert.deepEqual(
        command.lines.filter((line) => line.startsWith('connected')),
        [],
      )
      command.signal('SIGINT')
      await command.status()
    }
    session.signal('SIGINT')
    await session.status()
  })

  it('connect says how to type a text that is not JSON', async () => {
    const command = await join('hint')
    command.write('hello "you"')
    await command.says(/not JSON, which sessions want: type \{"text":"hello \\"you\\""\}/)
    command.signal('SIGINT')
    await command.status()
  })

  it('connect prints no control character of a frame, a close reason or a refusal, and one line a frame', async () => {
    const command = await join('steers')
    const hostile = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u0000\b\u007f'
    for (const each of [`a${hostile}b\tc`, '{"pretty":\r\n1,\n"n":2}', '"é😀"'])
      await gateway.agent.publish(sessionDown('steers'), each)
    await eventually(() => command.lines.length === 3, 'the lines')
    assert.deepEqual(command.lines, ['a]0;owned[2J31mb\tc', '{"pretty": 1, "n":2}', '"é😀"'])
    command.signal('SIGINT')
    await command.status()
  })

  it('connect prints no control character of the server that refuses it or closes', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 403 No\u001b[1m\r\nContent-Length: 9\r\n\r\n\u001b[2J\nfake'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { status, stderr } = await run(['connect', `ws://127.0.0.1:${port}/a/ws/b`, '--token', 'x'])
    server.close()
    assert.equal(status, 1)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that must not come.
    assert.doesNotMatch(stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  })

  it('connect sends each non-empty line of stdin as a frame', async () => {
    const heard = await listen('sends')
    const command = await join('sends')
    for (const line of ['{"n":1}', '', '{"n": 2}']) command.write(line)
    await eventually(() => heard.length === 2, 'the frames')
    assert.deepEqual(heard, ['{"n":1}', '{"n": 2}'])
    command.signal('SIGINT')
    await command.status()
  })

  it('connect sends lines that stdin had before the connection opened', async () => {
    const heard = await listen('early')
    const token = await gateway.token('early')
    const args = ['connect', gateway.sessionUrl('early'), '--close-on-eof']
    const { status } = await run(args, { env: { WSPROXY_TOKEN: token }, input: '{"n":1}\n{"n":2}\n' })
    assert.equal(status, 0)
    assert.deepEqual(heard, ['{"n":1}', '{"n":2}'])
  })

  it('connect stays open when stdin ends, and closes with --close-on-eof', async () => {
    const stays = await join('stays')
    const closes = await join('closes', ['--close-on-eof'])
    for (const command of [stays, closes]) command.child.stdin?.end()
    assert.equal(await closes.status(), 0)
    await gateway.agent.publish(sessionDown('stays'), '{"n":1}')
    await eventually(() => stays.lines.length === 1, 'a line')
    stays.signal('SIGINT')
    assert.equal(await stays.status(), 0)
  })

  it('connect takes --token out of the list of processes', { skip: withoutProc }, async () => {
    const token = await gateway.token('listed')
    const command = new Command(['connect', gateway.sessionUrl('listed'), '--token', token])
    await command.says(/^connected/m)
    assert.ok(!readFileSync(`/proc/${command.child.pid}/cmdline`, 'latin1').includes(token))
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
  })

  it('connect prefers --token to WSPROXY_TOKEN', async () => {
    const token = await gateway.token('option')
    const args = ['connect', gateway.sessionUrl('option'), '--token', token]
    const command = new Command(args, { env: { WSPROXY_TOKEN: 'another' } })
    await command.says(/^connected/m)
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
    assert.ok(!command.stderr.includes(token))
  })

  it('connect sends the Origin of --origin', async () => {
    const command = await join('origin', ['--origin', 'https://app.example.org'])
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
    const token = await gateway.token('origin')
    const args = ['connect', gateway.sessionUrl('origin'), '--token', token, '--origin', 'https://evil.example.org']
    const { status, stderr } = await run(args)
    assert.equal(status, 1)
    assert.match(stderr, /403.*origin-not-allowed/s)
  })

  it('connect exits with 1 when it is refused, with status and body on stderr', async () => {
    const { status, stdout, complaints } = await run(['connect', gateway.sessionUrl('refused'), '--token', 'wrong'])
    assert.equal(status, 1)
    assert.equal(stdout, '')
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /403 Forbidden .*"code":"token-rejected"/)
    const none = await run(['connect', gateway.sessionUrl('refused')])
    assert.equal(none.status, 1)
    assert.match(none.stderr, /401 Unauthorized .*"code":"credentials-missing"/)
  })

  it('connect exits with 1 and one line when no server answers', async () => {
    const { status, complaints } = await run(['connect', `ws://127.0.0.1:${await freePort()}/a/ws/b`, '-t', 'x'])
    assert.equal(status, 1)
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /ECONNREFUSED/)
  })

  it('connect exits with 0 when the server closes with 1000 at the end of a stream', async () => {
    const command = await join('ended')
    await gateway.agent.publish(sessionDown('ended'), '{"type":"control","command":"stream_end"}')
    assert.equal(await command.status(), 0)
    assert.match(command.stderr, /closed: 1000/)
  })

  it('connect exits with 0 when the server drains and closes with 1001', async (t) => {
    const other = await gatewayFor(t, { redis: gateway.redis })
    const env = { WSPROXY_TOKEN: await other.token('drains') }
    const command = new Command(['connect', other.sessionUrl('drains')], { env })
    await command.says(/^connected/m)
    await other.gateway.stop()
    assert.equal(await command.status(), 0)
    assert.match(command.stderr, /closed: 1001/)
    assert.match(command.stdout, /"command":"goodbye"/)
  })

  it('connect exits with 1 when the server closes with any other code', async () => {
    const command = await join('too-big')
    command.write(JSON.stringify('x'.repeat(2000)))
    assert.equal(await command.status(), 1)
    assert.match(command.stderr, /closed: 1009/)
  })

  it('connect exits with 0 at once on SIGINT, also while it connects', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const command = new Command(['connect', `ws://127.0.0.1:${port}/a/ws/b`, '--token', 'x'])
    const [socket] = await once(silent, 'connection')
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
    socket.destroy()
    silent.close()
  })
})
