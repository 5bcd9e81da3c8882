import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { frameErrors } from '../../../src/contract/codes.ts'
import { sessionUp } from '../../../src/contract/names.ts'
import type { TestClient } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { clientFrame } from '../../support/raw.ts'
import { redisFor, type TestRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually, within } from '../../support/wait.ts'
import { closeOf, joinRaw, OPCODE, publish } from '../../support/wire.ts'

const STREAM_END = '{"type":"control","command":"stream_end"}'
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** What is published on :up of any session, by session, as it was published. */
async function listen(redis: TestRedis): Promise<(session: string) => string[]> {
  const heard = new Map<string, string[]>()
  const subscriber = await redis.client()
  await subscriber.pSubscribe('session:*:up', (message, channel) => {
    heard.set(channel, [...(heard.get(channel) ?? []), message])
  })
  return (session) => heard.get(sessionUp(session)) ?? []
}

/** A frame that is published, sent last, shows that all before it were dealt with. */
async function settle(client: TestClient, heard: () => string[]): Promise<string[]> {
  const mark = `"mark ${Math.random()}"`
  client.send(mark)
  await eventually(() => heard().includes(mark), 'the mark on :up')
  return heard().filter((message) => message !== mark)
}

describe('the session door', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let heard: (session: string) => string[]
  before(async () => {
    gateway = await gatewayFor(suite, { env: { SESSION_RATE: '0' } })
    heard = await listen(gateway.redis)
  })

  it('forwards each message of :down to every socket of the session, byte for byte and in order', async () => {
    const clients = await Promise.all([gateway.join('order'), gateway.join('other')])
    const second = await gateway.join('order')
    const sent = Array.from({ length: 500 }, (_, i) => `{ "n":${i},  "text":"é😀\\u0041" }`)
    for (const message of sent) publish(gateway, 'order', message)
    for (const client of [clients[0], second]) assert.deepEqual(await client.take(500), sent)
    assert.deepEqual(clients[1].frames, [])
  })

  it('forwards a message that looks like a frame of the gateway, or is no JSON, like any other', async () => {
    const client = await gateway.join('lookalike')
    const sent = [
      '{"type":"ping"}',
      '{"type":"pong"}',
      '{"type":"error"}',
      '{"type":"control","command":"goodbye"}',
      'x',
      '',
    ]
    for (const message of sent) publish(gateway, 'lookalike', message)
    assert.deepEqual(await client.take(sent.length), sent)
    assert.deepEqual(await settle(client, () => heard('lookalike')), [])
  })

  describe('publishes a text frame to :up', () => {
    it('publishes text frames to :up unchanged and in order', async () => {
      const client = await gateway.join('up')
      const sent = Array.from({ length: 1000 }, (_, i) => `{"n" : ${i}}`)
      for (const frame of sent) client.send(frame)
      await eventually(() => heard('up').length === sent.length, 'all frames on :up')
      assert.deepEqual(heard('up'), sent)
      assert.deepEqual(client.frames, [])
    })

    it('publishes a text frame to :up byte for byte, however odd its JSON is', async () => {
      const client = await gateway.join('odd')
      const odd = [
        ...[
          'null',
          'true',
          '0',
          '-0.0',
          '1e999',
          '1E+2',
          '12345678901234567890.5',
          '""',
          '[]',
          '{}',
          '[[[[]]]]',
          '{"":""}',
        ],
        ' \t\r\n{"spaces" :\n[ 1 , 2 ] } \n',
        '{"a":1,"a":2,"b":{"c":1,"c":[]}}',
        '{"__proto__":{"type":"ping"},"constructor":1,"toString":2}',
        '{"text":"\\u00e9\\ud83d\\ude00\\ud800 \\u0000 \\/"}',
        '"é 😀 \u2028 \u2029 \u007f \ufffe"',
        '{"type":"Ping"}',
        '{"type":"ping","id":7}',
        '{"type":"ping","timestamp":null}',
        '{"type":"control","command":"ping","id":7}',
        '{"type":["ping"]}',
        '{"type":"pong"}',
        '"ping"',
        '["ping"]',
        '{"data":{"type":"ping"}}',
        '{"command":"ping"}',
        '{"type":"control","command":"PING"}',
        '{"type":"control","command":"stop"}',
        '{"type":"control"}',
        STREAM_END,
        JSON.stringify('x'.repeat(1024 * 1024 - 2)),
      ]
      for (const frame of odd) client.send(frame)
      await eventually(() => heard('odd').length === odd.length, 'all frames on :up')
      for (const [i, frame] of odd.entries()) assert.ok(heard('odd')[i] === frame, frame.slice(0, 100))
      assert.deepEqual(client.frames, [])
    })

    it('publishes the frames of each socket in its order when several sockets of a session send', async () => {
      const sockets = [await gateway.join('several'), await gateway.join('several'), await gateway.join('several')]
      for (let n = 0; n < 100; n++) for (const [i, client] of sockets.entries()) client.send([i, n])
      await eventually(() => heard('several').length === 300, 'all frames on :up')
      for (const i of sockets.keys()) {
        const mine = heard('several').filter((message) => JSON.parse(message)[0] === i)
        assert.deepEqual(
          mine,
          Array.from({ length: 100 }, (_, n) => `[${i},${n}]`),
        )
      }
      assert.deepEqual(heard('up').length, 1000, 'and on no other channel')
    })

    it('publishes a text frame to :up without a subscriber, and counts that without an error', async (t) => {
      const lonely = await gatewayFor(t)
      const client = await lonely.join('lonely')
      for (let n = 0; n < 3; n++) client.send(n)
      const unheard = () => lonely.metric('wsproxy_upstream_unheard_total')
      await eventually(async () => (await unheard()) === 3, 'three unheard frames')
      assert.deepEqual(client.frames, [])
    })
  })

  it('answers text that is not JSON with an error to its sender alone, publishes none of it, and keeps the socket', async () => {
    const [client, neighbour] = [await gateway.join('invalid'), await gateway.join('invalid')]
    const before = await gateway.metric('wsproxy_lost_messages_total', { reason: 'invalid' })
    const invalid = [
      ...[
        '',
        ' ',
        'nope',
        '{',
        '{"a":1',
        '{"a":1}x',
        '{"a":1}{"b":2}',
        "{'a':1}",
        '{a:1}',
        '[1,]',
        '{"a":1,}',
        '01',
        '+1',
      ],
      ...['.5', 'NaN', 'Infinity', 'undefined', '"\t"', '"\\x41"', '// {}', '\u00a0{}', '{"type":"ping"', 'ping', '\0'],
    ]
    for (const frame of invalid) client.send(frame)
    client.send('{"valid":1}')
    assert.deepEqual(await settle(client, () => heard('invalid')), ['{"valid":1}'])
    await client.take(invalid.length)
    assert.deepEqual(
      client.values,
      invalid.map(() => ({ type: 'error', code: 'invalid-json', message: frameErrors['invalid-json'] })),
    )
    assert.deepEqual(neighbour.frames, [])
    assert.equal((await gateway.metric('wsproxy_lost_messages_total', { reason: 'invalid' })) - before, invalid.length)
  })

  it('answers both kinds of ping itself, with the time, and publishes neither', async () => {
    const [client, neighbour] = [await gateway.join('ping'), await gateway.join('ping')]
    const startedAt = Date.now()
    const pings = [
      ...['{"type":"ping"}', '{"type":"control","command":"ping"}'],
      ...[' {"command" : "ping", "type":"control"}\n', '{"type":"\\u0070ing"}'],
    ]
    for (const ping of pings) client.send(ping)
    assert.deepEqual(await settle(client, () => heard('ping')), [])
    await client.take(pings.length)
    const pong = { type: 'pong' }
    const controlPong = { type: 'control', command: 'pong' }
    assert.deepEqual(
      client.values.map(({ timestamp: _, ...rest }) => rest),
      [pong, controlPong, controlPong, pong],
    )
    for (const { timestamp } of client.values) {
      assert.match(String(timestamp), RFC3339)
      // The clock may be set, but not by hours within a test.
      assert.ok(Math.abs(Date.parse(String(timestamp)) - startedAt) < 3_600_000)
    }
    assert.deepEqual(neighbour.frames, [])
  })

  it('takes 500 frames that a client sends at once, with the default rate', async () => {
    const client = await gateway.join('burst')
    for (let n = 0; n < 500; n++) client.send({ n })
    await eventually(() => heard('burst').length === 500, 'all frames on :up')
    assert.deepEqual(client.frames, [])
  })

  it('publishes binary frames as they are with SESSION_BINARY=pass, and sends them back as binary', async (t) => {
    const { join, agent, redis } = await gatewayFor(t, { env: { SESSION_BINARY: 'pass' } })
    const up: Buffer[] = []
    await (await redis.client()).subscribe('session:voice:up', (frame) => up.push(frame), true)
    const client = await join('voice')
    const sound = Buffer.from([0, 255, 254, 1, 128])
    client.socket.send(sound)
    client.send({ text: 'between' })
    client.socket.send(Buffer.alloc(0))
    await eventually(() => up.length === 3, 'the frames on :up')
    assert.deepEqual(up, [sound, Buffer.from('{"text":"between"}'), Buffer.alloc(0)])
    await agent.publish('session:voice:down', sound)
    assert.deepEqual(await client.take(1), [sound])
  })

  it('writes no payload to the log, not even that of a frame it refuses', async () => {
    const client = await gateway.join('discreet')
    publish(gateway, 'discreet', '"whispered down"')
    client.send('"whispered up"')
    client.send('whispered nonsense')
    client.socket.send(Buffer.from('whispered bytes'))
    await within(client.closed, 'the close')
    await eventually(() => gateway.log.some(({ event, code }) => event === 'closed' && code === 1003), 'the last line')
    assert.ok(!JSON.stringify(gateway.log).includes('whispered'))
  })
})

