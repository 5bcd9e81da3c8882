import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
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

  it('requests that come in one segment get their answers in turn, or none gets the answer of another', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
    const [ready, late] = [await RawSocket.open(gateway.http), await RawSocket.open(gateway.http)]
    ready.write(get('/version') + get('/livez') + get('/version'))
    await eventually(() => ready.text.split('HTTP/1.1 200').length === 4, 'three answers')
    assert.match(ready.text, /"node":.*"alive".*"node":/s)
    ready.destroy()
    // The library cuts a connection whose next request comes before an answer that is not ready.
    late.write(get('/health') + get('/version'))
    await late.untilClosed()
    assert.doesNotMatch(late.text, /"node":/)
  })

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
