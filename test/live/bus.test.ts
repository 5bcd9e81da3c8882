import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Bindings, type Feed } from '../../src/connection/bind.ts'
import { RedisUnavailable } from '../../src/contract/codes.ts'
import { liveAnswers, liveBus } from '../../src/contract/topics.ts'
import { LiveBus, type Order } from '../../src/live/bus.ts'

const ORDER: Order = { what: 'disconnect', connectionId: 'abcdef-1', reason: '' }
const feed: Feed = { subscribe: async () => {}, unsubscribe: () => {} }

/** Instances that hear each other at once; `deaf` ones count as subscribers and never answer. */
function instances(sockets: readonly number[], deaf = 0) {
  const orders: Order[] = []
  let unusable = 0
  const buses: LiveBus[] = sockets.map(
    (count, i) =>
      new LiveBus({
        instance: `i${i}`,
        bindings: new Bindings(feed),
        publish: async (channel, message) => {
          const to = channel === liveBus() ? buses : buses.filter((_, at) => channel === liveAnswers(`i${at}`))
          for (const bus of to) bus.render(undefined, Buffer.from(message), channel)
          return to.length + (channel === liveBus() ? deaf : 0)
        },
        carryOut: (order) => {
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
    assert.deepEqual(await Promise.all([buses[0]!.ask(ORDER), buses[2]!.ask(ORDER)]), [7, 7])
    assert.equal(orders.length, 6)
    assert.deepEqual(orders[0], ORDER)
  })

  it('waits a second for an instance that does not answer, and tells what it knows', async () => {
    const { buses } = instances([2], 1)
    const startedAt = performance.now()
    assert.equal(await buses[0]!.ask(ORDER), 2)
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs > 900 && tookMs < 5000, `${tookMs} ms`)
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
      bindings: new Bindings({
        ...feed,
        subscribe: async () => (away ? Promise.reject(new RedisUnavailable('away')) : undefined),
      }),
      publish: async () => 0,
      carryOut: () => 0,
      unusable: () => {},
    })
    await assert.rejects(bus.ask(ORDER), RedisUnavailable)
    away = false
    assert.equal(await bus.ask(ORDER), 0)
  })
})
