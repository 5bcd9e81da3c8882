import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { checkFolderFor, checkSource } from '../support/preflight.ts'
import { RawSocket, upgradeRequest } from '../support/raw.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { answerOf } from '../support/wire.ts'

const BODY = '{"a":1}'
const CHUNKED = `7\r\n${BODY}\r\n0\r\n\r\n`
/** What a proxy that sees another end of the first request would not have passed on. */
const SMUGGLED = 'GET /version HTTP/1.1\r\nHost: x\r\n\r\n'

/** Headers and the bytes behind them. */
const AMBIGUOUS: Record<string, [headers: string, rest: string]> = {
  'two lengths that differ': ['Content-Length: 7\r\nContent-Length: 60', BODY],
  'two lengths that agree': ['Content-Length: 7\r\nContent-Length: 7', BODY],
  'an empty length': ['Content-Length:', ''],
  'a length with a sign': ['Content-Length: +7', BODY],
  'a list of lengths': ['Content-Length: 7, 7', BODY],
  'a length and chunks': [`Content-Length: 7\r\nTransfer-Encoding: chunked`, CHUNKED],
  'chunks and a length': [`Transfer-Encoding: chunked\r\nContent-Length: 7`, CHUNKED],
  'an unknown encoding': ['Transfer-Encoding: xchunked', CHUNKED],
  'chunks before another encoding': ['Transfer-Encoding: chunked, gzip', CHUNKED],
  'two encodings': ['Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', CHUNKED],
  'two hosts': [`Host: y\r\nContent-Length: 7`, BODY],
}

