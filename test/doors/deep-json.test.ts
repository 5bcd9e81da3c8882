import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionUp } from '../../src/contract/names.ts'
import { connect } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { answersTo, live, tell } from '../support/live.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'
import { publish } from '../support/wire.ts'

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const MAX_DEPTH = 12
const TOO_DEEP = `The frame is nested deeper than ${MAX_DEPTH} levels (JSON_MAX_DEPTH); it was not published.`

describe('JSON that is nested deeper than JSON_MAX_DEPTH', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, {
      env: { JSON_MAX_DEPTH: String(MAX_DEPTH), SESSION_RATE: '0', STREAM_END_TIMEOUT: '50ms' },
    })
  })

  it('is not published for a session; its sender gets an error that names the limit and the setting', async () => {
    const published: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp('deep'), (message) => published.push(message))
    const client = await gateway.join('deep')
    const good = [nested(MAX_DEPTH), `{"a":${nested(MAX_DEPTH - 1)}}`, `[${'[],'.repeat(1000)}0]`]
    const bad = [
      nested(MAX_DEPTH + 1),
      '['.repeat(500_000),
      nested(500_000),
      `{"type":"ping","a":${nested(MAX_DEPTH)}}`,
    ]
    for (const frame of [...good, ...bad, '"end"']) client.send(frame)
    await eventually(() => published.includes('"end"'), 'the last frame')
    assert.deepEqual(published, [...good, '"end"'])
    await client.take(bad.length)
    assert.deepEqual(
      client.values,
      bad.map(() => ({ type: 'error', code: 'invalid-json', message: TOO_DEEP })),
    )
    await client.close()
  })

  it('passes from an agent to a session unchanged, and is no stream_end', async () => {
    const client = await gateway.join('down')
    const texts = [nested(100_000), `{"type":"control","command":"stream_end","a":${nested(MAX_DEPTH)}}`]
    for (const text of texts) publish(gateway, 'down', text)
    await client.take(2)
    assert.deepEqual(client.frames, texts)
    publish(gateway, 'down', `{"type":"control","command":"stream_end","a":${nested(MAX_DEPTH - 1)}}`)
    await eventually(() => client.code === 1000, 'the close after a stream_end within the limit')
  })

  it('is logged as unparseable at the run door, and the socket stays', async () => {
    const client = await connect(`${gateway.url}/run-deep`)
    await client.take(1)
    client.send(nested(MAX_DEPTH))
    client.send(nested(MAX_DEPTH + 1))
    await eventually(() => gateway.log.some(({ event }) => event === 'unparseable'), 'the line')
    assert.equal(gateway.log.filter(({ event }) => event === 'unparseable').length, 1)
    await client.close()
  })

  it('is a violation at the live door, from a client and from an agent', async () => {
    const client = await live(gateway, '/live?subscriptions=system')
    const [answer] = await answersTo(client, { type: 'ping', x: JSON.parse(nested(MAX_DEPTH)) })
    assert.equal(answer?.code, 'protocol-violation')
    assert.equal(answer?.message, `Invalid message: nested deeper than ${MAX_DEPTH} levels (JSON_MAX_DEPTH)`)
    const lost = () => gateway.metric('wsproxy_lost_messages_total', { reason: 'invalid' })
    const before = await lost()
    await tell(gateway, 'live:system', `{"type":"t","data":${nested(MAX_DEPTH)}}`)
    await tell(gateway, 'live:system', `{"a":${nested(4_000_000)}}`)
    await tell(gateway, 'live:system', `{"type":"t","data":${nested(MAX_DEPTH - 1)}}`)
    const frame = await client.find({ type: 't' })
    assert.deepEqual(frame.data, JSON.parse(nested(MAX_DEPTH - 1)))
    assert.equal((await lost()) - before, 2)
  })
})

describe('a ping of a session', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { SESSION_RATE: '0' } })
  })

  it('is found as JSON.parse finds it: by its last type, however it is written, without other members', async () => {
    const published: string[] = []
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp('pings'), (message) => published.push(message))
    const client = await gateway.join('pings')
    const padding = `"x":"${'y'.repeat(2000)}"`
    const pings = [
      '{"type":"ping"}',
      ' { "\\u0074ype" : "p\\u0069ng" } ',
      '{"type":"x","type":"ping"}',
      '{"\\u0074\\u0079\\u0070\\u0065":"\\u0070\\u0069\\u006e\\u0067"}',
      '{"command":"ping","type":"control"}',
    ]
    const others = [
      `{${padding},"type":"ping"}`,
      `{"command":"ping",${padding},"type":"control"}`,
      '{"type":"ping","id":1}',
      '{"type":"ping","type":"x"}',
      '{"a":{"type":"ping"}}',
      '["type","ping"]',
      '"ping"',
      '{"type":"pings"}',
      '{"type":["ping"]}',
      '{"Type":"ping"}',
      `{${padding},"ping":"type"}`,
      '{"type":"control"}',
      '{"command":"ping"}',
    ]
    for (const frame of [...pings, ...others]) client.send(frame)
    await eventually(() => published.length === others.length, 'the frames that are no ping')
    assert.deepEqual(published, others)
    await client.take(pings.length)
    assert.ok(client.values.every(({ type, command }) => type === 'pong' || command === 'pong'))
  })
})
