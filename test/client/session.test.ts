import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import {
  type Gap,
  type Message,
  SendError,
  type Session,
  type SessionOptions,
  session,
} from '../../client/src/index.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'
import { storeOf } from './fake-store.ts'

const position = (offset: number, rest: object = {}) => ({
  type: 'control',
  command: 'position',
  grade: 'exact',
  epoch: 'e1',
  offset,
  ...rest,
})
const UNLOGGED = { type: 'control', command: 'position', grade: 'none' }
const ack = (n: number, rest: object = { receivers: 1 }) => ({ type: 'control', command: 'ack', n, ...rest })

describe('a session of the client', () => {
  let chat: Session
  let messages: Message[]
  let gaps: Gap[]
  beforeEach(() => freezeTime())
  afterEach(() => {
    chat.close()
    mock.timers.reset()
    mock.restoreAll()
  })

  async function open(options: Partial<SessionOptions> = {}): Promise<FakeSocket> {
    const base = { agent: 'a', id: 's', token: () => 't', WebSocket: FakeSocket, storage: null }
    chat = session('ws://gw', { ...base, ...options })
    gaps = []
    chat.on('gap', (gap) => gaps.push(gap))
    await settle()
    return FakeSocket.last.open()
  }

  async function listen(options: Partial<SessionOptions> = {}): Promise<FakeSocket> {
    const socket = await open(options)
    messages = []
    chat.on('message', (message) => messages.push(message))
    return socket
  }

  async function redial(): Promise<FakeSocket> {
    FakeSocket.last.end(1006)
    const dials = FakeSocket.made.length
    while (FakeSocket.made.length === dials) await pass(100)
    return FakeSocket.last.open()
  }

  describe('reads', () => {
    it('JSON as values, other text as text, bytes as bytes, each with its number', async () => {
      const socket = await listen()
      socket.say(position(4), '5 {"type":"token"}', '6 not JSON', '- {"plain":1}')
      socket.onmessage!({ data: new TextEncoder().encode('7 \u0001').buffer })
      assert.deepEqual(messages.slice(0, 3), [
        { data: { type: 'token' }, offset: 5 },
        { data: 'not JSON', offset: 6 },
        { data: { plain: 1 } },
      ])
      assert.equal(messages[3]!.offset, 7)
      assert.deepEqual([...(messages[3]!.data as Uint8Array)], [1])
    })

    it('comes back behind the newest message that has arrived', async () => {
      const socket = await listen()
      socket.say(position(4), '5 1', '6 2')
      await redial()
      assert.equal(FakeSocket.last.url, 'ws://gw/a/ws/s?cursor=e1.6&else=oldest')
    })

    it('starts with all that is kept, or behind a cursor, when asked', async () => {
      await open({ from: 'start' })
      assert.equal(FakeSocket.last.url, 'ws://gw/a/ws/s?cursor=-1&else=oldest')
      chat.close()
      await open({ from: 'e9.41' })
      assert.equal(FakeSocket.last.url, 'ws://gw/a/ws/s?cursor=e9.41&else=oldest')
    })

    it('by a loop, in order, with what came before the loop began, until the stream ends', async () => {
      const socket = await open()
      socket.say(position(0), '1 "a"', '2 "b"')
      const got: unknown[] = []
      const loop = (async () => {
        for await (const { data } of chat) got.push(data)
      })()
      await settle()
      socket.say('3 "c"')
      socket.end(1000, 'stream ended')
      await loop
      assert.deepEqual(got, ['a', 'b', 'c'])
    })

    it('moves its cursor when a loop has dealt with a message, and not when it has arrived', async () => {
      const socket = await open()
      const reader = chat[Symbol.asyncIterator]()
      const first = reader.next()
      await settle()
      socket.say(position(0), '1 "a"', '2 "b"')
      assert.equal((await first).value?.offset, 1)
      assert.equal(chat.cursor, 'e1.0')
      await reader.next()
      assert.equal(chat.cursor, 'e1.1')
      await redial()
      assert.match(FakeSocket.last.url, /cursor=e1\.2&/, 'what has arrived is not asked for again')
    })

    it('leaves the network when its loop is 10,000 messages behind, and comes back when it has read them', async () => {
      const socket = await open()
      const reader = chat[Symbol.asyncIterator]()
      const first = reader.next()
      await settle()
      socket.say(position(0))
      for (let n = 1; n <= 10_001; n++) socket.say(`${n} 0`)
      await first
      assert.equal(socket.closed, 1000)
      for (let n = 2; n <= 10_000; n++) await reader.next()
      void reader.next()
      await settle()
      assert.equal(FakeSocket.made.length, 2)
      assert.match(FakeSocket.last.url, /cursor=e1\.10000&/)
    })
  })

  describe('says that messages are missing', () => {
    it('once for a range, and not when everything was recovered', async () => {
      const socket = await listen()
      socket.say(position(4))
      const again = await redial()
      again.say(position(4, { recovered: true, replay: 1 }), '5 1')
      assert.deepEqual(gaps, [])
      const third = await redial()
      third.say(position(9, { recovered: false, reason: 'trimmed' }))
      third.say({ type: 'control', command: 'gap', from: 6, to: 9, reason: 'trimmed' }, '10 1')
      assert.deepEqual(gaps, [{ reason: 'trimmed', from: 6, to: 9 }])
    })

    it('when the log is another one', async () => {
      const socket = await listen()
      socket.say(position(4))
      const again = await redial()
      again.say(position(2, { epoch: 'e2', recovered: false, reason: 'epoch' }), '3 1')
      assert.deepEqual(gaps, [{ reason: 'epoch' }])
      assert.equal(chat.cursor, 'e2.3')
    })

    it('between two moments when a session without a log lost its connection', async () => {
      const socket = await listen()
      socket.say(UNLOGGED, '- 1')
      const again = await redial()
      again.say(UNLOGGED, '- 2')
      assert.deepEqual(gaps, [{ reason: 'window', from: '1970-01-01T00:00:00.000Z', to: '1970-01-01T00:00:00.500Z' }])
    })
  })

  describe('over a reload of its page', () => {
    it('begins behind the message that the page has dealt with, and forgets that when it is closed', async () => {
      const storage = storeOf()
      const socket = await listen({ storage })
      socket.say(position(0), '1 1', '2 2')
      await pass(250)
      await listen({ storage })
      assert.match(FakeSocket.last.url, /cursor=e1\.2&/)
      chat.close()
      assert.equal(storage.entries.size, 0)
    })

    it('begins anew when the store has nothing that can be used', async () => {
      const key = 'wsproxy ws://gw a s'
      for (const kept of ['{', '"e1.1"', '{"cursor":7}', '{"cursor":null}', '{"cursor":"x"}']) {
        await listen({ storage: storeOf(new Map([[key, kept]])) })
        assert.equal(FakeSocket.last.url, 'ws://gw/a/ws/s', kept)
      }
    })

    it('goes on when the store is full', async () => {
      const full = { ...storeOf(), setItem: () => assert.fail('QuotaExceededError') }
      const socket = await listen({ storage: full })
      socket.say(position(0), '1 1')
      await pass(250)
      socket.say('2 2')
      assert.equal(messages.length, 2)
    })
  })

  describe('sends', () => {
    it('numbered frames, and resolves with the number of programs that listened', async () => {
      const socket = await open()
      socket.say(position(0))
      const sent = chat.send({ type: 'ask' })
      assert.deepEqual(socket.sent, ['1 {"type":"ask"}'])
      socket.say(ack(1, { receivers: 3 }))
      assert.equal(await sent, 3)
    })

    it('what waited, in order, when the connection is there', async () => {
      const socket = await open()
      const both = Promise.all([chat.send('a'), chat.cancel('r7')])
      assert.deepEqual(socket.sent, [])
      socket.say(position(0))
      assert.deepEqual(socket.sent, ['1 "a"', '2 {"type":"control","command":"cancel","run":"r7"}'])
      socket.say(ack(1), ack(2))
      assert.deepEqual(await both, [1, 1])
    })

    const rejects = (sent: Promise<number>, code: SendError['code'], detail?: string) =>
      assert.rejects(sent, (error: unknown) => {
        assert.ok(error instanceof SendError)
        assert.equal(error.code, code)
        if (detail !== undefined) assert.equal(error.detail, detail)
        return true
      })

    it('and rejects what the gateway refused or is not sure of', async () => {
      const socket = await open()
      socket.say(position(0))
      const sent = [chat.send(1), chat.send(2)] as const
      socket.say(ack(1, { error: 'upstream-unavailable' }), ack(2, { error: 'upstream-uncertain' }))
      await rejects(sent[0], 'refused', 'upstream-unavailable')
      await rejects(sent[1], 'uncertain')
    })

    it('and rejects as uncertain what had no answer when the connection was lost, or in 30 s', async () => {
      const socket = await open()
      socket.say(position(0))
      const lost = chat.send(1)
      const expected = rejects(lost, 'uncertain')
      const again = await redial()
      await expected
      again.say(position(0))
      const slow = rejects(chat.send(2), 'uncertain')
      assert.deepEqual(again.sent, ['2 2'], 'a frame is never sent twice')
      for (let s = 0; s < 30; s++) {
        await pass(1000)
        again.say({ type: 'pong' })
      }
      await slow
    })

    it('and rejects as full beyond 1,000 waiting frames or 1 MiB', async () => {
      await open()
      for (let i = 0; i < 1000; i++) chat.send(i).catch(() => {})
      await rejects(chat.send('more'), 'full')
      chat.close()
      await open()
      await rejects(chat.send('x'.repeat(1024 * 1024)), 'full')
    })

    it('and rejects as closed what waits or comes after the end', async () => {
      const socket = await open()
      const waiting = rejects(chat.send(1), 'closed')
      socket.end(4403, 'forbidden')
      await waiting
      await rejects(chat.send(2), 'closed', '4403 forbidden')
    })
  })

  describe('whose token ends soon', () => {
    const EXPIRING = { type: 'control', command: 'auth_expiring', expires_at: 't', in_ms: 60_000 }

    it('sends a new one, without a new dial', async () => {
      let asked = 0
      const socket = await open({ token: () => Promise.resolve(`t${++asked}`) })
      socket.say(position(0), EXPIRING)
      await settle()
      assert.deepEqual(
        socket.sent.map((text) => JSON.parse(text)),
        [{ type: 'control', command: 'auth', token: 't2' }],
      )
      socket.say({ type: 'control', command: 'auth_ok' })
      assert.equal(FakeSocket.made.length, 1)
      assert.equal(chat.state.name, 'open')
    })

    it('sends nothing without a function, or when that fails, and dials with a new one after the close', async () => {
      const fixed = await open({ token: 'fixed' })
      fixed.say(position(0), EXPIRING)
      await settle()
      assert.deepEqual(fixed.sent, [])
      chat.close()
      let asked = 0
      const token = () => (++asked === 2 ? Promise.reject(new Error('away')) : `t${asked}`)
      const socket = await open({ token })
      socket.say(position(0), EXPIRING)
      await settle()
      assert.deepEqual(socket.sent, [])
      const dials = FakeSocket.made.length
      socket.end(4401, 'expired retry=0')
      await pass(1)
      assert.equal(FakeSocket.made.length, dials + 1)
      assert.equal(asked, 3)
    })

    it('sends none to a later socket', async () => {
      let answer = (_: string) => {}
      const tokens = [
        Promise.resolve('t1'),
        new Promise<string>((resolve) => (answer = resolve)),
        Promise.resolve('t3'),
      ]
      const socket = await open({ token: () => tokens.shift()! })
      socket.say(position(0), EXPIRING)
      const next = await redial()
      next.say(position(0))
      answer('t2')
      await settle()
      assert.deepEqual([...socket.sent, ...next.sent], [])
    })
  })

  it('passes error frames of the gateway on', async () => {
    const socket = await open()
    const errors: unknown[] = []
    chat.on('error', (error) => errors.push(error))
    socket.say(position(0), { type: 'error', code: 'rate-limited', message: 'Too many frames.' })
    assert.deepEqual(errors, [{ code: 'rate-limited', message: 'Too many frames.' }])
  })
})
