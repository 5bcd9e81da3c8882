import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Bindings, type Feed } from '../../../src/connection/bind.ts'
import { liveAnswers, liveBus } from '../../../src/contract/names.ts'
import { LiveBus } from '../../../src/doors/live/bus.ts'
import type { BusCommand } from '../../../src/doors/live/commands.ts'
import { RedisUnavailable } from '../../../src/platform/unavailable.ts'
import { VirtualClock } from '../../support/clock.ts'
import { atEnd } from '../../support/scope.ts'

const DISCONNECT: BusCommand = { what: 'disconnect', connectionId: 'abcdef-1', reason: '' }
const BROADCAST: BusCommand = { what: 'broadcast', topic: 'a', type: 'b', data: '{}', correlationId: 'c' }
const feed: Feed = { subscribe: async () => {}, unsubscribe: () => {} }

/** Instances that hear each other at once. `deaf` more count as subscribers and never answer. */
function instances(sockets: readonly number[], deaf = 0) {
  const commands: BusCommand[] = []
  const published: string[] = []
  let unusable = 0
  const buses: LiveBus[] = sockets.map(
    (count, i) =>
      new LiveBus({
        instance: `i${i}`,
        ready: () => true,
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
        unusable: () => unusable++,
      }),
  )
  return { buses, commands, published, unusable: () => unusable }
}

const REQUEST = { id: 'x', answerTo: liveAnswers('i0'), command: BROADCAST }

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

  it('the bus counts every malformed message as unusable and executes none of them', () => {
    const requests = [
      '',
      '{',
      '5',
      'null',
      '[]',
      { command: null },
      { ...REQUEST, id: '' },
      { ...REQUEST, id: 'x'.repeat(129) },
      { ...REQUEST, command: { what: 'shutdown' } },
      { ...REQUEST, command: { ...BROADCAST, topic: 'no topic' } },
      { ...REQUEST, command: { ...BROADCAST, type: 'pong' } },
      { ...REQUEST, command: { ...BROADCAST, data: '{}, "type": "pong"' } },
      { ...REQUEST, command: { ...BROADCAST, correlationId: 5 } },
      { ...REQUEST, command: { ...DISCONNECT, connectionId: 5 } },
      { ...REQUEST, command: { ...DISCONNECT, reason: undefined } },
    ]
    const answers = [
      '',
      'null',
      { id: 'x' },
      { id: 'x', sockets: -1 },
      { id: 5, sockets: 1 },
      { id: 'x', sockets: '1' },
    ]
    const { buses, unusable, commands } = instances([1])
    const say = (channel: string) => (message: unknown) =>
      buses[0]!.render(undefined, Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)), channel)
    requests.forEach(say(liveBus()))
    answers.forEach(say(liveAnswers('i0')))
    assert.equal(unusable(), requests.length + answers.length)
    assert.deepEqual(commands, [])
  })

  it('the bus publishes answers to channels for answers only', () => {
    const { buses, unusable, commands, published } = instances([1])
    for (const answerTo of ['session:s1:down', 'live:agents', liveBus(), 'wsproxy:live:', 'wsproxy:live:a:b', 7]) {
      buses[0]!.render(undefined, Buffer.from(JSON.stringify({ ...REQUEST, answerTo })), liveBus())
    }
    assert.equal(unusable(), 6)
    assert.deepEqual([commands, published], [[], []])
    buses[0]!.render(undefined, Buffer.from(JSON.stringify(REQUEST)), liveBus())
    assert.deepEqual([commands, published], [[BROADCAST], [liveAnswers('i0')]])
  })

  it('a request throws RedisUnavailable while Redis is away and works once Redis is back', async () => {
    let away = true
    const bus = new LiveBus({
      instance: 'one',
      ready: () => true,
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
