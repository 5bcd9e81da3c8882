import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Bindings, type Feed, type Source } from '../../src/connection/bind.ts'
import { Connection } from '../../src/connection/connection.ts'
import type { Door } from '../../src/connection/door.ts'
import { RedisUnavailable } from '../../src/platform/unavailable.ts'

/** A feed whose answers a test gives, and what it is asked. */
function fakeFeed() {
  const asked: string[] = []
  const waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>()
  const feed: Feed = {
    subscribe: (channel) => {
      asked.push(`+${channel}`)
      return new Promise((resolve, reject) => waiting.set(channel, { resolve, reject }))
    },
    unsubscribe: (channel) => void asked.push(`-${channel}`),
  }
  return { feed, asked, waiting }
}

const source: Source = { render: () => undefined }
const newConnection = () => new Connection({ idleTimeout: undefined } as Door, '', '', 0)

describe('a membership that is held', () => {
  it('makes a held connection a member at once, for messages that come together with the confirmation', async () => {
    const { feed, waiting } = fakeFeed()
    const bindings = new Bindings(feed)
    const [one, two] = [newConnection(), newConnection()]
    const held = [bindings.hold(one, source, ['a', 'b*']), bindings.hold(two, source, ['a', 'b*'])]
    assert.deepEqual(bindings.find('b*')?.members, [one, two])
    for (const { resolve } of waiting.values()) resolve()
    waiting.get('a')!.resolve()
    bindings.leave(one, one.topics[0]!)
    assert.deepEqual(bindings.find('a')?.members, [two])
    void held
  })

  it('keeps a held membership while Redis is away, and the feed keeps its channels', async () => {
    const { feed, asked, waiting } = fakeFeed()
    const bindings = new Bindings(feed)
    const connection = newConnection()
    const held = bindings.hold(connection, source, ['a', 'b*'])
    waiting.get('a')!.reject(new RedisUnavailable('away'))
    waiting.get('b*')!.resolve()
    await held
    assert.deepEqual(bindings.find('a')?.members, [connection])
    assert.deepEqual(asked, ['+a', '+b*'])
    bindings.leaveAll(connection)
    assert.deepEqual(asked, ['+a', '+b*', '-a', '-b*'])
    assert.equal(bindings.find('b*'), undefined)
  })

  it('ends a held membership when Redis refuses one of its channels, and rejects with that error', async () => {
    const { feed, asked, waiting } = fakeFeed()
    const bindings = new Bindings(feed)
    const connection = newConnection()
    const held = bindings.hold(connection, source, ['a', 'b*'])
    waiting.get('b*')!.reject(new Error('NOPERM'))
    waiting.get('a')!.reject(new RedisUnavailable('lost'))
    await assert.rejects(held, /NOPERM/)
    assert.deepEqual([connection.topics, asked], [[], ['+a', '+b*', '-a', '-b*']])
  })

  it('ends a held membership that leaves before it is confirmed', async () => {
    const { feed, waiting } = fakeFeed()
    const bindings = new Bindings(feed)
    const connection = newConnection()
    const held = bindings.hold(connection, source, ['a'])
    bindings.leaveAll(connection)
    waiting.get('a')!.reject(new RedisUnavailable('left'))
    await held
    assert.equal(bindings.find('a'), undefined)
  })
})

describe('a channel that is kept', () => {
  it('passes the messages of a kept channel to its source without any socket, apart from the topics of others', async () => {
    const { feed, waiting } = fakeFeed()
    const bindings = new Bindings(feed)
    const other: Source = { render: () => undefined }
    const kept = bindings.keep(source, 'k')
    waiting.get('k')!.resolve()
    await kept
    const held = bindings.hold(newConnection(), other, ['a', 'b'])
    assert.equal(bindings.find('k')?.source, source)
    assert.deepEqual(
      [...bindings.of(other)].map(({ channels }) => channels),
      [['a', 'b']],
    )
    void held
  })

  it('unsubscribes a kept channel after unkeep, also before it was confirmed, and only once', async () => {
    const { feed, asked, waiting } = fakeFeed()
    const bindings = new Bindings(feed)
    const kept = bindings.keep(source, 'k')
    bindings.unkeep('k')
    bindings.unkeep('k')
    waiting.get('k')!.reject(new RedisUnavailable('left'))
    await assert.rejects(kept, RedisUnavailable)
    assert.equal(bindings.find('k'), undefined)
    assert.deepEqual(asked, ['+k', '-k'])
  })
})
