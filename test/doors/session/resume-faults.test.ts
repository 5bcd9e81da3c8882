import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionCancel, sessionDown, sessionLog, sessionMeta, sessionUp } from '../../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { controls, joinNumbered, messages, positionOf, say, takeMessages } from '../../support/numbered.ts'
import { PATIENT, type RealRedis, realRedisFor, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

/** Bytes that Redis has sent to all its clients. */
const outputBytes = async ({ agent }: TestGateway): Promise<number> =>
  Number(/total_net_output_bytes:(\d+)/.exec(await agent.info('stats'))?.[1])

describe('a socket of wsproxy.v2 while Redis fails', { skip: withoutRealRedis, ...PATIENT }, () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  let redis: RealRedis
  before(async () => {
    redis = await realRedisFor(suite, ['--appendonly', 'yes'])
    gateway = await gatewayFor(suite, { redis })
  })

  it('notices no restart of Redis: what was written meanwhile comes from the log', async () => {
    const { agent } = gateway
    await say(agent, 'restart', 'one')
    const client = await joinNumbered(gateway, 'restart')
    const old = await gateway.join('restart')
    await positionOf(client)
    await redis.restart()
    for (const word of ['two', 'three']) await eventually(() => say(agent, 'restart', word).catch(() => 0), word)
    assert.deepEqual(await takeMessages(client, 2), ['2 two', '3 three'])
    await eventually(() => old.frames.some((frame) => String(frame).includes('"gap"')), 'the gap of wsproxy.v1')
    assert.deepEqual(controls(client).slice(1), [])
  })

  it('gets another position when Redis has lost messages, and goes on behind its newest', async () => {
    const { agent } = gateway
    for (const word of ['one', 'two', 'three']) await say(agent, 'lost', word)
    const client = await joinNumbered(gateway, 'lost', 'cursor=-1')
    await takeMessages(client, 3)
    // As after a fail-over to a replica that had only the first.
    await agent.xTrim(sessionLog('lost'), 'MAXLEN', 0)
    await agent.del(sessionLog('lost'))
    await agent.sendCommand(['XADD', sessionLog('lost'), '0-1', 'm', 'one'])
    await agent.hSet(sessionMeta('lost'), 'n', 1)
    await agent.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    await client.find({ command: 'position', reason: 'redis' }).catch(() => {})
    await eventually(() => controls(client).length === 2, 'a second position')
    const { recovered, reason, offset } = controls(client)[1]!
    assert.deepEqual({ recovered, reason, offset }, { recovered: false, reason: 'redis', offset: 1 })
    assert.equal(await say(agent, 'lost', 'deux'), 2)
    assert.deepEqual(await takeMessages(client, 4), ['1 one', '2 two', '3 three', '2 deux'])
  })

  it('finds the newest message when only its publication was lost', async () => {
    const { agent } = gateway
    await say(agent, 'tail', 'one')
    const client = await joinNumbered(gateway, 'tail')
    await positionOf(client)
    await say(agent, 'tail', 'two')
    await takeMessages(client, 1)
    await agent.sendCommand(['XADD', sessionLog('tail'), '0-3', 'm', 'three'])
    assert.deepEqual(await takeMessages(client, 2), ['2 two', '3 three'])
  })
})

