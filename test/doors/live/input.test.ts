import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { parseClientFrame } from '../../../src/doors/live/inbound.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { answersTo, live, tell } from '../../support/live.ts'
import { assertProperty } from '../../support/property.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
const SECRET = 'se"cret\n\u0007'

/** What a client sends, and the code and the beginning of the message that it gets. */
const BAD: Record<string, [unknown, string, string]> = {
  'an array': ['[]', 'protocol-violation', 'Invalid message'],
  'the value null': ['null', 'protocol-violation', 'Invalid message'],
  'a number': ['42', 'protocol-violation', 'Invalid message'],
  'a string': ['"ping"', 'protocol-violation', 'Invalid message'],
  'no JSON': ['{"type":', 'protocol-violation', 'Invalid JSON'],
  'an empty frame': ['', 'protocol-violation', 'Invalid JSON'],
  'no type': [{}, 'protocol-violation', 'Invalid message: type is missing'],
  'a type that is no string': [{ type: 5 }, 'protocol-violation', 'Invalid message: type must be string'],
  'a string in place of a list': [
    { type: 'subscribe', subscriptions: 'system' },
    'protocol-violation',
    'Invalid message: subscriptions must be array, got a string of 6 characters',
  ],
  'a number among names': [
    { type: 'unsubscribe', subscriptions: ['system', 5] },
    'protocol-violation',
    'Invalid message: subscriptions.1 must be string, got a number',
  ],
  'a list of more than 1,000 names': [
    { type: 'subscribe', subscriptions: Array(1001).fill('system') },
    'protocol-violation',
    'Invalid message: subscriptions must NOT have more than 1000 items, got an array',
  ],
  'a longer list of names to leave': [
    { type: 'unsubscribe', subscriptions: Array(9000).fill('x') },
    'protocol-violation',
    'Invalid message: subscriptions must NOT have more than 1000 items, got an array',
  ],
  'null in place of a list': [
    { type: 'subscribe', subscriptions: null },
    'protocol-violation',
    'Invalid message: subscriptions must be array, got null',
  ],
  'a topic that is a list': [
    { type: 'subscribe', topic: ['a'] },
    'protocol-violation',
    'Invalid message: topic must be string',
  ],
  'an id that is an object': [
    { type: 'subscribe', topic: 'a', id: {} },
    'protocol-violation',
    'Invalid message: id must be',
  ],
  'a correlation id that is a number': [
    { type: 'ping', correlation_id: 5 },
    'protocol-violation',
    'Invalid message: correlation_id must be string, got a number',
  ],
  'no data type': [{ type: 'request_data' }, 'protocol-violation', 'Invalid message: data_type is missing'],
  'a data type that is null': [
    { type: 'request_data', data_type: null },
    'protocol-violation',
    'Invalid message: data_type must be string',
  ],
  'nested brackets': [nested(30_000), 'protocol-violation', 'Invalid message: nested deeper than 128 levels'],
  'nested brackets that do not end': ['['.repeat(60_000), 'protocol-violation', 'Invalid message: nested deeper'],
  'brackets within the limit that do not end': ['['.repeat(128), 'protocol-violation', 'Invalid JSON'],
  'a ping with a member that is nested too deep': [
    `{"type":"ping","x":${nested(128)}}`,
    'protocol-violation',
    'Invalid message: nested deeper than 128 levels (JSON_MAX_DEPTH)',
  ],
  '100,000 brackets': [nested(50_000), 'message-too-large', 'Message too large'],
  'an unknown type': [{ type: 'get_status' }, 'unknown-type', 'Unknown message type: get_status'],
  'an unknown type with all characters': [{ type: SECRET }, 'unknown-type', `Unknown message type: ${SECRET}`],
  'the name of a frame of the server': [{ type: 'pong' }, 'unknown-type', 'Unknown message type: pong'],
  'a type that every object has': [{ type: 'constructor' }, 'unknown-type', 'Unknown message type: constructor'],
  'a type of 10,000 characters': [
    { type: 'x'.repeat(10_000) },
    'unknown-type',
    `Unknown message type: ${'x'.repeat(64)}…`,
  ],
  'duplicate keys': ['{"type":"ping","type":"nope"}', 'unknown-type', 'Unknown message type: nope'],
  'a frame with __proto__': ['{"__proto__":{"type":"ping"}}', 'protocol-violation', 'Invalid message: type is missing'],
}

