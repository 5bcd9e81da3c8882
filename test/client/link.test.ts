import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { type Session, type SessionOptions, type State, session } from '../../client/src/index.ts'
import { closes, refusals } from '../../src/contract/codes.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'

const POSITION = { type: 'control', command: 'position', grade: 'exact', epoch: 'e1', offset: 0 }

describe('the connection of a client', () => {
  let chat: Session
  let states: State[]
  beforeEach(() => freezeTime())
  afterEach(() => {
    chat.close()
    mock.timers.reset()
    mock.restoreAll()
  })

  async function dial(options: Partial<SessionOptions> = {}): Promise<FakeSocket> {
    states = []
    const base = { agent: 'agent-1', id: 's1', WebSocket: FakeSocket, storage: null }
    chat = session('wss://gw.example', { ...base, token: () => 'token', ...options })
    chat.on('state', (state) => states.push(state))
    await settle()
    return FakeSocket.last
  }

  it('brings the token as a subprotocol, and the ids encoded', async () => {
    const socket = await dial({ agent: 'a/b', id: 'ü', token: 'secret?>' })
    assert.equal(socket.url, 'wss://gw.example/a%2Fb/ws/%C3%BC')
    assert.deepEqual(socket.protocols, ['wsproxy.v2', `bearer.${Buffer.from('secret?>').toString('base64url')}`])
  })

  it('takes the address of a page, http or https', async () => {
    await dial()
    chat.close()
    chat = session('https://gw.example/', { agent: 'a', id: 's', WebSocket: FakeSocket, storage: null })
    await settle()
    assert.equal(FakeSocket.last.url, 'wss://gw.example/a/ws/s')
    assert.deepEqual(FakeSocket.last.protocols, ['wsproxy.v2'], 'without a token it brings none')
  })

  it('asks for a token before each dial', async () => {
    let tokens = 0
    const socket = await dial({ token: async () => `t${++tokens}` })
    socket.open().end(1006)
    await pass(500)
    assert.equal(tokens, 2)
    assert.equal(FakeSocket.last.protocols[1], `bearer.${Buffer.from('t2').toString('base64url')}`)
  })

  it('waits longer after each failure, at most 20 s, and begins again after 10 s of being open', async () => {
    await dial()
    const pauses: number[] = []
    for (let i = 0; i < 8; i++) {
      FakeSocket.last.open().end(1006)
      const state = states.at(-1)!
      assert.equal(state.name, 'waiting')
      pauses.push(state.name === 'waiting' ? state.ms : 0)
      await pass(20_000)
    }
    assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000])
    FakeSocket.last.open().say(POSITION)
    await pass(10_000)
    FakeSocket.last.end(1006)
    assert.deepEqual(states.at(-1), { name: 'waiting', ms: 500, code: 1006, reason: '' })
  })

  it('waits as the server says: in a goodbye, and in the reason of a close', async () => {
    const socket = await dial()
    socket.open().say(POSITION, { type: 'control', command: 'goodbye', reason: 'draining', reconnect_after_ms: 1234 })
    socket.end(1001, 'draining')
    assert.deepEqual(states.at(-1), { name: 'waiting', ms: 1234, code: 1001, reason: 'draining' })
    await pass(1234)
    FakeSocket.last.open().end(4503, 'redis-unavailable retry=2310')
    assert.equal((states.at(-1) as { ms: number }).ms, 2310)
  })

  for (const [name, { code, reconnect }] of Object.entries(closes)) {
    if (code === 4401) continue
    it(`${reconnect ? 'comes back' : 'stays away'} after the close ${name} (${code})`, async () => {
      const socket = await dial()
      socket.open().end(code, 'reason')
      assert.equal(states.at(-1)!.name, reconnect ? 'waiting' : 'closed')
      await pass(30_000)
      assert.equal(FakeSocket.made.length, reconnect ? 2 : 1)
    })
  }

  for (const { code, close, client } of Object.values(refusals)) {
    it(`does as the table says after the refusal ${code} (${client})`, async () => {
      const socket = await dial()
      socket.open().end(close, client === 'wait' ? `${code} retry=700` : code)
      assert.equal(states.at(-1)!.name, client === 'final' ? 'closed' : 'waiting')
      await pass(700)
      assert.equal(FakeSocket.made.length, client === 'final' ? 1 : 2)
    })
  }

  it('gives up after 4409: another socket has the session', async () => {
    const socket = await dial()
    socket.open().end(4409, 'session-taken')
    assert.deepEqual(states.at(-1), { name: 'closed', code: 4409, reason: 'session-taken' })
  })

  it('asks once for a new token after 4401, and gives up when that one is refused, too', async () => {
    let tokens = 0
    const socket = await dial({ token: () => `t${++tokens}` })
    socket.open().end(4401, 'token-rejected')
    await pass(500)
    assert.equal(tokens, 2)
    FakeSocket.last.open().end(4401, 'token-rejected')
    assert.deepEqual(states.at(-1), { name: 'closed', code: 4401, reason: 'token-rejected' })
  })

  it('asks anew for a token after 4401 when it was admitted in between', async () => {
    const socket = await dial()
    socket.open().end(4401, 'token-rejected')
    await pass(500)
    FakeSocket.last.open().say(POSITION)
    FakeSocket.last.end(4401, 'expired')
    assert.equal(states.at(-1)!.name, 'waiting')
  })

  it('gives up after 4401 with a token that it cannot renew', async () => {
    const socket = await dial({ token: 'fixed' })
    socket.open().end(4401, 'token-rejected')
    assert.equal(states.at(-1)!.name, 'closed')
  })

  it('comes back with its resume ticket when its token cannot be had', async () => {
    let isAway = false
    const socket = await dial({
      token: () => {
        if (isAway) throw new Error('the backend is away')
        return 'token'
      },
    })
    socket.open().say(POSITION, { type: 'control', command: 'ticket', ticket: 'wst1_abc' })
    isAway = true
    socket.end(1006)
    await pass(500)
    assert.equal(FakeSocket.last.protocols[1], `bearer.${Buffer.from('wst1_abc').toString('base64url')}`)
  })

  it('comes back with a resume ticket that is still valid, and asks for no token until it is refused', async () => {
    let asked = 0
    const token = () => `token-${++asked}`
    const socket = await dial({ token })
    const bearer = (text: string) => `bearer.${Buffer.from(text).toString('base64url')}`
    socket.open().say(POSITION, { type: 'control', command: 'ticket', ticket: 'wst1_abc', expires_in_ms: 600_000 })
    socket.end(1006)
    await pass(500)
    assert.deepEqual([FakeSocket.last.protocols[1], asked], [bearer('wst1_abc'), 1])
    FakeSocket.last.open().end(4401, 'token-rejected')
    await pass(1000)
    assert.deepEqual([FakeSocket.last.protocols[1], asked], [bearer('token-2'), 2])
  })

  it('tries again after a token that is too long for one call, and says that it has none', async () => {
    let token = 'x'.repeat(1_000_000)
    states = []
    await dial({ token: () => token })
    assert.equal(FakeSocket.made.length, 0)
    const { name, reason } = states.at(-1) as { name: string; reason: string }
    assert.deepEqual([name, reason.startsWith('no token: ')], ['waiting', true])
    token = 'token'
    await pass(500)
    assert.equal(FakeSocket.made.length, 1)
  })

  it('tries again when the token function throws, and says why it waits', async () => {
    let isAway = true
    states = []
    await dial({
      token: () => {
        if (isAway) throw new Error('no login')
        return 'token'
      },
    })
    assert.equal(FakeSocket.made.length, 0)
    assert.deepEqual(states.at(-1), { name: 'waiting', ms: 500, code: 1006, reason: 'no token: no login' })
    isAway = false
    await pass(500)
    assert.equal(FakeSocket.made.length, 1)
  })

  it('pings after 25 s of silence and dials when no answer comes in 10 s', async () => {
    const socket = await dial()
    socket.open().say(POSITION)
    await pass(24_000)
    assert.deepEqual(socket.sent, [])
    await pass(1000)
    assert.deepEqual(socket.sent, ['{"type":"ping"}'])
    socket.say({ type: 'pong' })
    await pass(10_000)
    assert.equal(FakeSocket.made.length, 1)
    await pass(25_000)
    await pass(10_000)
    assert.equal(socket.closed, 1000)
    await pass(500)
    assert.equal(FakeSocket.made.length, 2)
  })

  it('gives up an upgrade that has no answer after 20 s', async () => {
    const socket = await dial()
    await pass(20_000)
    assert.equal(socket.closed, 1000)
    assert.equal(states.at(-1)!.name, 'waiting')
  })

  it('closes once, and dials no more', async () => {
    const socket = await dial()
    socket.open().say(POSITION)
    chat.close()
    chat.close()
    assert.equal(socket.closed, 1000)
    assert.deepEqual(states.at(-1), { name: 'closed', code: 1000, reason: 'closed by the client' })
    await pass(60_000)
    assert.equal(FakeSocket.made.length, 1)
  })

  it('ignores a close event of a socket that it has given up', async () => {
    const socket = await dial()
    socket.open().say(POSITION)
    await pass(25_000)
    await pass(10_000)
    await pass(500)
    FakeSocket.last.open().say(POSITION)
    socket.end(4403, 'forbidden')
    assert.equal(chat.state.name, 'open')
  })
})
