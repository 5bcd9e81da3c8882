import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Bindings, type Feed } from '../../../src/connection/bind.ts'
import { liveAnswers, liveBus } from '../../../src/contract/names.ts'
import { LiveBus } from '../../../src/doors/live/bus.ts'
import type { BusCommand } from '../../../src/doors/live/commands.ts'
import { BusSignature, busKeys } from '../../../src/doors/live/signature.ts'
import { RedisUnavailable } from '../../../src/platform/unavailable.ts'
import { VirtualClock } from '../../support/clock.ts'
import { atEnd } from '../../support/scope.ts'

const DISCONNECT: BusCommand = { what: 'disconnect', connectionId: 'abcdef-1', reason: '' }
const BROADCAST: BusCommand = { what: 'broadcast', topic: 'a', type: 'b', data: '{}', correlationId: 'c' }
const feed: Feed = { subscribe: async () => {}, unsubscribe: () => {} }

const KEYS: readonly Buffer[] = [Buffer.from('a key of all instances')]
const signatureOf = (instance: string, keys = KEYS, now?: () => number) => new BusSignature(keys, instance, now)
/** An instance that is no part of the test, but has the key. */
const other = signatureOf('other')

/** Instances that hear each other at once. `deaf` more count as subscribers and never answer. */
function instances(sockets: readonly number[], deaf = 0) {
  const commands: BusCommand[] = []
  const published: string[] = []
  const unusable: string[] = []
  const buses: LiveBus[] = sockets.map(
    (count, i) =>
      new LiveBus({
        instance: `i${i}`,
        signature: signatureOf(`i${i}`),
        ready: () => true,
        countsAll: true,
        bindings: new Bindings(feed),
        publish: async (channel, message) => {
          published.push(channel)
          const to = channel === liveBus() ? buses : buses.filter((_, at) => channel === liveAnswers(`i${at}`))
          for (const bus of to) bus.render(undefined, Buffer.from(message), channel)
          return to.length + (channel === liveBus() ? deaf : 0)
        },
        execute: (command) => {
          commands.push(command)
          return count
        },
        unusable: (why) => void unusable.push(why),
      }),
  )
  return { buses, commands, published, unusable }
}