describe('bad input at the live door', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { LIVE_RATE: '0', LIVE_TOPICS: 'build.*' } })
  })

  for (const [what, [sent, code, message]] of Object.entries(BAD)) {
    it(`${what} is answered with ${code} and the socket stays`, async () => {
      const client = await live(gateway)
      const [answer, ...rest] = await answersTo(client, sent)
      assert.equal(answer?.type, 'error')
      assert.equal(answer?.code, code)
      assert.ok(String(answer?.message).startsWith(message), String(answer?.message))
      assert.deepEqual(rest, [])
      await client.close()
    })
  }

  it('1,000 topics in one frame get one error for the cap and one for unknown names', async () => {
    const client = await live(gateway, '/live?subscriptions=system')
    const names = Array.from({ length: 1000 }, (_, i) => i.toString(36))
    client.send({ type: 'subscribe', subscriptions: names })
    await client.find({ type: 'subscription_updated' })
    const [error, updated] = client.values.slice(1)
    assert.match(String(error?.message), /^Invalid subscription\(s\): 0, 1, 10, 11, .* and 980 more$/)
    assert.deepEqual(updated?.subscriptions, ['system'])
    client.send({ type: 'subscribe', subscriptions: Array.from({ length: 1000 }, (_, i) => `build.${i}`) })
    const full = await eventually(
      () => client.values.filter(({ type }) => type === 'subscription_updated')[1],
      'the second',
    )
    assert.equal((full.subscriptions as string[]).length, 10)
  })

  it('frames of unknown types are all answered, and the known ones among them too', async () => {
    const client = await live(gateway)
    const answers = await answersTo(
      client,
      ...Array.from({ length: 500 }, (_, i) => ({ type: `habit-${i}`, id: i, correlation_id: `c${i}` })),
    )
    assert.deepEqual(
      answers.map(({ code, id, correlation_id }) => [code, id, correlation_id]),
      Array.from({ length: 500 }, (_, i) => ['unknown-type', i, `c${i}`]),
    )
  })

  it('nothing that a client sends appears in the log or in a metric', async () => {
    const marker = 'marker-4711'
    const client = await live(gateway, `/live?subscriptions=${marker}&x=${marker}`)
    await answersTo(
      client,
      { type: marker },
      `{"${marker}`,
      { type: 'subscribe', topic: marker },
      { type: 'ping', [marker]: marker },
    )
    await client.close()
    await eventually(() => gateway.log.some(({ event }) => event === 'closed'), 'the line of the close')
    assert.ok(!JSON.stringify(gateway.log).includes(marker))
    assert.ok(!(await (await fetch(`${gateway.http}/metrics`)).text()).includes(marker))
  })

  it('a frame of up to eight times the limit gets an error, and a larger one cuts the connection', async () => {
    const client = await live(gateway)
    const limit = 64 * 1024
    const answers = await answersTo(client, 'x'.repeat(limit), 'x'.repeat(limit + 1), 'x'.repeat(8 * limit))
    assert.deepEqual(
      answers.map(({ code }) => code),
      ['protocol-violation', 'message-too-large', 'message-too-large'],
    )
    client.send('x'.repeat(8 * limit + 1))
    assert.equal((await within(client.closed, 'the close')).code, 1006)
  })

  it('parseClientFrame never throws', () => {
    const json = fc.json({ maxDepth: 5 })
    const keys = fc.constantFrom(
      'type',
      'subscriptions',
      'topic',
      'id',
      'correlation_id',
      'data_type',
      'client_time',
      'x',
    )
    const types = fc.constantFrom('ping', 'subscribe', 'unsubscribe', 'request_data', 'pong', '__proto__')
    const frame = fc
      .dictionary(keys, fc.oneof(fc.jsonValue(), types, fc.array(fc.string())))
      .map((value) => JSON.stringify(value))
    const property = fc.property(fc.oneof(json, frame, fc.string()), (text) => {
      const inbound = parseClientFrame(Buffer.from(text), 128)
      if (inbound.kind === 'frame') assert.match(inbound.frame.type, /^(ping|subscribe|unsubscribe|request_data)$/)
      else assert.match(inbound.message, /^(Invalid JSON|Invalid message|Unknown message type)/)
    })
    assertProperty(property, { numRuns: 2000 })
  })
})

