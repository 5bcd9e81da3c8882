import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Admin } from '../../src/http/admin.ts'
import { BadRequest, parseJson } from '../../src/http/body.ts'
import { ClientAddresses } from '../../src/http/client-address.ts'
import { json } from '../../src/http/response.ts'
import { type ApiRequest, type Route, serve } from '../../src/http/routes.ts'
import { Listeners } from '../../src/platform/uws.ts'
import { freePort } from '../support/ports.ts'
import { RawSocket } from '../support/raw.ts'
import { eventually } from '../support/wait.ts'

const TOKEN = 'correct-horse-battery'
/** Far more than the kernel takes for a client that does not read. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'large')

describe('a route', () => {
  const listeners = new Listeners()
  const asked: ApiRequest[] = []
  const faults: unknown[] = []
  let release = () => {}
  let url: string

  const routes: Route[] = [
    {
      method: 'GET',
      path: '/things/:id',
      answer: (each) => json('200 OK', { id: each.params[0], q: each.query.get('q') }),
    },
    {
      method: 'POST',
      path: '/things/:id',
      maxBodyBytes: 1000,
      answer: (each) => {
        asked.push(each)
        return json('200 OK', { got: parseJson(each) as object }, { 'X-Extra': 'yes' })
      },
    },
    { method: 'POST', path: '/admin', admin: true, answer: (each) => json('200 OK', { bytes: each.body.length }) },
    {
      method: 'GET',
      path: '/slow',
      answer: () => new Promise((resolve) => (release = () => resolve(json('200 OK', {})))),
    },
    { method: 'GET', path: '/large', answer: () => ({ status: '200 OK', type: 'text/plain', body: LARGE }) },
    {
      method: 'GET',
      path: '/broken',
      answer: () => {
        throw new Error('secret detail')
      },
    },
    {
      method: 'GET',
      path: '/wrong',
      answer: () => {
        throw new BadRequest('limit must be a number', 'limit')
      },
    },
  ]
  before(async () => {
    const port = await freePort()
    const app = listeners.app()
    const addresses = new ClientAddresses({ trustProxy: 'none', trustProxyHops: 1, trustProxyCidr: [] })
    serve(app, routes, { admin: new Admin(TOKEN), addresses, fault: (error) => faults.push(error), acted: () => {} })
    listeners.listen(app, '127.0.0.1', port)
    url = `http://127.0.0.1:${port}`
  })
  after(() => {
    listeners.close()
    listeners.stop()
  })

  const call = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${url}${path}`, init)
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, never>,
    }
  }
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    call(path, { method: 'POST', body, headers })

  it('an endpoint sends the whole of a large answer to a client that reads late, and answers its next request', async () => {
    const raw = await RawSocket.open(url)
    raw.socket.pause()
    raw.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => setTimeout(resolve, 300))
    let bytes = 0
    let text = ''
    raw.socket.removeAllListeners('data').on('data', (chunk) => {
      bytes += chunk.length
      text = chunk.toString('latin1').slice(-300)
    })
    raw.socket.resume()
    await eventually(() => bytes > LARGE.length, 'the whole answer')
    raw.write('GET /things/next HTTP/1.1\r\nHost: x\r\n\r\n')
    await eventually(() => text.includes('"id":"next"'), 'the answer to the next request')
    raw.destroy()
  })

  it('an endpoint cuts a connection that asks again before it has read its last answer', async () => {
    const raw = await RawSocket.open(url)
    raw.socket.pause()
    raw.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => setTimeout(resolve, 300))
    raw.write('GET /things/next HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => setTimeout(resolve, 100))
    raw.socket.removeAllListeners('data').resume()
    await raw.untilClosed()
    assert.ok(raw.socket.bytesRead < LARGE.length, `${raw.socket.bytesRead} bytes came`)
  })

  it('an endpoint closes the connection after one in 256 answers to HEAD, and answers whole each time', async () => {
    const raw = await RawSocket.open(url)
    let answers = 0
    while (!raw.ended && answers < 300) {
      raw.write('HEAD /large HTTP/1.1\r\nHost: x\r\n\r\n')
      answers++
      await eventually(() => raw.ended || raw.text.split('\r\n\r\n').length > answers, 'the answer or the close')
      if (/connection: close/i.test(raw.text)) await raw.untilClosed()
    }
    assert.ok(raw.ended && answers <= 256, `${answers} answers`)
    assert.equal(raw.text.match(/content-length: 33554432/gi)?.length, answers)
  })

  it('an endpoint gets the decoded parameters of its path, and the query', async () => {
    assert.deepEqual((await call('/things/a%20b%2Fc?q=1%262')).body, { id: 'a b/c', q: '1&2' })
  })

  it('a path that cannot be decoded is refused with 400', async () => {
    const { status, body } = await call('/things/%E0%A4%A')
    assert.equal(status, 400)
    assert.equal((body as Record<string, { code: string }>).error!.code, 'bad-request')
  })

  it('an endpoint gets the whole body, however it is cut into chunks', async () => {
    const raw = await RawSocket.open(url)
    const body = JSON.stringify({ text: 'ä'.repeat(200) })
    raw.write(`POST /things/1 HTTP/1.1\r\nHost: x\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`)
    const bytes = Buffer.from(body)
    for (let i = 0; i < bytes.length; i += 37) {
      raw.write(bytes.subarray(i, i + 37))
      await new Promise(setImmediate)
    }
    assert.match(await raw.head(), /^HTTP\/1\.1 200/)
    assert.equal(asked.at(-1)!.body.toString(), body)
    raw.destroy()
  })

  it('an endpoint may answer with headers of its own', async () => {
    const { headers, body } = await post('/things/1', '{"a":1}')
    assert.equal(headers.get('x-extra'), 'yes')
    assert.equal(headers.get('cache-control'), 'no-store')
    assert.deepEqual(body, { got: { a: 1 } })
  })

  it('a body that is not JSON is refused with 400, and one over the limit with 413', async () => {
    const bad = await post('/things/1', '{"a":')
    assert.equal(bad.status, 400)
    assert.deepEqual(bad.body.error, { code: 'bad-request', message: 'The body is not JSON.' })
    assert.equal((await post('/things/1', `"${'x'.repeat(998)}"`)).status, 200)
    const large = await post('/things/1', `"${'x'.repeat(999)}"`)
    assert.equal(large.status, 413)
    assert.equal((large.body as Record<string, { code: string }>).error!.code, 'body-too-large')
  })

  it('a BadRequest of an endpoint becomes a 400 that names the field', async () => {
    const { status, body } = await call('/wrong')
    assert.equal(status, 400)
    assert.deepEqual(body.error, { code: 'bad-request', message: 'limit must be a number', field: 'limit' })
  })

  it('an endpoint that throws answers 500 without details, and the error is reported', async () => {
    const { status, body } = await call('/broken')
    assert.equal(status, 500)
    assert.ok(!JSON.stringify(body).includes('secret'))
    assert.equal((faults.at(-1) as Error).message, 'secret detail')
  })

  it('an admin endpoint refuses before it reads the body', async () => {
    const raw = await RawSocket.open(url)
    raw.write('POST /admin HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n')
    assert.match(await raw.head(), /^HTTP\/1\.1 401/)
    raw.destroy()
    assert.equal((await post('/admin', 'x', { authorization: 'Bearer wrong-wrong-wrong' })).status, 403)
    assert.deepEqual((await post('/admin', 'four', { authorization: `Bearer ${TOKEN}` })).body, { bytes: 4 })
  })

  it('another method of a known path is refused with 405 and the allowed methods', async () => {
    const { status, headers } = await call('/things/1', { method: 'DELETE' })
    assert.equal(status, 405)
    assert.equal(headers.get('allow'), 'GET, HEAD, POST')
    assert.equal((await call('/admin')).headers.get('allow'), 'POST')
  })

  it('a client that leaves before the answer, or within its body, harms no other', async () => {
    const faultsBefore = faults.length
    const waiting = await RawSocket.open(url)
    let called = release
    waiting.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
    await eventually(() => release !== called, 'the call')
    waiting.destroy()
    called = release
    const half = await RawSocket.open(url)
    half.write('POST /things/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"a"')
    await new Promise(setImmediate)
    half.destroy()
    await waiting.untilClosed()
    await half.untilClosed()
    release()
    assert.equal((await call('/things/1')).status, 200)
    assert.equal(faults.length, faultsBefore)
  })
})
