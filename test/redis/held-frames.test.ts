import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { RedisUpstream } from '../../src/redis/upstream.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { assertProperty } from '../support/property.ts'

/** Bytes that each held frame counts beside its own. */
const OVERHEAD = 256
const MANY = 1_000_000_000

/** Holds frames of the channels that it is given; `refused` has those that found no place. */
function hold({ maxMessages = MANY, maxBytes = MANY }) {
  const refused: [string, string][] = []
  const upstream = new RedisUpstream({
    link: () => undefined,
    sharded: false,
    moved: () => {},
    metrics: new Metrics(),
    maxMessages,
    maxBytes,
  })
  const publish = (channel: string, name: string, bytes = name.length) =>
    upstream.publisher(channel, () => refused.push([channel, name])).publish(Buffer.alloc(bytes, name))
  return { upstream, publish, refused }
}

describe('frames that are held while Redis is away', () => {
  it('lose a frame of the channel with most messages when UPSTREAM_BUFFER_MESSAGES is full', () => {
    const { publish, refused } = hold({ maxMessages: 10 })
    publish('heavy', 'h', 100_000)
    for (let i = 0; i < 9; i++) publish('chatty', String(i))
    publish('quiet', 'q', 50_000)
    assert.deepEqual(refused, [['chatty', '8']])
    publish('chatty', '9')
    assert.deepEqual(refused.slice(1), [['chatty', '9']])
  })

  it('lose a frame of the channel with most bytes when UPSTREAM_BUFFER_BYTES is full', () => {
    const { publish, refused } = hold({ maxBytes: 100_000 })
    for (let i = 0; i < 20; i++) publish('chatty', String(i))
    publish('heavy', 'h1', 40_000)
    publish('heavy', 'h2', 40_000)
    publish('quiet', 'q', 20_000)
    assert.deepEqual(refused, [['heavy', 'h2']])
    publish('heavy', 'h3', 80_000)
    assert.deepEqual(refused.slice(1), [['heavy', 'h3']])
  })

  it('are the same as with a search through all of them for each refusal', () => {
    const frame = fc.record({ channel: fc.nat(6), bytes: fc.nat(3000) })
    assertProperty(
      fc.property(
        fc.array(frame, { maxLength: 120 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 3300, max: 30_000 }),
        (frames, maxMessages, maxBytes) => {
          const { upstream, publish, refused } = hold({ maxMessages, maxBytes })
          const held: { channel: string; cost: number; name: string }[] = []
          const lost: [string, string][] = []
          for (const [i, { channel, bytes }] of frames.entries()) {
            const [own, each] = [String(channel), { channel: String(channel), cost: bytes + OVERHEAD, name: String(i) }]
            publish(own, each.name, bytes)
            const bytesOf = (of: string) => held.reduce((sum, one) => sum + (one.channel === of ? one.cost : 0), 0)
            const countOf = (of: string) => held.filter((one) => one.channel === of).length
            for (;;) {
              const isCount = held.length >= maxMessages
              if (!isCount && held.reduce((sum, one) => sum + one.cost, 0) + each.cost <= maxBytes) {
                held.push(each)
                break
              }
              const amount = isCount ? countOf : bytesOf
              const most = Math.max(...held.map((one) => amount(one.channel)))
              // Of channels that hold the same, either may lose: the model follows the gateway.
              const victim = refused[lost.length]!
              lost.push(victim)
              if (most <= amount(own) + (isCount ? 1 : each.cost)) {
                assert.deepEqual(victim, [own, each.name])
                break
              }
              assert.equal(amount(victim[0]), most)
              const at = held.findLastIndex((one) => one.channel === victim[0])
              assert.equal(victim[1], held[at]!.name)
              held.splice(at, 1)
            }
          }
          assert.deepEqual(refused, lost)
          assert.equal(upstream.held, held.length)
        },
      ),
    )
  })

  it('cost the same for each refusal, however many are held', () => {
    const CHANNELS = 20_000
    const { upstream, publish, refused } = hold({ maxMessages: 2 * CHANNELS })
    for (let i = 0; i < CHANNELS; i++) publish('greedy', 'x')
    for (let i = 0; i < CHANNELS; i++) publish(`one-${i}`, 'x')
    const before = process.cpuUsage()
    for (let i = 0; i < CHANNELS / 2; i++) publish(`other-${i}`, 'x')
    const { user } = process.cpuUsage(before)
    assert.equal(upstream.held, 2 * CHANNELS)
    assert.equal(refused.length, CHANNELS / 2)
    assert.ok(refused.every(([channel]) => channel === 'greedy'))
    // With a search through all channels for each it was 9 s.
    assert.ok(user < 400_000, `${user} us`)
  })
})
