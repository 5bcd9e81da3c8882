import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { isReservedType } from '../../../src/contract/live/schema.ts'
import { messageFrom } from '../../../src/doors/live/messages.ts'
import { checkServerFrame } from '../../support/contract.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { live, tell } from '../../support/live.ts'
import { assertProperty } from '../../support/property.ts'
import { scopeOf } from '../../support/scope.ts'

const LIMITS = { maxBytes: 1024 * 1024, maxDepth: 128 }
const frameOf = (text: string | Buffer, topic = 'system', channel = `live:${topic}`): string | undefined =>
  messageFrom(topic, channel, Buffer.from(text), LIMITS)?.frame.toString()

const OURS = ['type', 'subscription', 'timestamp', 'correlation_id', 'agent_id', 'data']
const TIME = '2026-01-01T00:00:00.000Z'

type Fields = Record<string, unknown>

/** What the contract says about the members of an envelope, on the parsed value. */
function assertEnvelope(sent: Fields, frame: Fields): void {
  const { agent_id: agent, timestamp, correlation_id: id } = sent
  for (const name of Object.keys(sent)) if (!OURS.includes(name)) assert.deepEqual(frame[name], sent[name], name)
  for (const name of Object.keys(frame)) assert.ok(OURS.includes(name) || Object.hasOwn(sent, name), name)
  assert.equal(frame.type, sent.type)
  assert.equal(frame.subscription, 'system')
  assert.deepEqual(frame.data, Object.hasOwn(sent, 'data') ? sent.data : null)
  if (timestamp === TIME) assert.equal(frame.timestamp, TIME)
  else assert.ok(Math.abs(Date.parse(String(frame.timestamp)) - Date.now()) < 60_000)
  if (typeof id === 'string' && id !== '' && id.length <= 128) assert.equal(frame.correlation_id, id)
  else assert.match(String(frame.correlation_id), /^[0-9a-f-]{36}$/)
  if (typeof agent === 'string') assert.equal(frame.agent_id, agent)
  else if (typeof agent === 'number') assert.equal(Number(frame.agent_id), agent)
  else assert.ok(!Object.hasOwn(frame, 'agent_id'))
}

describe('an object that an agent publishes with a type', () => {
  const values = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(TIME, '', 'c1', 7, null, 'x'.repeat(200)))
  const keys = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...OURS) }, { weight: 1, arbitrary: fc.string() })
  const space = fc.constantFrom('', '', ' ', '\n\t')
  const member = fc
    .tuple(keys, values, space)
    .map(([key, value, gap]) => `${gap}${JSON.stringify(key)}${gap}:${gap}${JSON.stringify(value)}${gap}`)
  const typed = fc.constantFrom('job_done', 'x', 'system_update').map((type) => `"type":${JSON.stringify(type)}`)
  const objects = fc
    .tuple(fc.array(member, { maxLength: 6 }), typed, fc.nat(6), space)
    .map(
      ([members, type, at, gap]) => `${gap}{${[...members.slice(0, at), type, ...members.slice(at)].join(',')}}${gap}`,
    )

  it('becomes a frame with its members as the contract has them, wherever they stand and however often', () => {
    const property = fc.property(objects, (text) => {
      const sent = JSON.parse(text) as Fields
      const frame = frameOf(text)!
      const value = JSON.parse(frame) as Fields
      if (typeof sent.type === 'string' && sent.type !== '' && sent.type.length <= 128 && !isReservedType(sent.type))
        assertEnvelope(sent, value)
      else assert.deepEqual([value.type, value.data], ['system_update', sent])
      checkServerFrame(frame)
    })
    assertProperty(property, { numRuns: 3000 })
  })

  it('keeps every byte that is not of a member of the contract', () => {
    const inner = '{"id":9007199254740993,"rate":1e400,"price":1.0,"a":1,"a":2, "z" : [ -0.0, 1E+2 ] }'
    const frame = frameOf(`{"n":1.0,"type":"job_done","n":2.0, "data":${inner} ,"m":1e999}`)!
    assert.ok(
      frame.startsWith(`{"n":1.0,"type":"job_done","n":2.0, "data":${inner} ,"m":1e999,"subscription":"system",`),
      frame,
    )
    for (const name of ['timestamp', 'subscription', 'correlation_id', 'agent_id'])
      for (const text of [`{"${name}":[1],"type":"t","data":${inner}}`, `{"type":"t","data":${inner},"${name}":[1]}`])
        assert.ok(frameOf(text)!.includes(`"data":${inner}`), text)
  })

  it('has each member of the contract once, so that every parser reads the same', () => {
    const frame = frameOf(
      '{"type":"pong","\\u0074ype":"a","subscription":"alerts","timestamp":"x","subscr\\u0069ption":1,"type":"b","correlation_id":"1","correlation_id":"2","agent_id":"1","agent_id":12.50,"data":1}',
    )!
    for (const name of ['type', 'subscription', 'timestamp', 'correlation_id', 'agent_id'])
      assert.equal(frame.split(`"${name}":`).length, 2, `${name} in ${frame}`)
    assert.ok(!frame.includes('\\u'), frame)
    const { timestamp, ...rest } = JSON.parse(frame)
    assert.deepEqual(rest, { type: 'b', correlation_id: '2', data: 1, agent_id: '12.50', subscription: 'system' })
    assert.match(timestamp, /Z$/)
  })

  it('is text, also when the agent sent bytes that are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"type":"t","data":"'), Buffer.from([0xff]), Buffer.from('"}')])
    assert.equal(JSON.parse(frameOf(bytes)!).data, '\ufffd')
  })
})

