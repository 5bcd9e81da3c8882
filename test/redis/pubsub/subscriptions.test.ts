import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ChannelSubscriptions } from '../../../src/redis/pubsub/subscriptions.ts'
import { assertProperty } from '../../support/property.ts'

const CHANNELS = ['a', 'b', 'c', 'd', 'e']
const MANY = 100

/**
 * Redis as the state must imagine it: what is subscribed there, and which commands are under way.
 */
class Model {
  readonly subscriptions = new ChannelSubscriptions()
  readonly wanted = new Set<string>()
  readonly on = new Set<string>()
  readonly underWay = new Map<string, 'subscribe' | 'unsubscribe'>()

  want(channel: string): void {
    this.wanted.add(channel)
    this.subscriptions.want(channel)
  }

  unwant(channel: string): void {
    this.wanted.delete(channel)
    this.subscriptions.unwant(channel)
  }

  /** How many channels it took. */
  take(most: number): number {
    const { subscribe, unsubscribe } = this.subscriptions.take(most)
    const all = [...subscribe, ...unsubscribe]
    assert.ok(all.length <= most, 'no more than asked for')
    assert.equal(new Set(all).size, all.length, 'each channel once')
    for (const channel of all) assert.ok(!this.underWay.has(channel), `${channel}: one command at a time`)
    for (const channel of subscribe) {
      assert.ok(this.wanted.has(channel) && !this.on.has(channel), `${channel}: subscribed only when it is missing`)
      this.underWay.set(channel, 'subscribe')
    }
    for (const channel of unsubscribe) {
      assert.ok(!this.wanted.has(channel) && this.on.has(channel), `${channel}: unsubscribed only when unwanted`)
      this.underWay.set(channel, 'unsubscribe')
    }
    return all.length
  }

  /** Redis answers one of the commands under way, whichever. */
  answer(pick: number, refuse = false): void {
    const [channel, command] = [...this.underWay][pick % Math.max(1, this.underWay.size)] ?? []
    if (channel === undefined) return
    this.underWay.delete(channel)
    if (command === 'subscribe' && !refuse) {
      this.on.add(channel)
      this.subscriptions.subscribed([channel])
    } else {
      this.on.delete(channel)
      this.subscriptions.unsubscribed([channel])
    }
  }

  lost(): void {
    this.on.clear()
    this.underWay.clear()
    this.subscriptions.lost()
  }

  /** A channel counts until its UNSUBSCRIBE is sent. */
  check(): void {
    const confirmed = CHANNELS.filter((each) => this.on.has(each) && this.underWay.get(each) !== 'unsubscribe')
    assert.equal(this.subscriptions.confirmed, confirmed.length, 'the count of confirmed channels')
    assert.deepEqual(
      CHANNELS.filter((each) => this.subscriptions.isConfirmed(each)),
      confirmed,
    )
    assert.deepEqual(
      CHANNELS.filter((each) => this.subscriptions.isWanted(each)),
      CHANNELS.filter((each) => this.wanted.has(each)),
    )
  }

  /** Sends and answers until there is nothing left to do. */
  settle(): void {
    for (let turns = 0; this.take(2) > 0 || this.underWay.size > 0; turns++) {
      assert.ok(turns < MANY, 'it comes to rest')
      while (this.underWay.size > 0) this.answer(0)
      this.check()
    }
  }
}

const channel = fc.constantFrom(...CHANNELS)
const step: fc.Arbitrary<(model: Model) => void> = fc.oneof(
  { weight: 6, arbitrary: channel.map((each) => (model: Model) => model.want(each)) },
  { weight: 5, arbitrary: channel.map((each) => (model: Model) => model.unwant(each)) },
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }).map((most) => (model: Model) => void model.take(most)) },
  { weight: 6, arbitrary: fc.nat(MANY).map((pick) => (model: Model) => model.answer(pick)) },
  { weight: 2, arbitrary: fc.nat(MANY).map((pick) => (model: Model) => model.answer(pick, true)) },
  { weight: 1, arbitrary: fc.constant((model: Model) => model.lost()) },
)

describe('the state of the subscriptions', () => {
  it('keeps one command per channel in flight and ends with confirmed = wanted, for any interleaving', () => {
    assertProperty(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new Model()
        for (const each of steps) {
          each(model)
          model.check()
        }
        model.settle()
        assert.deepEqual([...model.on].sort(), [...model.wanted].sort())
        assert.equal(model.subscriptions.confirmed, model.wanted.size)
      }),
      { numRuns: 2000 },
    )
  })

  it('sends nothing for a channel that is wanted and unwanted before it was sent', () => {
    const subscriptions = new ChannelSubscriptions()
    subscriptions.want('a')
    subscriptions.unwant('a')
    assert.deepEqual(subscriptions.take(MANY), { subscribe: [], unsubscribe: [] })
  })

  it('sends UNSUBSCRIBE only after the answer to SUBSCRIBE', () => {
    const subscriptions = new ChannelSubscriptions()
    subscriptions.want('a')
    assert.deepEqual(subscriptions.take(MANY).subscribe, ['a'])
    subscriptions.unwant('a')
    assert.deepEqual(subscriptions.take(MANY).unsubscribe, [])
    subscriptions.subscribed(['a'])
    assert.deepEqual(subscriptions.take(MANY).unsubscribe, ['a'])
  })

  it('hands out every channel once, for any number of channels per command', () => {
    const subscriptions = new ChannelSubscriptions()
    const wanted = Array.from({ length: 25 }, (_, i) => `channel-${i}`)
    for (const each of wanted) subscriptions.want(each)
    const taken: string[] = []
    for (let batch = subscriptions.take(4).subscribe; batch.length > 0; batch = subscriptions.take(4).subscribe) {
      taken.push(...batch)
    }
    assert.deepEqual(taken, wanted)
  })

  it('sends every wanted channel again after the connection was lost', () => {
    const subscriptions = new ChannelSubscriptions()
    for (const each of CHANNELS) subscriptions.want(each)
    subscriptions.subscribed(subscriptions.take(MANY).subscribe)
    subscriptions.unwant('a')
    subscriptions.take(MANY)
    subscriptions.lost()
    assert.equal(subscriptions.confirmed, 0)
    assert.deepEqual(subscriptions.take(MANY), { subscribe: ['b', 'c', 'd', 'e'], unsubscribe: [] })
  })
})
