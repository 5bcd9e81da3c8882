import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request as ask, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { after, afterEach, before, beforeEach, describe, it, mock } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type Live, type LiveOptions, live, type State, type TopicMessage } from '../../client/src/index.ts'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { proxyFor } from '../support/proxy.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'
import { BlockedSocket } from './blocked-socket.ts'

const SECRET = randomBytes(24).toString('hex')
const SOURCE = fileURLToPath(new URL('../../../client/src/', import.meta.url))
const ENV = {
  AUTH_JWT_SECRET: SECRET,
  AUTH_JWT_SKEW: '0',
  AUTH_EXPIRY_NOTICE: '1s',
  WS_AUTH_REQUIRED: 'true',
  LIVE_TOPICS: 'build.*',
  OUTBOX_TOPICS: 'build.*',
  SSE_PING_INTERVAL: '1s',
}

describe('a live connection where no WebSocket opens', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const hubs: Live[] = []
  before(async () => {
    gateway = await gatewayFor(suite, { env: ENV })
  })
  beforeEach(() => {
    BlockedSocket.dials = 0
    // The pauses before the fourth dial.
    mock.method(Math, 'random', () => 0.01)
  })
  afterEach(() => {
    for (const hub of hubs.splice(0)) hub.close()
    mock.restoreAll()
  })

  const jwt = (claims: object = {}) =>
    tokenOf(secretSigner(SECRET), { sub: 'ann', topics: '*', publish_topics: '*', ...claims })

  function open(options: LiveOptions = {}, to = gateway.url) {
    const hub = live(to, { token: () => jwt(), WebSocket: BlockedSocket, ...options })
    hubs.push(hub)
    const [got, states, missed]: [TopicMessage[], State[], (readonly string[])[]] = [[], [], []]
    hub.subscribe('build.7', (message) => got.push(message))
    hub.on('state', (state) => states.push(state))
    hub.on('missed', ({ topics }) => missed.push(topics))
    /** Publishes until a message comes: the subscription may be under way. */
    const hears = (n: number) =>
      eventually(async () => {
        await gateway.agent.publish('live:build.7', `{"n":${n}}`)
        return got.some(({ data }) => (data as { n?: number }).n === n)
      }, `message ${n}`)
    return { hub, got, states, missed, hears }
  }

  it('gets messages of its topics and answers over server-sent events, after three dials', async () => {
    const { hub, got, hears } = open()
    await hears(1)
    assert.equal(BlockedSocket.dials, 3)
    await gateway.agent.publish('live:build.7', '{"type":"stream","data":{"text":"a token"}}')
    await eventually(() => got.some(({ type }) => type === 'stream'), 'a message with the type of the first event')
    assert.deepEqual(Object.keys((await hub.request('system_health')) as object), ['overall_status', 'components'])
    const correlation_id = randomUUID()
    const envelope = { correlation_id, ts: Date.now(), op: 'update', domain: 'tasks', id: 't1', data: 1 } as const
    assert.equal((await hub.publish('build.7', envelope)).duplicate, false)
    assert.equal((await hub.publish('build.7', envelope)).duplicate, true)
    await eventually(() => got.some(({ type }) => type === 'envelope'), 'the envelope')
    await assert.rejects(hub.publish('build.7', { ...envelope, op: 'merge' as 'update' }), {
      code: 'protocol-violation',
    })
  })

  it('subscribes its topics again when its stream was cut, and says what it missed', async () => {
    const proxy = await proxyFor(suite, Number(new URL(gateway.url).port))
    const { states, missed, hears } = open({}, `ws://127.0.0.1:${proxy.port}`)
    await hears(1)
    proxy.cut()
    proxy.restore()
    await eventually(() => states.filter(({ name }) => name === 'open').length === 2, 'the second stream')
    assert.deepEqual(missed, [['build.7']])
    await hears(2)
    assert.equal(BlockedSocket.dials, 3, 'it stays with what has opened')
  })

  it('dials again when the instance of a call does not have its stream', async (t) => {
    const other = await gatewayFor(t, { redis: gateway.redis, env: ENV })
    const { states, hears } = open()
    await hears(1)
    const { fetch } = globalThis
    let astray = 1
    mock.method(globalThis, 'fetch', (url: string, init: RequestInit) =>
      fetch(init.method === 'POST' && astray-- > 0 ? url.replace(gateway.http, other.http) : url, init),
    )
    hubs.at(-1)!.subscribe('build.8', () => {})
    const reasons = () => states.map((state) => ('reason' in state ? state.reason : ''))
    await eventually(() => reasons().includes('http-404'), 'the loss')
    await hears(2)
  })

  it('rejects what a proxy finds too large, and keeps its stream', async () => {
    // Its answer is not that of the gateway.
    const proxy = createServer(async (request, response) => {
      const body = await buffer(request)
      if (body.length > 1024) return void response.writeHead(413).end('<h1>413 Request Entity Too Large</h1>')
      const { method, headers } = request
      const options = { method: method!, headers, agent: false }
      const passed = ask(gateway.http + request.url, options, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      })
      passed.on('error', () => response.destroy())
      passed.end(body)
    }).listen(0, '127.0.0.1')
    atEnd(suite, () => {
      proxy.closeAllConnections()
      proxy.close()
    })
    await once(proxy, 'listening')
    const { hub, states, hears } = open({}, `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}`)
    await hears(1)
    const lost = () => states.filter(({ name }) => name === 'waiting').length
    const before = lost()
    const envelopeOf = (data: string) =>
      ({ correlation_id: randomUUID(), ts: Date.now(), op: 'update', domain: 'tasks', id: 't1', data }) as const
    const small = hub.publish('build.7', envelopeOf('x'))
    await assert.rejects(hub.publish('build.7', envelopeOf('x'.repeat(2000))), { code: 'message-too-large' })
    assert.equal((await small).duplicate, false)
    assert.equal(lost(), before)
    await hears(2)
  })

  it('keeps the stream of a JWT that ends by sending the next one', async (t) => {
    const own = await gatewayFor(t, { redis: gateway.redis, env: ENV })
    let signed = 0
    const token = () => {
      signed++
      return jwt({ exp: Math.floor(Date.now() / 1000) + (signed <= 6 ? 2 : 60) })
    }
    const { states } = open({ token }, own.url)
    await eventually(() => signed >= 7, 'two renewals', 15_000)
    assert.equal(states.at(-1)!.name, 'open')
    assert.equal(await own.metric('wsproxy_connections_total', { door: 'live-sse', result: 'accepted' }), 1)
  })

  it('comes back from a drain when its notice says, and ends at a refusal', async (t) => {
    const drained = await gatewayFor(t, { redis: gateway.redis, env: ENV })
    const { states, hears } = open({}, drained.url)
    await hears(1)
    await drained.gateway.stop()
    await eventually(() => states.at(-1)!.name === 'waiting', 'the pause')
    const pause = states.at(-1) as Extract<State, { name: 'waiting' }>
    assert.deepEqual([pause.code, pause.reason], [1001, 'draining'])
    assert.ok(pause.ms >= 900, `${pause.ms} ms`)
    const refused = open({ token: 'wrong' })
    await eventually(() => refused.states.at(-1)?.name === 'closed', 'the end')
    assert.deepEqual(refused.states.at(-1), { name: 'closed', code: 4401, reason: 'token-rejected' })
  })

  it('works in a page of another origin in Chromium', { skip: withoutBrowser }, async (t) => {
    const bundled = async (file: string) => {
      const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', write: false } as const
      const { outputFiles } = await build({ ...options, entryPoints: [SOURCE + file], external: ['./sse.ts'] })
      return outputFiles[0]!.contents
    }
    const files = new Map([
      ['/client.js', await bundled('index.ts')],
      ['/sse.ts', await bundled('sse.ts')],
    ])
    let html = ''
    const server = createServer(({ url = '/' }, response) => {
      response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript')
      response.end(files.get(url) ?? html)
    }).listen(0, '127.0.0.1')
    atEnd(suite, () => {
      server.closeAllConnections()
      server.close()
    })
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const own = await gatewayFor(t, { redis: gateway.redis, env: { ...ENV, WS_ALLOWED_ORIGINS: origin } })
    html = `<!doctype html><meta charset="utf-8"><script type="module">
      import { live } from '/client.js'
      class Blocked { constructor() { setTimeout(() => this.onclose({ code: 1006, reason: '' })) } close() {} }
      const hub = live('${own.url}', { token: '${jwt()}', WebSocket: Blocked })
      hub.subscribe('build.7', ({ data }) => { document.title = data.n })
    </script>`
    const browser = await startBrowser()
    await stopAtEnd(suite, { stop: () => browser.close() })
    const tab = await browser.newPage()
    await tab.goto(origin)
    await eventually(async () => {
      await gateway.agent.publish('live:build.7', '{"n":77}')
      return (await tab.title()) === '77'
    }, 'the message')
  })
})
