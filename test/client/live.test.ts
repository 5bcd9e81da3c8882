import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { type Live, live, type Run, run, type TopicMessage } from '../../client/src/index.ts'
import { FakeSocket, freezeTime, pass, settle } from './fake-socket.ts'

const frame = (type: string, rest: object) => ({ type, timestamp: 't', correlation_id: 'c', ...rest })
const greeting = (subscriptions: string[] = [], contract_version = '2.4.0') =>
  frame('connection_established', { connection_id: 'k', subscriptions, server_time: 't', contract_version })
const message = (subscription: string, data: unknown) => frame(`${subscription}_update`, { subscription, data })

describe('a live connection of the client', () => {
  let hub: Live
  beforeEach(() => freezeTime())
  afterEach(() => {
    hub.close()
    mock.timers.reset()
    mock.restoreAll()
  })

  async function open(): Promise<FakeSocket> {
    hub = live('wss://gw', { token: 't', WebSocket: FakeSocket })
    await settle()
    return FakeSocket.last.open()
  }
  const sent = (socket: FakeSocket) => socket.sent.map((text) => JSON.parse(text))
  const subscribe = (topic: string) => ({ type: 'subscribe', topic, id: topic })

  it('subscribes a topic for its first listener and unsubscribes it after its last', async () => {
    const socket = await open()
    socket.say(greeting())
    const got: TopicMessage[] = []
    const offs = [hub.subscribe('build', (each) => got.push(each)), hub.subscribe('build', () => {})]
    assert.deepEqual(sent(socket), [subscribe('build')])
    socket.say(message('build', 1), message('other', 2))
    assert.deepEqual(
      got.map(({ data }) => data),
      [1],
    )
    offs[0]!()
    offs[0]!()
    assert.equal(socket.sent.length, 1)
    offs[1]!()
    assert.deepEqual(sent(socket)[1], { type: 'unsubscribe', topic: 'build', id: 'build' })
  })

  it('sends a new token when its own ends soon, and reports the topics that this one does not grant', async () => {
    let asked = 0
    hub = live('wss://gw', { token: () => `t${++asked}`, WebSocket: FakeSocket })
    await settle()
    const socket = FakeSocket.last.open()
    socket.say(greeting(), frame('auth_expiring', { expires_at: 't', in_ms: 1000 }))
    await settle()
    assert.deepEqual(sent(socket), [{ type: 'auth', token: 't2' }])
    const errors: string[] = []
    hub.on('error', ({ code, message: words }) => errors.push(`${code} ${words}`))
    socket.say(frame('auth_ok', {}), frame('unsubscribed', { topic: 'build', reason: 'forbidden' }))
    socket.say(frame('unsubscribed', { topic: 'other' }))
    assert.deepEqual(errors, ['forbidden Not allowed: build'])
  })

  it('unsubscribes the topics of its path that have no listener', async () => {
    const socket = await open()
    hub.subscribe('tasks', () => {})
    socket.say(greeting(['agents', 'tasks']))
    assert.deepEqual(sent(socket), [{ type: 'unsubscribe', subscriptions: ['agents'] }, subscribe('tasks')])
  })

  it('subscribes again when it comes back, and says that messages were missed', async () => {
    const socket = await open()
    hub.subscribe('build', () => {})
    const missed: unknown[] = []
    hub.on('missed', (event) => missed.push(event))
    socket.say(greeting(), frame('disconnect_notice', { reason: 'draining', reconnect_after_ms: 700 }))
    socket.end(1001)
    await pass(700)
    const again = FakeSocket.last.open()
    again.say(greeting())
    assert.deepEqual(sent(again), [subscribe('build')])
    assert.deepEqual(missed, [{ topics: ['build'] }])
  })

  it('resolves a request with its data, and rejects it with the error of the gateway', async () => {
    const socket = await open()
    socket.say(greeting())
    const answers = [hub.request('system_health'), hub.request('nope'), hub.request('agent_status')] as const
    assert.deepEqual(sent(socket)[0], { type: 'request_data', data_type: 'system_health', correlation_id: 'r1' })
    socket.say(
      { ...frame('data_error', { data_type: 'nope', error: 'no such data' }), correlation_id: 'r2' },
      { ...frame('data_response', { data_type: 'system_health', data: { ok: true } }), correlation_id: 'r1' },
    )
    assert.deepEqual(await answers[0], { ok: true })
    await assert.rejects(answers[1], /no such data/)
    const lost = assert.rejects(answers[2], /lost/)
    socket.end(1006)
    await lost
    await assert.rejects(hub.request('system_health'), /not connected/)
  })

  it('ends an earlier call when another one has its correlation id', async () => {
    const socket = await open()
    socket.say(greeting())
    const envelope = { operation: 'upsert', entity: 'task', correlation_id: 'same' } as never
    const earlier = assert.rejects(hub.publish('tasks', envelope), /^Error: asked again$/)
    const later = hub.publish('tasks', envelope)
    await earlier
    const published = { ...frame('published', { topic: 'tasks' }), correlation_id: 'same' }
    socket.say(published)
    assert.deepEqual(await later, published)
  })

  it('compares what a listener of the state open sends with the limit of this gateway', async () => {
    const socket = await open()
    const sizes: Promise<unknown>[] = []
    hub.on('state', ({ name }) => {
      if (name !== 'open') return
      const data = 'x'.repeat(100)
      const envelope = { correlation_id: 'e1', ts: 1, op: 'update', domain: 'tasks', id: 't1', data } as const
      sizes.push(assert.rejects(hub.publish('build', envelope), { code: 'message-too-large' }))
      hub.subscribe('build', () => {})
    })
    socket.say({ ...greeting(), max_inbound_message_bytes: 100 })
    assert.deepEqual(sent(socket), [subscribe('build')])
    await Promise.all(sizes)
    socket.end(1006)
    await pass(500)
    FakeSocket.last.open().say({ ...greeting(), max_inbound_message_bytes: 50 })
    assert.deepEqual(sent(FakeSocket.last), [subscribe('build')])
    await Promise.all(sizes)
    assert.equal(sizes.length, 2)
  })

  it('says that the gateway speaks another major version of the contract', async () => {
    const socket = await open()
    const versions: unknown[] = []
    hub.on('version', (event) => versions.push(event))
    socket.say(greeting([], '2.9.0'))
    assert.deepEqual(versions, [])
    socket.say(greeting([], '3.0.0'))
    assert.deepEqual(versions, [{ gateway: '3.0.0', client: 2 }])
  })
})

