import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { WebSocketServer } from 'ws'
import { sessionDown, sessionUp } from '../../src/contract/names.ts'
import { Command, killCommands, run, withoutTerminal } from '../support/cli.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { atEnd, type Scope, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const TIME = String.raw`\d\d:\d\d:\d\d\.\d{3}`

describe('wsproxy connect on a terminal', { skip: withoutTerminal }, () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { RUN_PING_INTERVAL: '1s', RUN_PONG_TIMEOUT: '3s' } })
    atEnd(suite, killCommands)
  })

  async function join(session: string, env: Record<string, string> = {}): Promise<Command> {
    const token = await gateway.token(session)
    const options = { terminal: true, env: { WSPROXY_TOKEN: token, ...env } }
    const command = new Command(['connect', gateway.sessionUrl(session)], options)
    await command.prints(/· connected to/)
    return command
  }

  it('shows time, arrow and colour of what is sent and of what comes, and replaces the typed line', async () => {
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe(sessionUp('arrows'), (message) => heard.push(message))
    const command = await join('arrows')
    command.write('{"ask":1}')
    await eventually(() => heard.length === 1, 'the frame')
    await gateway.agent.publish(sessionDown('arrows'), '{"answer":\u001b[2J2}')
    await command.prints(new RegExp(`\u001b\\[32m${TIME} → \\{"ask":1\\}\u001b\\[0m`))
    await command.prints(new RegExp(`\u001b\\[36m${TIME} ← \\{"answer":\\[2J2\\}\u001b\\[0m`))
    assert.deepEqual(heard, ['{"ask":1}'])
    command.child.stdin?.write('\u0003')
    assert.equal(await command.status(), 0)
    assert.match(command.stdout, /· closed: 1000/)
  })

  it('shows no colour with NO_COLOR', async () => {
    const command = await join('plain', { NO_COLOR: '1' })
    await gateway.agent.publish(sessionDown('plain'), '{"n":1}')
    await command.prints(new RegExp(`${TIME} ← \\{"n":1\\}\r?\n`))
    assert.ok(!command.stdout.includes('\u001b[36m'))
    command.child.stdin?.write('\u0003')
    assert.equal(await command.status(), 0)
  })

  it('keeps the socket of a run open far longer than RUN_PONG_TIMEOUT, and hides its heartbeat', async () => {
    const shown = new Command(['connect', `${gateway.url}/beats`], { terminal: true })
    const piped = new Command(['connect', `${gateway.url}/beats`])
    await eventually(() => piped.lines.filter((line) => line === '{"type":"ping"}').length >= 7, 'seven pings')
    assert.equal(piped.child.exitCode, null)
    assert.match(shown.stdout, /← \{"type":"preflight"/)
    assert.doesNotMatch(shown.stdout, /"ping"|"pong"/)
    shown.child.stdin?.write('\u0003')
    assert.equal(await shown.status(), 0)
    piped.signal('SIGINT')
    assert.equal(await piped.status(), 0)
  })
})

