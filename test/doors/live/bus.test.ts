import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Bindings, type Feed } from '../../../src/connection/bind.ts'
import { liveAnswers, liveBus } from '../../../src/contract/names.ts'
import { type BusCommand, LiveBus } from '../../../src/doors/live/bus.ts'
import { RedisUnavailable } from '../../../src/platform/unavailable.ts'

const ORDER: BusCommand = { what: 'disconnect', connectionId: 'abcdef-1', reason: '' }
const BROADCAST: BusCommand = { what: 'broadcast', topic: 'a', type: 'b', data: '{}', correlationId: 'c' }
const feed: Feed = { subscribe: async () => {}, unsubscribe: () => {} }

/** Instances that hear each other at once; `deaf` ones count as subscribers and never answer. */
function instances(sockets: readonly number[], deaf = 0) {
  const orders: BusCommand[] = []
  let unusable = 0
  const buses: LiveBus[] = sockets.map(
    (count, i) =>
      new LiveBus({
        instance: `i${i}`,
        ready: () => true,
        bindings: new Bindings(feed),
        publish: async (channel, message) => {
          const to = channel === liveBus() ? buses : buses.filter((_, at) => channel === liveAnswers(`i${at}`))
          for (const bus of to) bus.render(undefined, Buffer.from(message), channel)
          return to.length + (channel === liveBus() ? deaf : 0)
        },
        execute: (order) => {
          orders.push(order)
          return count
        },
        unusable: () => unusable++,
      }),
  )
  return { buses, orders, unusable: () => unusable }
}

describe('the bus between instances', () => {
  it('has an order carried out once by each, and adds up their sockets, whatever answer comes first', async () => {
    const { buses, orders } = instances([3, 0, 4])
    assert.deepEqual(await Promise.all([buses[0]!.ask(BROADCAST), buses[2]!.ask(BROADCAST)]), [7, 7])
    assert.equal(orders.length, 6)
    assert.deepEqual(orders[0], BROADCAST)
  })

  it('waits a second for an instance that does not answer, and tells what it knows', async () => {
    const { buses } = instances([2], 1)
    const startedAt = performance.now()
    assert.equal(await buses[0]!.ask(BROADCAST), 2)
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs > 900 && tookMs < 5000, `${tookMs} ms`)
  })

  it('waits for nobody any more once the socket to disconnect is found', async () => {
    const { buses } = instances([1], 1)
    const startedAt = performance.now()
    assert.equal(await buses[0]!.ask(ORDER), 1)
    assert.ok(performance.now() - startedAt < 500)
  })

  it('survives messages that are not of it, and counts them', () => {
    const { buses, unusable, orders } = instances([1])
    for (const text of ['', '{', '5', 'null', '{"order":null}'])
      buses[0]!.render(undefined, Buffer.from(text), liveBus())
    for (const text of ['', 'null', '{"id":"x"}']) buses[0]!.render(undefined, Buffer.from(text), liveAnswers('i0'))
    assert.ok(unusable() >= 4)
    assert.ok(orders.every((order) => order === undefined || order === null || order.what !== 'disconnect'))
  })

  it('says that nobody has heard of it when Redis is away, and asks again when it is back', async () => {
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
    await assert.rejects(bus.ask(ORDER), RedisUnavailable)
    away = false
    assert.equal(await bus.ask(ORDER), 0)
  })
})
