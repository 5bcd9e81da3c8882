import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { usedToken } from '../../src/contract/names.ts'
import { RedisForbids, RedisUnavailable } from '../../src/platform/unavailable.ts'
import { RedisTokens } from '../../src/redis/tokens.ts'
import { createLogger } from '../../src/telemetry/log.ts'
import { atLink, newLink, openLink, type TestLink } from '../support/link.ts'
import { proxyFor } from '../support/proxy.ts'
import { type Client, redisFor, type TestRedis, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const REMOVE = 0
const LEAVE = -1
const SECRET = 'a-secret-of-this-process'

describe('tokens in Redis', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let opened: TestLink
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    opened = await openLink(redis.url)
    atEnd(suite, () => opened.close())
    agent = await redis.client()
  })
  const tokens = (after: number, link = opened.link) => new RedisTokens(atLink(link), after, SECRET)
  const keep = (key: string, token: string, seconds = 60) =>
    agent.set(key, token, { expiration: { type: 'EX', value: seconds } })

  it('distinguishes a right token, a wrong token and an absent token', async () => {
    await keep('auth', 'right')
    assert.equal(await tokens(LEAVE).redeem('auth', 'wrong'), 'wrong')
    assert.equal(await tokens(LEAVE).redeem('auth', 'righ'), 'wrong')
    assert.equal(await tokens(LEAVE).redeem('auth', 'right '), 'wrong')
    assert.equal(await tokens(LEAVE).redeem('auth', 'right'), 'ok')
    assert.equal(await tokens(LEAVE).redeem('no-such-key', 'right'), 'absent')
  })

  it('compares tokens of any script and emoji byte by byte', async () => {
    for (const token of ['pässword', 'токен', '🔑🔑', 'a\u0000b']) {
      await keep('bytes', token)
      assert.equal(await tokens(REMOVE).redeem('bytes', token), 'ok')
    }
  })

  it('removes a token that matches and keeps it when a wrong one was tried', async () => {
    await keep('single', 'right')
    assert.equal(await tokens(REMOVE).redeem('single', 'wrong'), 'wrong')
    assert.equal(await agent.exists('single'), 1)
    assert.equal(await tokens(REMOVE).redeem('single', 'right'), 'ok')
    assert.equal(await agent.exists('single'), 0)
    assert.equal(await tokens(REMOVE).redeem('single', 'right'), 'absent')
  })

  it('accepts a single-use token once among a hundred concurrent tries', async () => {
    await keep('race', 'right')
    const other = await openLink(redis.url)
    const both = [tokens(REMOVE), tokens(REMOVE, other.link)]
    const verdicts = await Promise.all(Array.from({ length: 100 }, (_, i) => both[i % 2]!.redeem('race', 'right')))
    assert.equal(verdicts.filter((each) => each === 'ok').length, 1)
    assert.equal(verdicts.filter((each) => each === 'absent').length, 99)
    other.close()
  })

  it('shortens the TTL of a used token to the grace and never extends it', async () => {
    await keep('grace', 'right', 1000)
    assert.equal(await tokens(30_000).redeem('grace', 'right'), 'ok')
    const left = await agent.pTTL('grace')
    assert.ok(left > 0 && left <= 30_000, `${left} ms left`)
    assert.equal(await tokens(900_000).redeem('grace', 'right'), 'ok')
    assert.ok((await agent.pTTL('grace')) <= 30_000)
    await agent.set('eternal', 'right')
    assert.equal(await tokens(30_000).redeem('eternal', 'right'), 'ok')
    const life = await agent.pTTL('eternal')
    assert.ok(life > 0 && life <= 30_000, `${life} ms left`)
  })

  it('keeps a reusable token and its TTL', async () => {
    await keep('reusable', 'right', 1000)
    for (let i = 0; i < 3; i++) assert.equal(await tokens(LEAVE).redeem('reusable', 'right'), 'ok')
    assert.ok((await agent.pTTL('reusable')) > 900_000)
    await agent.set('no-life', 'right')
    assert.equal(await tokens(LEAVE).redeem('no-life', 'right'), 'ok')
    assert.equal(await agent.pTTL('no-life'), -1)
  })

  const keepSet = async (key: string, members: string[], seconds = 1000) => {
    await agent.sAdd(key, members)
    await agent.expire(key, seconds)
  }

  it('spends each token of a set alone, and leaves the others and their TTL', async () => {
    await keepSet('set', ['one', 'two', 'токен'])
    assert.equal(await tokens(REMOVE).redeem('set', 'three'), 'absent')
    assert.equal(await tokens(REMOVE).redeem('set', 'two'), 'ok')
    assert.equal(await tokens(REMOVE).redeem('set', 'two'), 'absent')
    assert.deepEqual((await agent.sMembers('set')).sort(), ['one', 'токен'])
    assert.ok((await agent.pTTL('set')) > 900_000)
    assert.equal(await tokens(REMOVE).redeem('set', 'токен'), 'ok')
    assert.equal(await tokens(REMOVE).redeem('set', 'one'), 'ok')
    assert.equal(await agent.exists('set'), 0)
    assert.deepEqual(await agent.keys('set:*'), [])
  })

  it('accepts each token of a set once among many concurrent tries', async () => {
    const all = Array.from({ length: 20 }, (_, i) => `token-${i}`)
    await keepSet('races', all)
    const tries = all.flatMap((token) => Array.from({ length: 5 }, () => token))
    const verdicts = await Promise.all(tries.map((token) => tokens(REMOVE).redeem('races', token)))
    assert.equal(verdicts.filter((each) => each === 'ok').length, 20)
    for (let i = 0; i < 20; i++)
      assert.equal(verdicts.slice(5 * i, 5 * i + 5).filter((each) => each === 'ok').length, 1)
  })

  it('keeps a reusable set as it is', async () => {
    await keepSet('reused', ['one', 'two'])
    for (const token of ['one', 'two', 'one']) assert.equal(await tokens(LEAVE).redeem('reused', token), 'ok')
    assert.equal(await tokens(LEAVE).redeem('reused', 'three'), 'absent')
    assert.deepEqual((await agent.sMembers('reused')).sort(), ['one', 'two'])
  })

  it('moves a used token of a set to a key of its own for the grace, never past the life of the set', async () => {
    await keepSet('graced', ['one', 'two'])
    const usedKey = usedToken('graced', createHash('sha256').update('one').digest('hex'))
    assert.match(usedKey, /^graced:[0-9a-f]{64}$/)
    for (let i = 0; i < 3; i++) assert.equal(await tokens(30_000).redeem('graced', 'one'), 'ok')
    const left = await agent.pTTL(usedKey)
    assert.ok(left > 0 && left <= 30_000, `${left} ms left`)
    assert.deepEqual(await agent.sMembers('graced'), ['two'])
    assert.ok((await agent.pTTL('graced')) > 900_000)
    assert.equal(await tokens(30_000).redeem('graced', 'three'), 'absent')
    await agent.del(usedKey)
    assert.equal(await tokens(30_000).redeem('graced', 'one'), 'absent')
    await keepSet('short', ['one'], 5)
    assert.equal(await tokens(30_000).redeem('short', 'one'), 'ok')
    const [life] = await Promise.all((await agent.keys('short:*')).map((key) => agent.pTTL(key)))
    assert.ok(life! > 0 && life! <= 5000, `${life} ms left`)
    await agent.sAdd('endless', ['one', 'two'])
    assert.equal(await tokens(30_000).redeem('endless', 'one'), 'ok')
    assert.equal(await agent.pTTL('endless'), -1)
  })

  it('reads no set of more than 1,000 tokens', async () => {
    const many = Array.from({ length: 1001 }, (_, i) => `token-${i}`)
    await keepSet('many', many)
    assert.equal(await tokens(REMOVE).redeem('many', 'token-0'), 'crowded')
    await agent.sRem('many', 'token-1000')
    assert.equal(await tokens(REMOVE).redeem('many', 'token-0'), 'ok')
  })

  it('treats a token key of another type as absent and does not change it', async () => {
    await agent.hSet('hash', 'field', 'right')
    assert.equal(await tokens(REMOVE).redeem('hash', 'right'), 'absent')
    assert.equal(await agent.hGet('hash', 'field'), 'right')
  })

  it('checks a token after SCRIPT FLUSH', async () => {
    for (let i = 0; i < 2; i++) {
      await agent.scriptFlush()
      await keep('noscript', 'right')
      assert.equal(await tokens(REMOVE).redeem('noscript', 'right'), 'ok')
    }
  })

  describe('that were taken for nothing', () => {
    /** Takes the token and returns how to put it back. */
    async function taken(key: string, token: string): Promise<() => void> {
      let giveBack: (() => void) | undefined
      const removed = (back: () => void) => {
        giveBack = back
      }
      assert.equal(await tokens(REMOVE).redeem(key, token, removed), 'ok')
      return giveBack!
    }

    it('go back with the life that they had left, or without an end', async () => {
      await keep('back', 'right', 60)
      const giveBack = await taken('back', 'right')
      assert.equal(await agent.exists('back'), 0)
      giveBack()
      await eventually(async () => (await agent.get('back')) === 'right', 'the token')
      const left = await agent.pTTL('back')
      assert.ok(left > 30_000 && left <= 60_000, String(left))
      await agent.set('back-for-ever', 'right')
      const again = await taken('back-for-ever', 'right')
      again()
      await eventually(async () => (await agent.get('back-for-ever')) === 'right', 'the token')
      assert.equal(await agent.pTTL('back-for-ever'), -1)
    })

    it('go back into their set, also when it was the last one, and change no life of others', async () => {
      await keepSet('back-set', ['one', 'two'])
      const first = await taken('back-set', 'one')
      const second = await taken('back-set', 'two')
      first()
      await eventually(() => agent.sIsMember('back-set', 'one'), 'the first')
      assert.ok((await agent.pTTL('back-set')) > 1000)
      await agent.persist('back-set')
      second()
      await eventually(() => agent.sIsMember('back-set', 'two'), 'the second')
      assert.equal(await agent.pTTL('back-set'), -1)
    })

    it('go back over no newer token, and not after their end', async () => {
      await keep('newer', 'right')
      const giveBack = await taken('newer', 'right')
      await keep('newer', 'next')
      giveBack()
      await agent.set('short-lived', 'right', { expiration: { type: 'PX', value: 50 } })
      const late = await taken('short-lived', 'right')
      await eventually(() => agent.get('short-lived').then((value) => value === null), 'its removal')
      const until = Date.now() + 60
      await eventually(() => Date.now() > until, 'its end')
      late()
      await opened.link.client.ping()
      assert.equal(await agent.get('newer'), 'next')
      assert.equal(await agent.exists('short-lived'), 0)
    })

    it('say so in the log when the user may not write them', { skip: withoutRealRedis }, async (t) => {
      await agent.sendCommand(['ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '&*', '+@all', '-set'])
      const limited = await openLink(redis.url.replace('redis://', 'redis://reader:pw@'))
      atEnd(t, () => limited.close())
      const lines: string[] = []
      const log = createLogger('warn', { write: (line: string) => void lines.push(line) })
      await keep('unwritable', 'hunter2')
      let giveBack: (() => void) | undefined
      const removed = (back: () => void) => {
        giveBack = back
      }
      await new RedisTokens(atLink(limited.link), REMOVE, SECRET, log).redeem('unwritable', 'hunter2', removed)
      giveBack!()
      await eventually(() => lines.some((line) => line.includes('token-lost')), 'the line')
      assert.match(lines.join(''), /NOPERM|can't run this command|no permissions/)
      assert.doesNotMatch(lines.join(''), /hunter2/)
    })
  })

  it('throws RedisForbids when the user may not read tokens, with EVAL and inside the script', {
    skip: withoutRealRedis,
  }, async (t) => {
    for (const lacks of ['-get', '-eval -evalsha']) {
      await agent.sendCommand(['ACL', 'SETUSER', 'blind', 'reset', 'on', '>pw', '~*', '+@all', ...lacks.split(' ')])
      const limited = await openLink(redis.url.replace('redis://', 'redis://blind:pw@'))
      atEnd(t, () => limited.close())
      await keep('unreadable', 'right')
      await assert.rejects(tokens(REMOVE, limited.link).redeem('unreadable', 'right'), RedisForbids, lacks)
    }
  })

  it('never shows a token to MONITOR, whether right or wrong', { skip: withoutRealRedis }, async () => {
    await keep('seen', 'the-right-token')
    await agent.sAdd('seen-set', 'the-member-token')
    const watcher = await redis.client()
    const seen: string[] = []
    await watcher.monitor((line: unknown) => void seen.push(String(line)))
    await agent.scriptFlush()
    await tokens(LEAVE).redeem('seen', 'the-wrong-token')
    await tokens(LEAVE).redeem('seen', 'the-right-token')
    await tokens(LEAVE).redeem('seen-set', 'the-wrong-member-token')
    await tokens(LEAVE).redeem('seen-set', 'the-member-token')
    await agent.echo('the end')
    await eventually(() => seen.some((line) => line.includes('the end')), 'the end of the monitor')
    assert.ok(seen.some((line) => line.includes('EVAL')))
    assert.deepEqual(
      seen.filter((line) => line.includes('-token')),
      [],
    )
  })

  it('throws RedisUnavailable while Redis refuses writes, and keeps the token usable', {
    skip: withoutRealRedis,
  }, async () => {
    await keep('auth', 'right')
    await agent.configSet('min-replicas-to-write', '1')
    await assert.rejects(tokens(REMOVE).redeem('auth', 'right'), RedisUnavailable)
    await agent.configSet('min-replicas-to-write', '0')
    assert.equal(await tokens(REMOVE).redeem('auth', 'right'), 'ok')
  })

  it('throws RedisUnavailable for a token check without a connection', async () => {
    const closed = newLink(redis.url)
    closed.close()
    await assert.rejects(tokens(REMOVE, closed.link).redeem('auth', 'right'), RedisUnavailable)
  })

  it('throws RedisUnavailable when the connection is lost before the token is answered', async (t) => {
    const proxy = await proxyFor(t, redis.port)
    const through = await openLink(`redis://127.0.0.1:${proxy.port}`)
    proxy.hold()
    const rejected = assert.rejects(tokens(REMOVE, through.link).redeem('auth', 'right'), RedisUnavailable)
    proxy.cut()
    await within(rejected, 'the rejection')
    through.close()
  })
})