describe('wsproxy connect, its refusals and --reconnect', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ALLOWED_ORIGINS: 'https://app.example.org' } })
    atEnd(suite, killCommands)
  })

  it('connect answers no ping of an agent, which is a frame of the session', async () => {
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe(sessionUp('agent-ping'), (message) => heard.push(message))
    const env = { WSPROXY_TOKEN: await gateway.token('agent-ping') }
    const command = new Command(['connect', gateway.sessionUrl('agent-ping')], { env })
    await command.says(/^connected/m)
    await gateway.agent.publish(sessionDown('agent-ping'), '{"type":"ping"}')
    await command.prints(/"ping"/)
    command.write('{"n":1}')
    await eventually(() => heard.length > 0, 'the frame')
    assert.deepEqual(heard, ['{"n":1}'])
    command.signal('SIGINT')
    await command.status()
  })

  it('connect says for each refusal what the user can do', async () => {
    const session = gateway.sessionUrl('s-1')
    const { origin } = new URL(session)
    const port = await freePort()
    const cases: [string[], RegExp][] = [
      [
        [session],
        /credentials-missing.* -> give a token with --token or WSPROXY_TOKEN, or --create-token; "wsproxy token create s-1" prints one/,
      ],
      [
        [session, '-t', 'wrong'],
        /token-rejected.* -> a token works once and expires: give --create-token, or make another with "wsproxy token create s-1"; "wsproxy token sign --session s-1" signs a JWT/,
      ],
      [
        [session, '-t', 'x', '-o', 'https://evil.example'],
        /origin-not-allowed.* -> give --origin with an origin of ALLOWED_ORIGINS/,
      ],
      [[`${origin}/a/b/c`], /not-found.* -> the doors are/],
      [[`${origin}/a%20b`], /malformed-id.* -> the doors are/],
      [
        [`ws://127.0.0.1:${port}/x`],
        /ECONNREFUSED.* -> no server listens at 127\.0\.0\.1:\d+: start the gateway with "wsproxy serve"/,
      ],
      [[`ws://localhost:${port}/x`], /ECONNREFUSED.* -> no server listens at localhost:\d+/],
      [[session.replace('ws:', 'wss:')], / -> the server has no TLS there: use ws:\/\//],
    ]
    for (const [args, pattern] of cases) {
      const { status, complaints } = await run(['connect', ...args])
      assert.equal(status, 1, args.join(' '))
      assert.equal(complaints.length, 1, complaints.join('\n'))
      assert.match(complaints[0]!, pattern)
    }
  })

  it('connect says for each close with 4403 what the user can do', async () => {
    const closing = await gatewayFor(suite, {
      env: { SESSION_REFUSE: 'close', ALLOWED_ORIGINS: 'https://app.example.org' },
      redis: gateway.redis,
    })
    const origin = /4403 \S+ -> give --origin with an origin of ALLOWED_ORIGINS \(at the live door WS_ALLOWED_ORIGINS/
    for (const [url, pattern] of [
      [closing.sessionUrl('s-1'), origin],
      [new URL('/live', closing.sessionUrl('s-1')).href, origin],
      [new URL('/live', closing.sessionUrl('s-1')).href, /Or an operator has disconnected this client/],
    ] as const) {
      const { status, stderr } = await run(['connect', url, '-t', 'x', '-o', 'https://evil.example'])
      assert.equal(status, 1)
      assert.match(stderr, pattern)
    }
  })

  /** A server that gives each upgrade to the next of `acts`, and the times of the upgrades. */
  async function scripted(t: Scope, acts: ((accept: () => void, response: Deny) => void)[]) {
    const times: number[] = []
    const server = createServer()
    const sockets = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request: IncomingMessage, socket, head) => {
      times.push(performance.now())
      const act = acts[times.length - 1] ?? acts.at(-1)!
      const accept = () => sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client))
      act(accept, (text) => socket.end(text))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    atEnd(t, () => {
      server.close()
      server.closeAllConnections()
    })
    return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/a/ws/s`, times, sockets }
  }
  type Deny = (text: string) => void

  it('--reconnect comes back when reconnect_after_ms of the goodbye has passed, and not after 1000', async (t) => {
    const { url, times, sockets } = await scripted(t, [(accept) => accept()])
    let count = 0
    sockets.on('connection', (client) => {
      if (count++ > 0) return client.close(1000, 'stream ended')
      client.send('{"type":"control","command":"goodbye","reason":"draining","reconnect_after_ms":700}')
      client.close(1001, 'draining')
    })
    const { status, complaints } = await run(['connect', url, '--reconnect'])
    assert.equal(status, 0)
    assert.equal(times.length, 2)
    assert.ok(times[1]! - times[0]! >= 690, `${times[1]! - times[0]!} ms`)
    assert.match(complaints.join('\n'), /closed: 1001 draining\nreconnecting in 700 ms, as the server asked\nconnected/)
  })

  it('--reconnect waits for Retry-After of a 503, and ends with 1 at a refusal that would repeat', async (t) => {
    const { url, times } = await scripted(t, [
      (_, deny) => deny('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n'),
      (_, deny) => deny('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
    ])
    const { status, complaints } = await run(['connect', url, '-t', 'x', '--reconnect'])
    assert.equal(status, 1)
    assert.equal(times.length, 2)
    assert.ok(times[1]! - times[0]! >= 990)
    assert.match(complaints.at(-1)!, /^refused: 403/)
  })

  it('--reconnect survives a gateway that starts again, and sends what was typed meanwhile', async (t) => {
    const heard: string[] = []
    const port = await freePort()
    const url = `ws://127.0.0.1:${port}/a/ws/again`
    const command = new Command(['connect', url, '--reconnect', '-t', 'x'])
    await command.says(/ECONNREFUSED.*\nreconnecting in \d+ ms\n/)
    const server = new WebSocketServer({ port, host: '127.0.0.1' })
    atEnd(t, () => server.close())
    server.on('connection', (client) => client.on('message', (frame) => heard.push(String(frame))))
    await command.says(/^connected/m)
    for (const client of server.clients) client.terminate()
    await command.says(/closed: 1006/)
    command.write('{"n":1}')
    await eventually(() => heard.length === 1, 'the line')
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
  })

  it('SIGINT ends --reconnect during its pause with status 0', async () => {
    const command = new Command(['connect', `ws://127.0.0.1:${await freePort()}/x`, '--reconnect'])
    await command.says(/reconnecting in/)
    command.signal('SIGINT')
    assert.equal(await command.status(), 0)
  })
})
