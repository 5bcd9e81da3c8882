import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { closeCases } from '../../client/src/conformance/cases.gen.ts'
import { type Session, session } from '../../client/src/index.ts'
import { returnAfterMs, returnMoments } from '../../src/connection/drain.ts'
import { peakOverMean } from '../support/arrivals.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'

const POSITION = { type: 'control', command: 'position', grade: 'exact', epoch: 'e1', offset: 0 }
const HOUR_MS = 3_600_000
const LONGEST_PAUSE_MS = 20_000
/** What the issue of the client allows at the gateway that stays. */
const MOST_PEAK_OVER_MEAN = 1.3

/** The page around the client. */
interface FakePage {
  addEventListener?: unknown
  removeEventListener?: unknown
  document?: unknown
}
const page = globalThis as unknown as FakePage

const bearer = (n: number): string => `bearer.${Buffer.from(`t${n}`).toString('base64url')}`

describe('a client and the clock', () => {
  const handlers = new Map<string, ((event: { persisted?: boolean }) => void)[]>()
  const fire = (name: string, event = {}) => {
    for (const handler of handlers.get(name) ?? []) handler(event)
  }
  let chats: Session[]
  let tokens: number
  beforeEach(() => {
    freezeTime()
    chats = []
    tokens = 0
    handlers.clear()
    const addEventListener = (name: string, act: () => void) => handlers.set(name, [...(handlers.get(name) ?? []), act])
    const removeEventListener = () => {}
    Object.assign(page, { addEventListener, removeEventListener })
    page.document = { visibilityState: 'visible', addEventListener, removeEventListener }
  })
  afterEach(() => {
    for (const chat of chats) chat.close()
    mock.timers.reset()
    mock.restoreAll()
    delete page.addEventListener
    delete page.removeEventListener
    delete page.document
  })

  async function dial(): Promise<Session> {
    const token = async () => `t${++tokens}`
    const chat = session('ws://gw', { agent: 'a', id: 's', token, WebSocket: FakeSocket, storage: null })
    chats.push(chat)
    await settle()
    return chat
  }

  for (const { code, reason, client, hasHint } of closeCases) {
    it(`acts upon ${code} ${reason}: ${client}${hasHint ? ', as the hint says' : ''}`, async () => {
      const chat = await dial()
      FakeSocket.last.open().end(code, hasHint ? `${reason} retry=1234` : reason)
      const { state } = chat
      if (client === 'final') {
        assert.deepEqual(state, { name: 'closed', code, reason })
        await pass(HOUR_MS)
        assert.equal(FakeSocket.made.length, 1)
        return
      }
      assert.equal(state.name, 'waiting')
      const ms = state.name === 'waiting' ? state.ms : 0
      if (hasHint) assert.equal(ms, 1234)
      else assert.ok(ms <= 500)
      await pass(ms)
      assert.equal(FakeSocket.made.length, 2)
      assert.equal(FakeSocket.last.protocols[1], bearer(2))
      if (client !== 'new-token') return
      FakeSocket.last.open().end(code, reason)
      assert.equal(chat.state.name, 'closed')
    })
  }

  it('dials with a new token at once when its page wakes after an hour of sleep', async () => {
    await dial()
    FakeSocket.last.open().say(POSITION)
    // A sleeping page runs no timers, and hears of no close.
    mock.timers.setTime(Date.now() + HOUR_MS)
    fire('visibilitychange')
    await settle()
    assert.equal(FakeSocket.made.length, 2)
    assert.equal(FakeSocket.last.protocols[1], bearer(2))
    assert.match(FakeSocket.last.url, /cursor=e1\.0/)
  })

  it('dials with a new token in 2 s when its page is online again and its socket is dead', async () => {
    await dial()
    FakeSocket.last.open().say(POSITION)
    await pass(10_000)
    fire('online')
    assert.equal(FakeSocket.last.sent.at(-1), '{"type":"ping"}')
    await pass(2000)
    assert.equal(FakeSocket.made.length, 2)
    assert.equal(FakeSocket.last.protocols[1], bearer(2))
  })

  it('dials with a new token at once when its page comes out of the back-forward cache after an hour', async () => {
    const chat = await dial()
    const first = FakeSocket.last.open()
    first.say(POSITION)
    fire('pagehide', { persisted: true })
    assert.equal(first.closed, 1000)
    await pass(LONGEST_PAUSE_MS)
    assert.equal(FakeSocket.made.length, 1)
    mock.timers.setTime(Date.now() + HOUR_MS)
    fire('pageshow', { persisted: true })
    await settle()
    assert.equal(FakeSocket.made.length, 2)
    assert.equal(FakeSocket.last.protocols[1], bearer(2))
    FakeSocket.last.open().say(POSITION)
    assert.equal(chat.state.name, 'open')
  })

  it('comes back with thousands of others evenly: the peak is at most 1.3 times the mean', async () => {
    mock.restoreAll()
    let seed = 20_240_601
    mock.method(Math, 'random', () => {
      seed = (seed * 48_271) % 2_147_483_647
      return seed / 2_147_483_647
    })
    for (let i = 0; i < 5000; i++) await dial()
    const first = FakeSocket.made
    FakeSocket.made = []
    for (const socket of first) socket.open().end(1006)
    const perBin: number[] = []
    while (FakeSocket.made.length < 5000) {
      const before = FakeSocket.made.length
      await pass(50)
      perBin.push(FakeSocket.made.length - before)
    }
    assert.equal(perBin.length, 10)
    assert.ok(Math.max(...perBin) / (5000 / perBin.length) <= MOST_PEAK_OVER_MEAN, perBin.join())
  })

  it('comes back with thousands of others evenly after a drain, at the moment of its own goodbye', async () => {
    const clients = 1000
    const windowMs = 2000
    for (let i = 0; i < clients; i++) await dial()
    const first = FakeSocket.made
    for (const socket of first) socket.open().say(POSITION)
    FakeSocket.made = []
    const arrivals: number[] = []
    const stepMs = 5
    const moments = returnMoments(clients, windowMs)
    for (let closed = 0, at = 0; arrivals.length < clients; at += stepMs) {
      for (; closed < Math.min((at / windowMs) * clients, clients); closed++) {
        const reconnect_after_ms = returnAfterMs(moments[closed]!, at)
        first[closed]!.say({ type: 'control', command: 'goodbye', reason: 'draining', reconnect_after_ms })
        first[closed]!.end(1001, 'draining')
      }
      await pass(stepMs)
      while (arrivals.length < FakeSocket.made.length) arrivals.push(at)
    }
    const peak = peakOverMean(arrivals, 100)
    assert.ok(peak <= MOST_PEAK_OVER_MEAN, `peak over mean ${peak.toFixed(2)}`)
  })
})