describe('with SESSION_UPSTREAM=false the session door', () => {
  it('publishes nothing with SESSION_UPSTREAM=false, answers each frame with an error, and still answers pings and forwards :down', async (t) => {
    const gateway = await gatewayFor(t, { env: { SESSION_UPSTREAM: 'false' } })
    const heard = await listen(gateway.redis)
    const client = await gateway.join('off')
    for (const frame of ['{"a":1}', '"b"', '{"type":"ping"}', 'nonsense', '{"type":"control","command":"ping"}']) {
      client.send(frame)
    }
    await client.take(5)
    assert.deepEqual(
      client.values.map(({ type, code }) => code ?? type),
      ['upstream-disabled', 'upstream-disabled', 'pong', 'invalid-json', 'control'],
    )
    assert.equal(client.values[0]!.message, frameErrors['upstream-disabled'])
    publish(gateway, 'off', 'down')
    assert.equal((await client.take(6))[5], 'down')
    // Whatever the gateway would have published came before this.
    await gateway.agent.publish(sessionUp('off'), 'the mark')
    await eventually(() => heard('off').includes('the mark'), 'the mark')
    assert.deepEqual(heard('off'), ['the mark'])
  })
})

describe('after stream_end a session', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let gateway: TestGateway
  before(async () => {
    redis = await redisFor(suite)
    gateway = await gatewayFor(suite, { redis, env: { STREAM_END_TIMEOUT: '1s', SESSION_RATE: '0' } })
  })

  const say = (session: string, message: string) => publish(gateway, session, message)
  /** A session whose agent has finished. */
  const ended = async (session: string) => {
    const client = await gateway.join(session)
    say(session, STREAM_END)
    await client.take(1)
    return client
  }
  const assertEnds = async (client: TestClient) =>
    assert.deepEqual(await within(client.closed, 'the close'), { code: 1000, reason: 'stream ended' })

  /** Does something every 50 ms while `work` is under way. */
  async function meanwhile(noise: () => void, work: Promise<unknown>): Promise<void> {
    const timer = setInterval(noise, 50)
    await work.finally(() => clearInterval(timer))
  }

  it('closes every socket of a session that is silent after stream_end with 1000, and no other session', async () => {
    const clients = [await gateway.join('finished'), await gateway.join('finished')]
    const bystander = await gateway.join('bystander')
    const messages = ['{"n":1}', ' { "command":"stream_end", "reason":"done", "type" : "control" }']
    for (const message of messages) say('finished', message)
    for (const client of clients) {
      await assertEnds(client)
      assert.deepEqual(client.frames, messages)
    }
    assert.equal(await gateway.metric('wsproxy_disconnections_total', { door: 'session', code: '1000' }), 2)
    say('bystander', 'still here')
    assert.deepEqual(await bystander.take(1), ['still here'])
  })

  it('notices stream_end among a thousand messages of others in one chunk, wherever it stands', async () => {
    const sessions = ['first', 'middle', 'last', 'talker']
    const clients = await Promise.all(sessions.map((session) => gateway.join(session)))
    const [first, middle, last, talker] = clients
    const noise = Array.from({ length: 500 }, (_, i) => `{"n":${i},"text":"the_end${'é'.repeat(i % 3)}"}`)
    say('first', STREAM_END)
    for (const message of noise) say('talker', message)
    say('middle', STREAM_END)
    for (const message of noise) say('talker', message)
    say('last', STREAM_END)
    assert.deepEqual(await talker!.take(1000), [...noise, ...noise])
    await Promise.all([first!, middle!, last!].map(assertEnds))
    assert.equal(talker!.code, undefined)
  })

  it('keeps a session after stream_end while messages pass in either direction, and closes it when they stop', async () => {
    const [down, up, silent] = [await ended('talks-down'), await ended('talks-up'), await ended('talks-not')]
    const talk = () => {
      say('talks-down', '1')
      up.send('1')
    }
    const silences = async () => {
      await assertEnds(silent)
      // One more, for what only lasts a little longer.
      await assertEnds(await ended('waits'))
      assert.deepEqual([down.code, up.code], [undefined, undefined])
    }
    await meanwhile(talk, silences())
    await Promise.all([assertEnds(down), assertEnds(up)])
  })

  it('closes a session after stream_end although its client sends pings that the gateway answers', async () => {
    const clients = await Promise.all(['ping', 'control'].map(ended))
    const pings = [{ type: 'ping' }, { type: 'control', command: 'ping' }]
    const ping = () => {
      for (const [i, client] of clients.entries()) {
        if (client.socket.readyState === client.socket.OPEN) client.send(pings[i])
      }
    }
    await meanwhile(ping, Promise.all(clients.map(assertEnds)))
  })

  it('closes a session after stream_end although protocol pings and pongs pass', async () => {
    const raw = await joinRaw(gateway, 'raw')
    say('raw', STREAM_END)
    const noise = () => {
      raw.write(clientFrame(OPCODE.ping, ''))
      raw.write(clientFrame(OPCODE.pong, ''))
    }
    await meanwhile(noise, raw.untilClosed())
    assert.equal(closeOf(raw), 1000)
  })

  it('takes only a control frame of the agent for stream_end, not the word in a text nor a frame of a client', async () => {
    const client = await gateway.join('words')
    const words = [
      '"stream_end"',
      '["stream_end"]',
      'the "stream_end" is near',
      '{"type":"token","text":"\\"stream_end\\""}',
      '{"type":"stream_end"}',
      '{"type":"token","command":"stream_end"}',
      '{"type":"control","command":"other","next":"stream_end"}',
      '{"type":"control","command":"STREAM_END","was":"stream_end"}',
      '{"type":"control","command":["stream_end"]}',
      '{"data":{"type":"control","command":"stream_end"}}',
      `[${STREAM_END}]`,
      `${STREAM_END}x`,
      STREAM_END.slice(0, -1),
      'null',
    ]
    for (const message of words) say('words', message)
    assert.deepEqual(await client.take(words.length), words)
    client.send(STREAM_END)
    // One that ends after it, at the earliest: what is silent for as long would be gone as well.
    await assertEnds(await ended('yardstick'))
    say('words', 'still here')
    assert.equal((await client.take(words.length + 1)).at(-1), 'still here')
    await client.close()
  })
})