describe('a request whose end or host another reader sees elsewhere', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  async function send(bytes: string): Promise<RawSocket> {
    const raw = await RawSocket.open(gateway.http)
    raw.write(bytes)
    await raw.untilClosed()
    return raw
  }

  for (const [what, [headers, rest]] of Object.entries(AMBIGUOUS)) {
    it(`a request with ${what} is refused, and nothing behind it is read as a request`, async () => {
      for (const line of ['POST /admin/sign-in', 'GET /version', 'POST /none', 'GET /some-run']) {
        const raw = await send(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${rest}${SMUGGLED}`)
        assert.doesNotMatch(raw.text, /HTTP\/1\.1 [^4]|"node":"v/, line)
        const alone = await send(`${line} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${rest}`)
        assert.match(alone.text, /^HTTP\/1\.1 400 /, line)
        assert.equal(alone.text.split('HTTP/1.1').length, 2, line)
      }
    })
  }

  it('a target in absolute form and HTTP/1.0 get 505 and the end of the connection', async () => {
    for (const line of ['GET http://x/health HTTP/1.1', 'GET /health HTTP/1.0']) {
      const raw = await send(`${line}\r\nHost: x\r\n\r\n`)
      assert.match(raw.text, /^HTTP\/1\.1 505 /, line)
    }
  })

  it('a request with chunks is answered, and nothing behind it is read as a request', async () => {
    for (const body of [CHUNKED, `7\r\n${BODY}XX0\r\n\r\n`]) {
      const raw = await send(
        `POST /admin/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${body}${SMUGGLED}`,
      )
      assert.doesNotMatch(raw.text, /"node":"v/)
    }
  })

  it('an upgrade with two hosts, or with a length that is not clear, is refused', async () => {
    for (const headers of [
      { Host: 'x\r\nHost: y' },
      { 'Content-Length': '1\r\nContent-Length: 2' },
      { 'Content-Length': '1', 'Transfer-Encoding': 'chunked' },
      { 'Transfer-Encoding': 'chunked, gzip' },
    ]) {
      const answer = answerOf(await send(upgradeRequest('/some-run', headers)))
      assert.equal(answer.status, 400)
    }
  })
})

describe('requests that do not wait for the answer before them', () => {
  const suite = scopeOf(after)
  const TOKEN = 'a-token-of-the-operators'
  let gateway: TestGateway
  before(async () => {
    const folder = checkFolderFor(suite)
    const late = "await new Promise((go) => setTimeout(go, 300)); return { status: 'pass', message: '' }"
    folder.add('late.js', checkSource('late', late, 11))
    gateway = await gatewayFor(suite, { env: { ADMIN_TOKEN: TOKEN, PREFLIGHT_CHECKS_FOLDER: folder.path } })
    // Its first answer waits for a run of the checks.
    await fetch(`${gateway.http}/ready`)
  })

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
  const post = (path: string, body: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  const statuses = (raw: RawSocket) => raw.text.match(/HTTP\/1\.1 \d+/g) ?? []

  /** Writes the segments one after another, and returns what came up to the last answer. */
  async function answers(segments: readonly string[], count: number): Promise<string> {
    const raw = await RawSocket.open(gateway.http)
    raw.socket.setNoDelay(true)
    for (const segment of segments) {
      raw.write(segment)
      if (segments.length > 1) await setTimeout(20)
    }
    await eventually(() => statuses(raw).length >= count || raw.ended, `${count} answers`)
    assert.deepEqual(statuses(raw), Array(count).fill('HTTP/1.1 200'), segments.join('|'))
    raw.destroy()
    return raw.text
  }

  for (const path of ['/health', '/ready', '/metrics', '/version', '/api/dashboard/websocket/health']) {
    it(`behind ${path} are answered in turn, in one segment and in two`, async () => {
      for (const segments of [[get(path) + get('/livez')], [get(path), get('/livez')]])
        assert.match(await answers(segments, 2), /"alive"\}$/)
      await answers([get(path).repeat(20)], 20)
    })
  }

  it('behind a POST with a body are answered in turn, wherever the segments end', async () => {
    const first = post('/health', '{"a":1}')
    for (const segments of [
      [first + get('/livez')],
      [first, get('/livez')],
      [first.slice(0, -3), first.slice(-3) + get('/livez')],
    ])
      assert.match(await answers(segments, 2), /"alive"\}$/)
  })

  it('wait in a later segment while an answer takes long, and are then answered', async () => {
    const slow = post('/api/preflight/run', '{"mode":"full"}')
    const text = await answers([slow, get('/version'), get('/livez')], 3)
    assert.match(text, /"late".*"node":.*"alive"\}$/s)
  })

  it('in the same segment as one whose answer takes long end the connection, and get no answer of another', async () => {
    const raw = await RawSocket.open(gateway.http)
    raw.write(post('/api/preflight/run', '{"mode":"full"}') + get('/version'))
    await raw.untilClosed()
    assert.deepEqual(statuses(raw), [])
  })

  it('end the connection after a slow answer when the first of those behind it is slow as well', async () => {
    const slow = post('/api/preflight/run', '{"mode":"full"}')
    const raw = await RawSocket.open(gateway.http)
    raw.socket.setNoDelay(true)
    for (const segment of [slow, slow, get('/version')]) {
      raw.write(segment)
      await setTimeout(20)
    }
    await raw.untilClosed()
    assert.deepEqual(statuses(raw), ['HTTP/1.1 200'])
  })

  it('leave a client that goes while it waits no trace', async () => {
    for (let i = 0; i < 10; i++) {
      const raw = await RawSocket.open(gateway.http)
      raw.write(post('/api/preflight/run', '{"mode":"full"}'))
      await setTimeout(20)
      if (i % 2) raw.socket.resetAndDestroy()
      else raw.destroy()
    }
    await answers([post('/api/preflight/run', '{"mode":"full"}')], 1)
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  })
})

describe('the headers of answers', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ADMIN_TOKEN: 'a-token-of-the-operators' } })
  })

  const PATHS = [
    '/health',
    '/ready',
    '/version',
    '/metrics',
    '/none',
    '/some-run',
    '/a/ws/s',
    '/live',
    '/admin/sign-in',
  ]
  const MORE = ['/dashboard', '/admin', '/api/preflight/reports', '/api/dashboard/websocket/health', '/%E0%A4%A']

  it('every answer has nosniff, and every page a Content-Security-Policy', async () => {
    let pages = 0
    for (const path of ['/', ...PATHS, ...MORE, '/monitoring', '/preflight', '/admin/monitoring', '/admin/preflight']) {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
        const headers = { Accept: 'text/html' }
        const answer = await fetch(`${gateway.http}${path}`, { method, headers, redirect: 'manual' })
        await answer.arrayBuffer()
        assert.equal(answer.headers.get('x-content-type-options'), 'nosniff', `${method} ${path} ${answer.status}`)
        if (!answer.headers.get('content-type')?.startsWith('text/html')) continue
        pages++
        assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'/, path)
      }
    }
    assert.ok(pages > 0, 'a page')
  })

  it('a refused upgrade has nosniff', async () => {
    const raw = await RawSocket.open(gateway.http)
    raw.write(upgradeRequest('/a/ws/s'))
    await raw.untilClosed()
    assert.equal(answerOf(raw).headers['x-content-type-options'], 'nosniff')
  })
})