describe('the bus between instances', () => {
  it('every instance executes a command once, and the caller gets the sum of their sockets', async () => {
    const { buses, commands } = instances([3, 0, 4])
    assert.deepEqual(await Promise.all([buses[0]!.request(BROADCAST), buses[2]!.request(BROADCAST)]), [7, 7])
    assert.equal(commands.length, 6)
    assert.deepEqual(commands[0], BROADCAST)
  })

  it('a request returns the sockets known so far when an instance does not answer within a second', async (t) => {
    const { buses } = instances([2], 1)
    const clock = new VirtualClock()
    atEnd(t, () => clock.restore())
    let sockets: number | undefined
    void buses[0]!.request(BROADCAST).then((sum) => {
      sockets = sum
    })
    await clock.pass(999)
    assert.equal(sockets, undefined)
    await clock.pass(1)
    assert.equal(sockets, 2)
  })

  it('a disconnect stops waiting once one instance has found the socket', async (t) => {
    const { buses } = instances([1], 1)
    const clock = new VirtualClock()
    atEnd(t, () => clock.restore())
    // No time passes on this clock.
    assert.equal(await buses[0]!.request(DISCONNECT), 1)
  })

  it('the bus executes no order and counts no answer of another shape, signed or not', () => {
    const orders = [
      {},
      5,
      null,
      [],
      { what: 'shutdown' },
      { ...BROADCAST, topic: 'no topic' },
      { ...BROADCAST, type: 'pong' },
      { ...BROADCAST, type: 'disconnect_notice' },
      { ...BROADCAST, data: '{}, "type": "pong"' },
      { ...BROADCAST, data: '}{' },
      { ...BROADCAST, correlationId: 5 },
      { ...DISCONNECT, connectionId: 5 },
      { ...DISCONNECT, connectionId: 'x'.repeat(129) },
      { ...DISCONNECT, reason: undefined },
      { ...DISCONNECT, reason: 'x'.repeat(1025) },
    ]
    const answers = [{}, null, { id: 'x' }, { id: 'x', sockets: -1 }, { id: 5, sockets: 1 }, { id: 'x', sockets: '1' }]
    const { buses, unusable, commands, published } = instances([1])
    const say = (channel: string) => (body: unknown) => {
      buses[0]!.render(undefined, Buffer.from(JSON.stringify(body)), channel)
      buses[0]!.render(undefined, Buffer.from(other.sign(channel, body as object).text), channel)
    }
    orders.forEach(say(liveBus()))
    answers.forEach(say(liveAnswers('i0')))
    assert.equal(unusable.length, 2 * (orders.length + answers.length))
    assert.deepEqual([commands, published], [[], []])
  })

  it('the bus executes an order once, and answers on the channel of the instance that signed it', () => {
    const { buses, unusable, commands, published } = instances([1])
    const order = Buffer.from(other.sign(liveBus(), { ...BROADCAST, answerTo: 'session:s1:down' }).text)
    for (let i = 0; i < 3; i++) buses[0]!.render(undefined, order, liveBus())
    assert.deepEqual([commands, published], [[BROADCAST], [liveAnswers('other')]])
    assert.deepEqual(unusable, ['replayed', 'replayed'])
  })

  it('the bus counts one answer of each instance', async (t) => {
    const clock = new VirtualClock()
    atEnd(t, () => clock.restore())
    let asked = ''
    const bus = new LiveBus({
      instance: 'i9',
      signature: signatureOf('i9'),
      ready: () => true,
      countsAll: true,
      bindings: new Bindings(feed),
      publish: async (_, message) => {
        asked = message
        return 2
      },
      execute: () => 0,
      unusable: () => {},
    })
    const sockets = bus.request(BROADCAST)
    await clock.pass(0)
    const { nonce } = JSON.parse(asked.slice(65))
    const answer = () => other.sign(liveAnswers('i9'), { id: nonce, sockets: 4 }).text
    for (let i = 0; i < 3; i++) bus.render(undefined, Buffer.from(answer()), liveAnswers('i9'))
    await clock.pass(1000)
    assert.equal(await sockets, 4)
  })

  it('the bus refuses a message that is old, early, of another key, of another channel or changed', () => {
    let now = 1_000_000
    const ours = signatureOf('a', KEYS, () => now)
    const opened = (text: string, channel = liveBus()) => ours.open(channel, Buffer.from(text))
    const why = (text: string, channel?: string) => {
      const found = opened(text, channel)
      return found.kind === 'rejected' ? found.why : found.kind
    }
    const { text } = signatureOf('b', KEYS, () => now).sign(liveBus(), BROADCAST)
    assert.equal(why(text, liveAnswers('a')), 'wrong signature')
    assert.equal(why(text.replace('"b"', '"c"')), 'wrong signature')
    assert.equal(
      why(signatureOf('b', [Buffer.from('another key')], () => now).sign(liveBus(), {}).text),
      'wrong signature',
    )
    for (const bad of ['', '{', 'x'.repeat(65), text.slice(65), `${text.slice(0, 63)}.{}`])
      assert.equal(why(bad), 'not signed', bad)
    assert.equal(why(text), 'opened')
    now += 30_000
    assert.equal(why(text), 'replayed')
    now += 1
    assert.equal(why(text), 'too old or too new')
    assert.equal(why(signatureOf('b', KEYS, () => now + 30_001).sign(liveBus(), {}).text), 'too old or too new')
  })

  it('the bus signs with the first of several secrets and verifies with each, so that they can be rotated', () => {
    const [before, during, after] = ['old-secret', 'new-secret  old-secret', 'new-secret'].map((fleetSecret) =>
      signatureOf('a', busKeys({ fleetSecret, adminToken: undefined })),
    )
    const knows = (reader: BusSignature, writer: BusSignature) =>
      reader.open(liveBus(), Buffer.from(writer.sign(liveBus(), {}).text)).kind === 'opened'
    assert.deepEqual([knows(during!, before!), knows(before!, during!)], [true, false])
    assert.deepEqual([knows(after!, during!), knows(during!, after!)], [true, true])
    assert.equal(busKeys({ fleetSecret: undefined, adminToken: undefined }).length, 0)
    const token = busKeys({ fleetSecret: ' ', adminToken: 'an-admin-token-of-a-test' })
    assert.deepEqual(token, busKeys({ fleetSecret: undefined, adminToken: 'an-admin-token-of-a-test' }))
  })

  it('a request throws RedisUnavailable while Redis is away and works once Redis is back', async () => {
    let away = true
    const bus = new LiveBus({
      instance: 'one',
      signature: signatureOf('one'),
      ready: () => true,
      countsAll: true,
      bindings: new Bindings({
        ...feed,
        subscribe: async () => (away ? Promise.reject(new RedisUnavailable('away')) : undefined),
      }),
      publish: async () => 0,
      execute: () => 0,
      unusable: () => {},
    })
    await assert.rejects(bus.request(DISCONNECT), RedisUnavailable)
    away = false
    assert.equal(await bus.request(DISCONNECT), 0)
  })
})
