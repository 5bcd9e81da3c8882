import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, describe, it, mock } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { WebSocket } from 'ws'
import {
  type Message,
  type Session,
  type SessionOptions,
  type SocketClass,
  type State,
  session,
} from '../../client/src/index.ts'
import { startBrowser, withoutBrowser } from '../support/browser.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { atEnd, scopeOf, stopAtEnd } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'
import { BlockedSocket } from './blocked-socket.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'
import { storeOf } from './fake-store.ts'

/** The budget of the part that few pages load. */
const MAX_GZIPPED_BYTES = 2 * 1024
const SECRET = randomBytes(24).toString('hex')
const SOURCE = fileURLToPath(new URL('../../../client/src/', import.meta.url))

const bundled = async (file: string): Promise<Uint8Array> => {
  const options = { bundle: true, minify: true, format: 'esm', target: 'es2022', write: false } as const
  const { outputFiles } = await build({ ...options, entryPoints: [SOURCE + file], external: ['./sse.ts'] })
  return outputFiles[0]!.contents
}

describe('a session where no WebSocket opens', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const chats: Session[] = []
  before(async () => {
    gateway = await gatewayFor(suite, { env: { AUTH_JWT_SECRET: SECRET, AUTH_JWT_SKEW: '0', SSE_PING_INTERVAL: '1s' } })
  })
  beforeEach(() => {
    BlockedSocket.dials = 0
    // The pauses before the fourth dial.
    mock.method(Math, 'random', () => 0.01)
  })
  afterEach(() => {
    for (const chat of chats.splice(0)) chat.close()
    mock.restoreAll()
  })

  const jwt = (id: string, claims: object = {}) => tokenOf(secretSigner(SECRET), { session_id: id, ...claims })

  function open(id: string, options: Partial<SessionOptions> = {}, to = gateway.url) {
    const got: Message[] = []
    const states: State[] = []
    const token = () => jwt(id)
    const chat = session(to, { agent: 'agent-1', id, token, storage: null, WebSocket: BlockedSocket, ...options })
    chats.push(chat)
    chat.on('message', (message) => got.push(message))
    chat.on('state', (state) => states.push(state))
    return { chat, got, states, isOpen: () => eventually(() => chat.state.name === 'open', 'the stream') }
  }

  it('has at most 2 KB more, minified and gzipped', async () => {
    const bytes = gzipSync(await bundled('sse.ts'), { level: 9 }).length
    assert.ok(bytes <= MAX_GZIPPED_BYTES, `${bytes} bytes`)
  })

  it('is read over server-sent events after three dials, numbered, and sends frames in order', async () => {
    const { chat, got, isOpen } = open('plain')
    const heard: string[] = []
    const agent = await gateway.redis.client()
    await agent.subscribe('session:plain:up', (frame) => heard.push(frame))
    await say(gateway.agent, 'plain', '"before"')
    await isOpen()
    assert.equal(BlockedSocket.dials, 3)
    await say(gateway.agent, 'plain', '{"text":"two\\nlines"}')
    await say(gateway.agent, 'plain', '"\u2028 and \u2029"')
    await say(gateway.agent, 'plain', '"last"')
    await eventually(() => got.at(-1)?.data === 'last', 'the messages')
    assert.deepEqual(
      got.map(({ data, offset }) => [data, offset]),
      [
        [{ text: 'two\nlines' }, 2],
        ['\u2028 and \u2029', 3],
        ['last', 4],
      ],
    )
    assert.match(chat.cursor ?? '', /\.4$/)
    assert.deepEqual(await Promise.all([1, 2, 3].map((n) => chat.send({ n }))), [1, 1, 1])
    await eventually(() => heard.length >= 3, 'the frames at the agent')
    assert.deepEqual(heard, ['{"n":1}', '{"n":2}', '{"n":3}'])
  })

  it('reads a token for one use by a ticket, and says what it cannot publish', async () => {
    await gateway.token('once')
    const { chat, got, isOpen } = open('once', { token: () => gateway.token('once') })
    await isOpen()
    await say(gateway.agent, 'once', '1')
    await eventually(() => got.length === 1, 'the message')
    // Node keeps no cookies, and a ticket for reading publishes nothing.
    await assert.rejects(chat.send(1), /refused: credentials-missing/)
  })

  it('comes back behind the last message, with a new token, when its stream ends', async () => {
    const tokens: string[] = []
    const token = () => {
      const exp = Math.floor(Date.now() / 1000) + (tokens.length < 4 ? 2 : 60)
      tokens.push(jwt('again', { exp, jti: String(tokens.length) }))
      return tokens.at(-1)!
    }
    const { got, states, isOpen } = open('again', { token })
    await isOpen()
    await say(gateway.agent, 'again', '1')
    await eventually(() => states.some(({ name }, i) => name === 'waiting' && i > 7), 'the end of the token')
    await say(gateway.agent, 'again', '2')
    await eventually(() => got.length === 2, 'the message of the pause')
    assert.deepEqual(
      got.map(({ offset }) => offset),
      [1, 2],
    )
    assert.equal(BlockedSocket.dials, 3, 'it stays with what has opened')
  })

  it('is remembered over a reload of the page for five minutes, and not longer by each reload', async () => {
    const storage = storeOf()
    const reload = async () => {
      for (const chat of chats.splice(0)) chat.close()
      const before = BlockedSocket.dials
      await open('reload', { storage }).isOpen()
      return BlockedSocket.dials - before
    }
    assert.equal(await reload(), 3)
    const until = storage.getItem('wsproxy plain')
    assert.ok(Math.abs(Number(until) - Date.now() - 300_000) < 10_000, String(until))
    assert.equal(await reload(), 0)
    assert.equal(storage.getItem('wsproxy plain'), until)
    storage.setItem('wsproxy plain', String(Date.now() - 1))
    assert.equal(await reload(), 3, 'WebSockets are tried again')
    const nowhere = { ...storage, setItem: () => assert.fail('full') }
    storage.removeItem('wsproxy plain')
    const { isOpen } = open('full', { storage: nowhere })
    await isOpen()
    assert.equal(storage.getItem('wsproxy plain'), null)
  })

  it('is not remembered where the page keeps nothing', async (t) => {
    const store = storeOf()
    Object.defineProperty(globalThis, 'sessionStorage', { value: store, configurable: true })
    t.after(() => Reflect.deleteProperty(globalThis, 'sessionStorage'))
    await open('nothing', { storage: null }).isOpen()
    assert.equal(store.entries.size, 0)
    await open('something', { storage: undefined }).isOpen()
    assert.ok(store.entries.has('wsproxy plain'))
  })

  it('sees refusals as what they are', async (t) => {
    const full = await gatewayFor(t, {
      redis: gateway.redis,
      env: { AUTH_JWT_SECRET: SECRET, MAX_CONNECTIONS_PER_IP: '1' },
    })
    const outcome = async (options: Partial<SessionOptions>, to?: string) => {
      const { states } = open('refused', options, to)
      const found = () => states.find(({ name }, i) => name === 'closed' || (name === 'waiting' && i >= 7))
      await eventually(found, 'the refusal')
      const state = found()!
      return 'code' in state ? [state.name, state.code, state.reason.replace(/\d+$/, '')] : []
    }
    const expired = jwt('refused', { exp: 1 })
    assert.deepEqual(await outcome({ token: expired }), ['closed', 4401, 'token-expired'])
    assert.deepEqual(await outcome({ token: jwt('other') }), ['closed', 4401, 'token-rejected'])
    await open('first', {}, full.url).isOpen()
    assert.deepEqual(await outcome({}, full.url), ['waiting', 4429, 'address-limit retry='])
  })

  it('rejects as refused what a proxy finds too large', async () => {
    const { chat, isOpen } = open('large')
    await isOpen()
    const { fetch } = globalThis
    mock.method(globalThis, 'fetch', async (url: string, init: RequestInit) =>
      init.method === 'POST' ? new Response('<h1>413</h1>', { status: 413 }) : fetch(url, init),
    )
    await assert.rejects(chat.send('x'), { code: 'refused', detail: 'message-too-large' })
    assert.equal(chat.state.name, 'open')
  })

  it('reads a stream whose lines a proxy ends with CRLF', async (t) => {
    const { fetch } = globalThis
    const windows = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, to) => to.enqueue(Buffer.from(Buffer.from(chunk).toString().replaceAll('\n', '\r\n'))),
    })
    t.mock.method(globalThis, 'fetch', async (url: string, init: RequestInit) => {
      const answer = await fetch(url, init)
      return answer.ok ? new Response(answer.body!.pipeThrough(windows), answer) : answer
    })
    const { got, isOpen } = open('windows')
    await isOpen()
    await say(gateway.agent, 'windows', '"read"')
    await eventually(() => got.at(-1)?.data === 'read', 'the message')
  })

  it('goes back to WebSockets where the gateway has no streams', async (t) => {
    const off = await gatewayFor(t, { redis: gateway.redis, env: { AUTH_JWT_SECRET: SECRET, HTTP_STREAMS: 'false' } })
    let isBlocked = true
    const Sometimes = new Proxy(BlockedSocket, {
      construct: (_, [url, protocols]) => (isBlocked ? new BlockedSocket() : new WebSocket(url, protocols)),
    }) as unknown as SocketClass
    const { states, isOpen } = open('off', { WebSocket: Sometimes }, off.url)
    await eventually(() => states.some((state) => 'reason' in state && state.reason === 'http-404'), 'the refusal')
    isBlocked = false
    await isOpen()
  })

  describe('in Chromium', { skip: withoutBrowser }, () => {
    it('works over a proxy that refuses upgrades, and goes on after a reload', async () => {
      const files = new Map([
        ['/client.js', await bundled('index.ts')],
        ['/sse.ts', await bundled('sse.ts')],
      ])
      const page = `<!doctype html><meta charset="utf-8"><script type="module">
        import { session } from '/client.js'
        const address = location.origin.replace('http', 'ws')
        window.chat = session(address, { agent: 'agent-1', id: 'proxied', token: '${jwt('proxied')}' })
        window.got = []
        chat.on('state', ({ name }) => { document.title = name })
        chat.on('message', ({ data }) => window.got.push(data))
      </script>`
      const server = createServer((incoming, response) => {
        const { url = '/', method, headers } = incoming
        const file = url === '/' ? page : files.get(url)
        if (file) {
          response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript')
          return void response.end(file)
        }
        const proxied = request(gateway.http + url, { method, headers }, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        })
        response.on('close', () => proxied.destroy())
        proxied.on('error', () => response.destroy())
        incoming.pipe(proxied)
      }).listen(0, '127.0.0.1')
      server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'))
      await once(server, 'listening')
      atEnd(suite, () => {
        server.closeAllConnections()
        server.close()
      })
      const browser = await startBrowser()
      await stopAtEnd(suite, { stop: () => browser.close() })
      const tab = await browser.newPage()
      const open = async () => {
        await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
        await eventually(async () => (await tab.title()) === 'open', 'the stream')
      }
      const got = () => tab.evaluate(() => (globalThis as unknown as { got: unknown[] }).got)
      await open()
      await say(gateway.agent, 'proxied', '1')
      await eventually(async () => (await got()).length === 1, 'the message')
      const receivers = await tab.evaluate(() => (globalThis as unknown as { chat: Session }).chat.send('hello'))
      assert.equal(receivers, 0)
      await tab.goto('about:blank')
      await say(gateway.agent, 'proxied', '2')
      await open()
      await eventually(async () => (await got()).length === 1, 'the message of the pause')
      assert.deepEqual(await got(), [2])
    })
  })
})

describe('the dials of a session', () => {
  beforeEach(() => freezeTime())
  afterEach(() => {
    mock.timers.reset()
    mock.restoreAll()
  })

  it('go to WebSockets alone as long as some of them open', async () => {
    const chat = session('ws://gw', { agent: 'a', id: 's', WebSocket: FakeSocket, storage: null })
    await settle()
    for (let i = 0; i < 20; i++) {
      if (i % 3 === 2) FakeSocket.last.open()
      FakeSocket.last.end(1006)
      await pass(20_000)
    }
    assert.equal(FakeSocket.made.length, 21)
    chat.close()
  })
})
