import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { RedisUnavailable } from '../../src/platform/unavailable.ts'
import { RedisHashes } from '../../src/redis/hashes.ts'
import { atLink, newLink, openLink, type TestLink } from '../support/link.ts'
import { freePort } from '../support/ports.ts'
import { type Client, realRedisFor, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { relayedRedisFor } from '../support/relay.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

describe('a hash that is read from Redis', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  let made: TestLink
  let hashes: RedisHashes
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
    made = await openLink(redis.url)
    atEnd(suite, () => made.close())
    hashes = new RedisHashes(atLink(made.link))
  })

  it('reads every field of a hash as text', async () => {
    await agent.hSet('plain', { a: '1', '': 'empty name', 'timestamps:é': '😀', blank: '' })
    const fields = await hashes.read('plain')
    assert.deepEqual(
      new Map([...fields!].sort()),
      new Map(Object.entries({ '': 'empty name', a: '1', blank: '', 'timestamps:é': '😀' })),
    )
  })

  it('reads an absent key as a hash without fields', async () => {
    assert.deepEqual(await hashes.read('nowhere'), new Map())
  })

  it('keeps hash fields that are named like members of Object', async () => {
    await agent.sendCommand([
      'HSET',
      'names',
      '__proto__',
      'a',
      'constructor',
      'b',
      'toString',
      'c',
      '2',
      'd',
      '1',
      'e',
    ])
    const fields = await hashes.read('names')
    assert.deepEqual([...fields!].sort(), [
      ['1', 'e'],
      ['2', 'd'],
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['toString', 'c'],
    ])
  })

  it('reads bytes that are not UTF-8 as U+FFFD, in field names and values', async () => {
    const bad = Buffer.from([0x61, 0xff, 0x62])
    await agent.sendCommand(['HSET', 'bytes', bad, bad])
    assert.deepEqual(await hashes.read('bytes'), new Map([['a\ufffdb', 'a\ufffdb']]))
  })

  it('reads hashes with 10,000 fields and with values of 1 MB', async () => {
    const fields = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field-${i}`, String(i)]))
    await agent.hSet('large', { ...fields, value: 'x'.repeat(1024 ** 2) })
    const read = await hashes.read('large')
    assert.equal(read!.size, 10_001)
    assert.equal(read!.get('field-9999'), '9999')
    assert.equal(read!.get('value')!.length, 1024 ** 2)
  })

  for (const [type, command] of Object.entries({
    string: ['SET', 'other', 'x'],
    list: ['RPUSH', 'other', 'x'],
    set: ['SADD', 'other', 'x'],
    'sorted set': ['ZADD', 'other', '1', 'x'],
  })) {
    it(`returns undefined for a key that holds a ${type} instead of a hash`, async () => {
      await agent.del('other')
      await agent.sendCommand(command)
      assert.equal(await hashes.read('other'), undefined)
    })
  }

  it('returns each of many concurrent hash reads its own fields', async () => {
    const keys = Array.from({ length: 50 }, (_, i) => `many-${i}`)
    await Promise.all(keys.map((key, i) => (i % 5 === 0 ? agent.set(key, 'x') : agent.hSet(key, 'i', String(i)))))
    const read = await Promise.all(keys.map((key) => hashes.read(key)))
    for (const [i, fields] of read.entries())
      assert.deepEqual(fields, i % 5 === 0 ? undefined : new Map([['i', String(i)]]))
  })
})

describe('a hash that cannot be read', () => {
  const open: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of open.splice(0)) await end()
  })

  function hashesOn(made: TestLink): RedisHashes {
    open.unshift(() => made.close())
    return new RedisHashes(atLink(made.link))
  }

  it('throws RedisUnavailable at once for a hash read without a connection', async () => {
    const hashes = hashesOn(newLink(`redis://127.0.0.1:${await freePort()}`))
    const read = hashes.read('any').catch((error: unknown) => error)
    const inThisTurn = await Promise.race([read, new Promise((resolve) => setImmediate(resolve, 'later'))])
    assert.ok(inThisTurn instanceof RedisUnavailable, String(inThisTurn))
  })

  it('throws RedisUnavailable when the connection is lost before a hash is answered', async (t) => {
    const redis = await relayedRedisFor(t)
    const made = await openLink(redis.url)
    const hashes = hashesOn(made)
    redis.hold('HGETALL')
    const reads = [hashes.read('a'), hashes.read('b')]
    const settled = Promise.allSettled(reads)
    await eventually(() => redis.holds('*0') || redis.holds('%0'), 'the answer to be kept back')
    made.link.restart('for the test')
    for (const each of await settled) {
      assert.equal(each.status, 'rejected')
      assert.ok(each.reason instanceof RedisUnavailable, String(each.reason))
      assert.ok(each.reason.cause instanceof Error)
    }
  })

  it("rejects a hash read with Redis' own error, and reads the next hash", {
    skip: withoutRealRedis,
  }, async (t) => {
    const redis = await realRedisFor(t)
    const agent = await redis.client()
    const hashes = hashesOn(await openLink(redis.url))
    await agent.hSet('mine', 'a', '1')
    await agent.aclSetUser('default', '-hgetall')
    await assert.rejects(hashes.read('mine'), (error: Error) => {
      assert.match(error.message, /^NOPERM/)
      return !(error instanceof RedisUnavailable)
    })
    await agent.aclSetUser('default', '+hgetall')
    assert.deepEqual(await hashes.read('mine'), new Map([['a', '1']]))
  })
})
