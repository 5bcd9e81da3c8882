import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { WebSocket } from 'ws'
import type * as Client from '../../client/src/index.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { say } from '../support/numbered.ts'
import { proxyFor } from '../support/proxy.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ENTRY = fileURLToPath(new URL('../../../client/src/index.ts', import.meta.url))
/** In these states a socket of React Native ignores `close`. */
const CLOSING = 2

/**
 * A WebSocket with the limits of the one of React Native 0.80: no blobs without a native module of
 * them, bytes only as ArrayBuffer, a failure without a message in its error event, and headers as
 * an option of its own, which the client must not need.
 */
class NativeSocket {
  static isBlocked = false
  static options: unknown[] = []
  readyState = 0
  onopen?: (event: object) => void
  onmessage?: (event: object) => void
  onclose?: (event: object) => void
  onerror?: (event: object) => void
  readonly #socket: WebSocket | undefined
  #binaryType: string | undefined

  constructor(url: string, protocols?: string[], options?: object) {
    NativeSocket.options.push(options)
    if (NativeSocket.isBlocked) {
      setImmediate(() => this.#failed('Failed to connect'))
      return
    }
    this.#socket = new WebSocket(url, protocols)
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.onopen = () => {
      this.readyState = 1
      this.onopen?.({ type: 'open' })
    }
    this.#socket.onmessage = ({ data }) => this.onmessage?.({ type: 'message', data })
    this.#socket.onerror = () => {}
    this.#socket.onclose = ({ code, reason }) => {
      this.readyState = 3
      if (code === 1006) this.#failed('Software caused connection abort')
      else this.onclose?.({ type: 'close', code, reason })
    }
  }

  #failed(reason: string): void {
    this.onerror?.({ type: 'error' })
    this.onclose?.({ type: 'close', code: 1006, reason })
  }

  get binaryType(): string | undefined {
    return this.#binaryType
  }

  set binaryType(type: string) {
    if (type !== 'arraybuffer') throw new Error('Native module BlobModule is required for blob support')
    this.#binaryType = type
  }

  send(data: unknown): void {
    if (this.readyState === 0) throw new Error('INVALID_STATE_ERR')
    if (typeof data !== 'string') throw new Error('Unsupported data type')
    this.#socket!.send(data)
  }

  close(code = 1000): void {
    if (this.readyState >= CLOSING) return
    this.readyState = CLOSING
    // Android takes no other code of the protocol.
    if (code !== 1000) throw new Error(`Code ${code}`)
    if (this.#socket?.readyState === WebSocket.CONNECTING) this.#socket.terminate()
    else this.#socket?.close(code)
  }
}

/** Its answers have no `body`. */
async function nativeFetch(url: string, init: RequestInit): Promise<object> {
  const answer = await fetch(url, init)
  const { ok, status, headers } = answer
  return { ok, status, headers, json: () => answer.json() }
}

/** What React Native has, and nothing else. */
const world = createContext({
  WebSocket: NativeSocket,
  fetch: nativeFetch,
  setTimeout,
  clearTimeout,
  queueMicrotask,
  AbortController,
  TextEncoder,
  btoa,
  atob,
})

/** The client in that world. */
async function nativeClient(): Promise<typeof Client> {
  const options = { bundle: true, format: 'iife', globalName: 'client', target: 'es2022', write: false } as const
  const { outputFiles } = await build({ ...options, entryPoints: [ENTRY] })
  return runInContext(`${outputFiles[0]!.text}; client`, world)
}

describe('the client in a world with the limits of React Native', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let client: typeof Client
  before(async () => {
    gateway = await gatewayFor(suite, { env: { LIVE_TOPICS: 'build.*' } })
    client = await nativeClient()
  })

  function open(id: string, url = gateway.url) {
    const chat = client.session(url, { agent: 'agent-1', id, token: () => gateway.token(id), from: 'start' })
    atEnd(suite, () => chat.close())
    const got: unknown[] = []
    chat.on('message', ({ data }) => got.push(data))
    return { chat, got, isOpen: () => eventually(() => chat.state.name === 'open', 'the session') }
  }

  it('reads words and bytes, sends frames, and comes back behind them', async () => {
    const proxy = await proxyFor(suite, Number(new URL(gateway.url).port))
    const { chat, got, isOpen } = open('native', `ws://127.0.0.1:${proxy.port}`)
    await isOpen()
    await say(gateway.agent, 'native', '"word"')
    await eventually(() => got.length === 1, 'the word')
    assert.equal(await chat.send({ type: 'ask' }), 0)
    proxy.cut()
    await say(gateway.agent, 'native', Buffer.from([0xff, 0xfe]))
    await eventually(() => chat.state.name === 'waiting', 'the loss')
    proxy.restore()
    await eventually(() => got.length === 2, 'the bytes')
    assert.deepEqual([got[0], [...(got[1] as Uint8Array)]], ['word', [0xff, 0xfe]])
    assert.ok(NativeSocket.options.every((each) => each === undefined))
  })

  it('follows topics and runs', async () => {
    const hub = client.live(gateway.url)
    const run = client.run(gateway.url, { id: 'run-1' })
    atEnd(suite, () => hub.close())
    atEnd(suite, () => run.close())
    const got: unknown[] = []
    hub.subscribe('build.7', ({ data }) => got.push(data))
    await eventually(async () => {
      await gateway.agent.publish('live:build.7', '{"n":1}')
      return got.length > 0 && run.state.name === 'open'
    }, 'both')
    assert.equal(JSON.stringify(got[0]), '{"n":1}')
  })

  it('sees why it is refused', async () => {
    const chat = client.session(gateway.url, { agent: 'a', id: 's', token: 'wrong' })
    await eventually(() => chat.state.name === 'closed', 'the end')
    assert.equal(JSON.stringify(chat.state), '{"name":"closed","code":4401,"reason":"token-rejected"}')
  })

  it('goes back to WebSockets where it cannot read a stream, with a decoder of texts and without one', async () => {
    for (const decoder of [undefined, TextDecoder]) {
      world.TextDecoder = decoder
      NativeSocket.isBlocked = true
      const { chat, isOpen } = open(`blocked-${decoder?.name}`)
      const reasons: unknown[] = []
      chat.on('state', (state) => reasons.push('reason' in state && state.reason))
      await eventually(() => reasons.includes('no stream'), 'the fallback', 20_000)
      NativeSocket.isBlocked = false
      await isOpen()
    }
  })
})