describe('a socket of wsproxy.v2 that comes back', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })

  it('has a cursor before the first message (socket.io-redis-streams-adapter issue 26)', async () => {
    const { agent } = gateway
    await say(agent, 'early', 'one')
    const first = await joinNumbered(gateway, 'early')
    const { epoch, offset } = await positionOf(first)
    first.socket.terminate()
    for (const word of ['two', 'three']) await say(agent, 'early', word)
    const second = await joinNumbered(gateway, 'early', `cursor=${epoch}.${offset}`)
    assert.equal((await positionOf(second)).recovered, true)
    assert.deepEqual(await takeMessages(second, 2), ['2 two', '3 three'])
  })

  it('gets the next turn, whose numbers go on behind a closed stream (LibreChat issue 14059)', async () => {
    const { agent } = gateway
    await say(agent, 'turns', 'one')
    await say(agent, 'turns', 'the end', 'close')
    const client = await joinNumbered(gateway, 'turns', 'cursor=-1')
    const { epoch, closed } = await positionOf(client)
    assert.deepEqual([closed, await takeMessages(client, 2)], [true, ['1 one', '2 the end']])
    for (const word of ['again', 'on']) await say(agent, 'turns', word)
    assert.deepEqual((await takeMessages(client, 4)).slice(2), ['3 again', '4 on'])
    const late = await joinNumbered(gateway, 'turns', `cursor=${epoch}.2`)
    assert.equal((await positionOf(late)).recovered, true)
    assert.deepEqual(await takeMessages(late, 2), ['3 again', '4 on'])
  })
})

describe('a socket of wsproxy.v2 that reads too slowly', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { MAX_BUFFER_BYTES: '256KiB', SESSION_FLOW_SIGNAL: 'true' } })
  })

  it('gets every message later from the log, and the others get theirs at once', async () => {
    const slow = await joinNumbered(gateway, 'slow')
    const quick = await joinNumbered(gateway, 'slow')
    await positionOf(slow)
    await positionOf(quick)
    slow.socket.pause()
    const payload = (n: number) => `${n}${'x'.repeat(10_000)}`
    const count = 2000
    for (let n = 1; n <= count; n++) await say(gateway.agent, 'slow', payload(n), '', { bytes: 64 * 1024 * 1024 })
    await takeMessages(quick, count)
    assert.ok((await gateway.metric('wsproxy_lagging_total')) > 0)
    slow.socket.resume()
    const got = await takeMessages(slow, count)
    assert.deepEqual(
      got.map((frame) => Number(frame.split(' ')[0])),
      Array.from({ length: count }, (_, i) => i + 1),
    )
    assert.ok(got.every((frame, i) => frame === `${i + 1} ${payload(i + 1)}`))
    assert.equal(slow.code, undefined)
    await say(gateway.agent, 'slow', 'level')
    assert.equal((await takeMessages(slow, count + 1)).at(-1), `${count + 1} level`)
  })

  it('gets a gap for what was trimmed before it read on, and everything else', async () => {
    const slow = await joinNumbered(gateway, 'far')
    await positionOf(slow)
    slow.socket.pause()
    for (let n = 1; n <= 2000; n++) await say(gateway.agent, 'far', `${n}${'x'.repeat(10_000)}`, '', { entries: 50 })
    slow.socket.resume()
    await eventually(() => messages(slow).at(-1)?.startsWith('2000 '), 'the newest message')
    const seen = messages(slow).map((frame) => Number(frame.split(' ')[0]))
    const gaps = controls(slow).filter(({ command }) => command === 'gap')
    const told = gaps.flatMap(({ from, to }) =>
      Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i),
    )
    assert.deepEqual(
      [...seen, ...told].sort((a, b) => a - b),
      Array.from({ length: 2000 }, (_, i) => i + 1),
    )
    assert.ok(gaps.every(({ reason }) => reason === 'trimmed'))
  })

  it('hears that messages without a number were dropped, also when it has missed no number', async () => {
    const slow = await joinNumbered(gateway, 'plain')
    await positionOf(slow)
    slow.socket.pause()
    const count = 2000
    for (let n = 1; n <= count; n++) await gateway.agent.publish(sessionDown('plain'), `${n}${'x'.repeat(10_000)}`)
    slow.socket.resume()
    const gap = () => controls(slow).find(({ command }) => command === 'gap')
    await eventually(gap, 'the gap')
    assert.deepEqual(gap(), { type: 'control', command: 'gap', reason: 'slow_client' })
    assert.ok(messages(slow).length < count)
    await gateway.agent.publish(sessionDown('plain'), 'more')
    await eventually(() => messages(slow).at(-1) === '- more', 'what comes next')
  })

  it('sizes its pages by the messages that it has read', async () => {
    const bytes = 200_000
    const count = 150
    const write = (text: string) => say(gateway.agent, 'large', text, '', { bytes: 64 * 1024 * 1024 })
    await write('first')
    for (let n = 1; n <= count; n++) await write(`${n}${'x'.repeat(bytes)}`)
    await write('last')
    const before = await outputBytes(gateway)
    const client = await joinNumbered(gateway, 'large', 'cursor=-1')
    await takeMessages(client, count + 2)
    const read = (await outputBytes(gateway)) - before
    // The first page is a guess from the two ends of the log.
    assert.ok(read < 2.5 * bytes * count, `${read} bytes were read for ${bytes * count}`)
  })
})

