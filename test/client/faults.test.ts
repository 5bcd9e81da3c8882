import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { live, type Session, type SessionOptions, session } from '../../client/src/index.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'
import { storeOf } from './fake-store.ts'

const POSITION = { type: 'control', command: 'position', grade: 'exact', epoch: 'e1', offset: 0 }
const TICKET = { type: 'control', command: 'ticket', ticket: 'wst1_abc' }

const bearer = (token: string): string => `bearer.${Buffer.from(token).toString('base64url')}`

describe('the client survives', () => {
  let chat: Session
  beforeEach(() => freezeTime())
  afterEach(() => {
    chat.close()
    mock.timers.reset()
    mock.restoreAll()
  })

  async function open(options: Partial<SessionOptions> = {}): Promise<FakeSocket> {
    const base = { agent: 'a', id: 's', token: () => 't', WebSocket: FakeSocket, storage: null }
    chat = session('ws://gw', { ...base, ...options })
    await settle()
    return FakeSocket.last.open()
  }

  const flood = (socket: FakeSocket, from: number, to: number) => {
    for (let n = from; n <= to; n++) socket.say(`${n} 0`)
  }

  it('a close in the listener of the state connecting', async () => {
    chat = session('ws://gw', { agent: 'a', id: 's', WebSocket: FakeSocket, storage: null })
    chat.on('state', ({ name }) => name === 'connecting' && chat.close())
    await settle()
    await pass(60_000)
    assert.equal(chat.state.name, 'closed')
    assert.equal(FakeSocket.made.length, 0)
  })

  it('a close in the listener of a gap: what waited is rejected, and no timer is left for its answer', async () => {
    const socket = await open()
    chat.on('gap', () => chat.close())
    const waiting = assert.rejects(chat.send('x'), { code: 'closed' })
    const timers = mock.method(globalThis, 'setTimeout')
    socket.say({ type: 'control', command: 'position', grade: 'none', recovered: false })
    await waiting
    assert.deepEqual(
      timers.mock.calls.map(({ arguments: [, ms] }) => ms).filter((ms) => ms === 30_000),
      [],
    )
  })

  it('a loop that breaks at the last message of a full queue', async () => {
    const socket = await open()
    socket.say(POSITION)
    flood(socket, 1, 10_000)
    assert.equal(socket.closed, 1000)
    for await (const { offset } of chat) if (offset === 10_000) break
    const next = chat[Symbol.asyncIterator]().next()
    await settle()
    assert.equal(FakeSocket.made.length, 2)
    FakeSocket.last.open().say({ ...POSITION, offset: 10_000 }, '10001 0')
    assert.equal((await next).value?.offset, 10_001)
  })

  it('a page that comes back while its reader is behind', async () => {
    const handlers = new Map<string, () => void>()
    const page = globalThis as unknown as Record<string, unknown>
    page.addEventListener = (name: string, act: () => void) => handlers.set(name, act)
    page.removeEventListener = () => {}
    try {
      const socket = await open()
      socket.say(POSITION)
      flood(socket, 1, 10_000)
      handlers.get('online')!()
      await settle()
      assert.equal(FakeSocket.made.length, 1, 'stays away until its messages are read')
    } finally {
      delete page.addEventListener
      delete page.removeEventListener
    }
  })

  it('two loops at once: both end with the stream', async () => {
    const socket = await open()
    socket.say(POSITION)
    const read = async () => {
      for await (const _ of chat);
    }
    const both = Promise.all([read(), read()]).then(() => 'ended')
    await settle()
    socket.end(1000)
    const late = settle()
      .then(settle)
      .then(() => 'hangs')
    assert.equal(await Promise.race([both, late]), 'ended')
  })

  it('a loop that reads on after close: the cursor stays forgotten', async () => {
    const entries = new Map<string, string>()
    const socket = await open({ storage: storeOf(entries) })
    socket.say(POSITION, '1 1', '2 2', '3 3')
    chat.close()
    for await (const _ of chat);
    await pass(1000)
    assert.equal(entries.size, 0)
  })

  it('a store that throws in removeItem: close still closes', async () => {
    let isForbidden = true
    const removeItem = () => assert.ok(!isForbidden, 'SecurityError')
    await open({ storage: { ...storeOf(), removeItem } })
    try {
      chat.close()
    } finally {
      isForbidden = false
    }
    assert.equal(chat.state.name, 'closed')
  })

  for (const garbage of ['{', 'hello', 'x "a"', '1', '12', '-1 "a"', 'null', ''])
    it(`${JSON.stringify(garbage)} of a server: dials again behind the last message`, async () => {
      const socket = await open()
      socket.say(POSITION, '1 "a"')
      assert.doesNotThrow(() => socket.say(garbage))
      assert.equal(chat.state.name, 'waiting')
      await pass(500)
      assert.match(FakeSocket.last.url, /cursor=e1\.1&/)
    })

  it('a position without an epoch, and a number before the position', async () => {
    for (const frame of [{ ...POSITION, epoch: undefined }, { ...POSITION, offset: 'x' }, '5 "a"']) {
      const entries = new Map<string, string>()
      const socket = await open({ storage: storeOf(entries) })
      assert.doesNotThrow(() => socket.say(frame))
      await pass(500)
      assert.equal(FakeSocket.last.url, 'ws://gw/a/ws/s')
      assert.equal(entries.size, 0)
      chat.close()
    }
  })

  it('a goodbye whose pause is no number, or too long for a timer', async () => {
    for (const reconnect_after_ms of ['soon', null, -5, 2 ** 40]) {
      const socket = await open()
      socket.say(POSITION, { type: 'control', command: 'goodbye', reconnect_after_ms })
      socket.end(1012)
      const { state } = chat
      assert.ok(state.name === 'waiting' && state.ms >= 0 && state.ms <= 2 ** 31 - 1, JSON.stringify(state))
      await pass(1)
      assert.equal(chat.state.name, 'waiting', String(reconnect_after_ms))
      chat.close()
    }
  })

  it('a resume ticket that has expired, while its token still counts', async () => {
    const socket = await open({ token: 'fixed' })
    socket.say(POSITION, TICKET)
    socket.end(1006)
    await pass(500)
    assert.equal(FakeSocket.last.protocols[1], bearer('wst1_abc'))
    FakeSocket.last.open().end(4401, 'expired')
    await pass(1000)
    assert.equal(FakeSocket.last.protocols[1], bearer('fixed'))
  })

  it('a listener of a topic that throws: the others get the message', async () => {
    const feed = live('ws://gw', { WebSocket: FakeSocket })
    await settle()
    const socket = FakeSocket.last.open()
    const thrown: unknown[] = []
    mock.method(globalThis, 'queueMicrotask', (act: () => void) => {
      try {
        act()
      } catch (error) {
        thrown.push(error)
      }
    })
    const got: unknown[] = []
    feed.subscribe('t', () => {
      throw new Error('mine')
    })
    feed.subscribe('t', (message) => got.push(message))
    assert.doesNotThrow(() => socket.say({ type: 'message', subscription: 't' }))
    feed.close()
    assert.equal(got.length, 1)
    assert.equal((thrown[0] as Error).message, 'mine')
  })

  it('one listener that subscribes twice, and ends one of the two', async () => {
    const feed = live('ws://gw', { WebSocket: FakeSocket })
    await settle()
    const socket = FakeSocket.last.open()
    let calls = 0
    const listener = () => void calls++
    const off = feed.subscribe('t', listener)
    feed.subscribe('t', listener)
    off()
    socket.say({ type: 'message', subscription: 't' })
    feed.close()
    assert.equal(calls, 1)
  })
})