describe('a message from Redis', () => {
  it('is unusable when it is larger than the limit, nested too deep, or no object, before it is parsed', () => {
    const nested = (depth: number) => `{"type":"t","data":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
    for (const channel of ['live:system', 'system_events', 'agent_events:a']) {
      assert.ok(frameOf(nested(128), 'system', channel))
      for (const bad of [nested(129), '[{}]', '7', '"{}"', '', '{', '{"a":1}x', `{"a":"${'x'.repeat(1024 * 1024)}"}`])
        assert.equal(frameOf(bad, 'system', channel), undefined, `${channel} ${bad.slice(0, 40)}`)
    }
  })

  it('for chosen sockets is unusable when its list of recipients is longer than 1 MiB', () => {
    const limits = { maxBytes: 8 * 1024 * 1024, maxDepth: 128 }
    const of = (subscribers: string) =>
      messageFrom(
        'project_index',
        'project_index:websocket_events',
        Buffer.from(`{"event":1.0,"subscribers":${subscribers}}`),
        limits,
      )
    assert.deepEqual(of('["a",5,"b"]')?.recipients, ['a', 'b'])
    assert.equal(of('[]')?.recipients, undefined)
    assert.equal(of('null')?.recipients, undefined)
    assert.match(String(of('null')?.frame), /"data":1\.0/)
    assert.equal(of(`["${'x'.repeat(1024 * 1024)}"]`), undefined)
    assert.equal(of('"a"'), undefined)
  })
})

describe('numbers that a JavaScript parser cannot hold', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { ADMIN_TOKEN: 'an-admin-token-of-32-characters!' } })
  })
  const NUMBERS = '{"id":9007199254740993,"rate":1e400,"price":1.0,"id":-0.0}'

  const PUBLISHED: Record<string, [string, string]> = {
    'a topic, without a type': ['live:system', NUMBERS],
    'a topic, with a type': ['live:system', `{"type":"job_done","data":${NUMBERS}}`],
    'a topic, with a reserved type': ['live:system', `{"type":"pong","data":${NUMBERS}}`],
    'an alert': ['live:alerts', `{"type":"critical_alert","data":{"alerts":[${NUMBERS}]}}`],
    system_events: ['system_events', NUMBERS],
    agent_events: ['agent_events:a', NUMBERS],
    'an index event': ['project_index:websocket_events', `{"event":${NUMBERS}}`],
  }
  for (const [what, [channel, text]] of Object.entries(PUBLISHED))
    it(`pass unchanged in ${what}`, async () => {
      const client = await live(gateway, '/live?subscriptions=system,agents,alerts,project_index')
      await tell(gateway, channel, text)
      await client.take(2)
      assert.ok(String(client.frames.at(-1)).includes(NUMBERS), String(client.frames.at(-1)))
      await client.close()
    })

  it('pass unchanged in a broadcast, which may not be nested too deep', async () => {
    const client = await live(gateway, '/live?subscriptions=system')
    const post = async (body: string) => {
      const url = `${gateway.http}/api/dashboard/websocket/broadcast?subscription=system`
      const authorization = 'Bearer an-admin-token-of-32-characters!'
      return fetch(url, { method: 'POST', headers: { authorization, 'content-type': 'application/json' }, body })
    }
    assert.equal((await post(NUMBERS)).status, 200)
    await client.take(2)
    assert.ok(String(client.frames.at(-1)).includes(NUMBERS))
    const deep = await post(`${'['.repeat(20_000)}${']'.repeat(20_000)}`)
    assert.equal(deep.status, 400)
    assert.match(await deep.text(), /nested deeper than 128 levels/)
  })
})