describe('a client frame of wsproxy.v2', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  const heard: string[] = []
  before(async () => {
    gateway = await gatewayFor(suite)
    const subscriber = await gateway.redis.client()
    await subscriber.subscribe(sessionUp('up'), (message) => heard.push(message))
  })

  it('with a number is published without it and acknowledged with the number of receivers', async () => {
    const client = await joinNumbered(gateway, 'up')
    client.send('7 {"type":"ask"}')
    await client.find({ command: 'ack' })
    assert.deepEqual(controls(client)[1], { type: 'control', command: 'ack', n: 7, receivers: 1 })
    await eventually(() => heard.length >= 1, 'the frame at the agent')
    assert.deepEqual(heard.splice(0), ['{"type":"ask"}'])
  })

  it('without a number is published and not acknowledged', async () => {
    const client = await joinNumbered(gateway, 'up')
    for (const frame of ['{"a":1}', '42', '7 ', '2 "mark"']) client.send(frame)
    await client.find({ n: 2 })
    await eventually(() => heard.length >= 4, 'the frames at the agent')
    assert.deepEqual(heard.splice(0), ['{"a":1}', '42', '7 ', '"mark"'])
    assert.equal(controls(client).length, 2)
  })

  it('with a number that is no JSON is acknowledged with the error', async () => {
    const client = await joinNumbered(gateway, 'up')
    client.send('3 {')
    assert.equal((await client.find({ n: 3 })).error, 'invalid-json')
  })

  it('that cancels a run is kept for an agent that is away, published and acknowledged', async () => {
    const client = await joinNumbered(gateway, 'up')
    client.send('1 {"type":"control","command":"cancel","run":"r7"}')
    await client.find({ n: 1 })
    assert.equal(await gateway.agent.get(sessionCancel('up')), 'r7')
    assert.ok((await gateway.agent.pTTL(sessionCancel('up'))) > 590_000)
    await eventually(() => heard.length >= 1, 'the frame at the agent')
    assert.deepEqual(heard.splice(0), ['{"type":"control","command":"cancel","run":"r7"}'])
  })

  it('is not overtaken by the frames behind it when it cancels', async () => {
    const client = await joinNumbered(gateway, 'up')
    const frames = ['{"n":1}', '{"type":"control","command":"cancel","run":"r8"}', '{"n":2}', '{"n":3}']
    for (const [i, frame] of frames.entries()) client.send(`${i + 1} ${frame}`)
    client.send('{"n":4}')
    await eventually(() => heard.length === 5, 'all frames')
    await client.find({ command: 'ack', n: 4 })
    assert.deepEqual(heard.splice(0), [...frames, '{"n":4}'])
    assert.deepEqual(
      controls(client)
        .filter(({ command }) => command === 'ack')
        .map(({ n }) => n),
      [1, 2, 3, 4],
    )
  })

  it('of wsproxy.v1 that cancels is the agent’s, and no key is written', async () => {
    const client = await gateway.join('v1')
    client.send('{"type":"control","command":"cancel","run":"r7"}')
    client.send('{"type":"ping"}')
    await client.find({ type: 'pong' })
    assert.equal(await gateway.agent.exists(sessionCancel('v1')), 0)
  })
})