describe('a run of the client', () => {
  let checks: Run
  beforeEach(() => freezeTime())
  afterEach(() => {
    checks.close()
    mock.timers.reset()
    mock.restoreAll()
  })

  it('answers pings, and says which keys have changed', async () => {
    checks = run('https://gw', { id: 'r;1', WebSocket: FakeSocket, path: '/runs/' })
    const changes: unknown[] = []
    checks.on('change', ({ changed }) => changes.push(changed))
    await settle()
    assert.equal(FakeSocket.last.url, 'wss://gw/runs/r%3B1')
    const socket = FakeSocket.last.open()
    socket.say({ type: 'preflight', checklist: { a: true, b: false }, lock_statuses: { x: '1' }, last_modified: 7 })
    socket.say({ type: 'ping' })
    socket.say({ type: 'preflight', checklist: { a: true, b: true }, lock_statuses: {} }, { type: 'hangup' })
    assert.deepEqual(socket.sent, ['{"type":"init"}', '{"type":"pong"}'])
    assert.deepEqual(changes, [['a', 'b'], ['b']])
    assert.deepEqual(checks.checklist, { a: true, b: true })
    assert.deepEqual([checks.locks, checks.lastModified], [{}, undefined])
    socket.end(1013, 'redis is away, try again later')
    assert.equal(checks.state.name, 'waiting')
  })
})