describe('the rate of a live socket', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { LIVE_RATE: '1', LIVE_RATE_BURST: '40' } })
  })

  it('every frame counts for the rate, also oversized and unparseable ones, with one notice in 5 s', async () => {
    const client = await live(gateway)
    const before = await gateway.metric('wsproxy_live_messages_dropped_rate_limit_total')
    for (let i = 0; i < 10; i++) client.send('x'.repeat(70_000))
    for (let i = 0; i < 10; i++) client.send('{')
    for (let i = 0; i < 10; i++) client.send({ type: 'nope' })
    for (let i = 0; i < 10; i++) client.send({ type: 'ping' })
    for (let i = 0; i < 500; i++) client.send({ type: 'ping' })
    const dropped = async () => (await gateway.metric('wsproxy_live_messages_dropped_rate_limit_total')) - before
    await eventually(async () => (await dropped()) >= 495, 'the drops')
    const count = (code: string) => client.values.filter((value) => value.code === code || value.type === code).length
    await eventually(() => count('pong') >= 10, 'the pongs')
    assert.deepEqual(
      ['message-too-large', 'protocol-violation', 'unknown-type', 'rate-limited'].map(count),
      [10, 10, 10, 1],
    )
    assert.ok(count('pong') <= 12)
    assert.equal((await client.find({ code: 'rate-limited' })).message, 'Rate limit exceeded')
    assert.equal(client.code, undefined)
  })

  it('a flood of one socket takes nothing from the rate of others', async () => {
    const [flood, other] = [await live(gateway), await live(gateway, '/live?subscriptions=system')]
    for (let i = 0; i < 10_000; i++) flood.send('{"type":"ping"}')
    for (let n = 0; n < 20; n++) {
      await tell(gateway, 'live:system', { n })
      other.send({ type: 'ping', client_time: n })
      await other.find({ type: 'pong', client_time: n })
    }
    await other.take(41)
    assert.ok(!other.values.some(({ type }) => type === 'error'))
    flood.socket.terminate()
  })
})

describe('a live client that does not read', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    const slow = { MAX_BUFFER_SIZE_BYTES: '1MiB', SLOW_CLOSE_GRACE: '10s', PING_INTERVAL: '60s', PONG_TIMEOUT: '120s' }
    gateway = await gatewayFor(suite, { env: slow })
  })

  it('a client that does not read loses four frames in a row, and is closed with 1008 at the fifth', async () => {
    const [slow, other] = [
      await live(gateway, '/live?subscriptions=system'),
      await live(gateway, '/live?subscriptions=system'),
    ]
    slow.socket.pause()
    const text = 'x'.repeat(400 * 1024)
    const failures = () => gateway.metric('wsproxy_live_messages_send_failures_total')
    let n = 0
    const next = async () => {
      await tell(gateway, 'live:system', { n: ++n, text })
      await other.find({ subscription: 'system' })
      await eventually(() => (other.values.at(-1)?.data as { n: number })?.n === n, `message ${n} at the other`)
    }
    while ((await failures()) < 4) await next()
    assert.equal(await gateway.metric('wsproxy_live_backpressure_disconnects_total'), 0)
    const lost = n
    await next()
    await eventually(async () => (await failures()) === 5, 'the fifth')
    slow.socket.resume()
    assert.equal((await within(slow.closed, 'the close')).code, 1008)
    assert.equal(slow.values.at(-1)?.reason, 'backpressure')
    const numbers = slow.values.slice(1, -1).map(({ data }) => (data as { n: number }).n)
    assert.deepEqual(
      numbers,
      Array.from({ length: lost - 4 }, (_, i) => i + 1),
    )
    assert.equal(await gateway.metric('wsproxy_live_backpressure_disconnects_total'), 1)
  })

  it('an id of any shape in a list request is accepted and not echoed', async () => {
    const client = await live(gateway)
    const deep = nested(127)
    const list = (topics: string, type = 'subscribe') => `{"type":"${type}","subscriptions":${topics},"id":${deep}}`
    client.socket.send(list('["nope"]'))
    client.socket.send(list('["alerts","nope"]'))
    client.socket.send(list('["nope"]', 'unsubscribe'))
    await client.find({ type: 'subscription_updated' })
    await eventually(() => client.values.filter(({ code }) => code === 'unknown-topic').length === 3, 'three errors')
    assert.ok(client.values.every((value) => !('id' in value)))
    assert.equal(client.code, undefined)
    await client.close()
  })

  it('names that every object has, such as constructor, work as topics', async (t) => {
    const other = await gatewayFor(t, { redis: gateway.redis, env: { LIVE_TOPICS: 'c*,_*', LIVE_RATE: '0' } })
    const client = await live(other, '/live?subscriptions=constructor,__proto__')
    client.send({ type: 'subscribe', topic: 'c.1', id: 1 })
    await client.find({ type: 'subscribed', id: 1 })
    for (const topic of ['constructor', '__proto__', 'c.1']) {
      await tell(other, `live:${topic}`, { topic })
      assert.deepEqual((await client.find({ subscription: topic })).data, { topic })
    }
  })
})
