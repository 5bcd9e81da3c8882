import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionLog, sessionMeta } from '../../../src/contract/names.ts'
import { connect } from '../../support/client.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { controls, epochOf, joinNumbered, messages, positionOf, say, takeMessages } from '../../support/numbered.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'
import { publish } from '../../support/wire.ts'

const numbered = (from: number, to: number, text: (n: number) => string) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i} ${text(from + i)}`)

const rangeOf = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** The default of MAX_MESSAGE_SIZE for sessions. */
const MAX_FRAME = 1024 * 1024

describe('a socket of wsproxy.v2', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })
  const word = (n: number) => `{"type":"token","text":"w${n}"}`
  const write = async (session: string, from: number, to: number) => {
    for (let n = from; n <= to; n++) assert.equal(await say(gateway.agent, session, word(n)), n)
  }

  /** How often Redis has run each command. */
  const calls = async (): Promise<Record<string, number>> => {
    const lines = (await gateway.agent.info('commandstats')).matchAll(/^(cmdstat_\w+):calls=(\d+)/gm)
    return Object.fromEntries(Array.from(lines, ([, name, count]) => [name!, Number(count)]))
  }

  it('gets its position first, and then every message with its number', async () => {
    await write('first', 1, 3)
    const client = await joinNumbered(gateway, 'first')
    const position = await positionOf(client)
    const epoch = await epochOf(gateway.agent, 'first')
    assert.deepEqual(position, {
      type: 'control',
      command: 'position',
      grade: 'exact',
      epoch,
      offset: 3,
      replay: 0,
      oldest: 1,
      max_inbound_message_bytes: MAX_FRAME,
    })
    await write('first', 4, 6)
    assert.deepEqual(await takeMessages(client, 3), numbered(4, 6, word))
  })

  it('gets all that it missed from its cursor, and what comes meanwhile, without a seam', async () => {
    await write('cursor', 1, 50)
    const epoch = await epochOf(gateway.agent, 'cursor')
    const writing = write('cursor', 51, 400)
    const client = await joinNumbered(gateway, 'cursor', `cursor=${epoch}.20`)
    await writing
    const position = await positionOf(client)
    assert.equal(position.recovered, true)
    assert.equal(position.offset, 20)
    assert.deepEqual(await takeMessages(client, 380), numbered(21, 400, word))
  })

  it('gets all that is kept with the cursor -1', async () => {
    await write('all', 1, 5)
    const client = await joinNumbered(gateway, 'all', 'cursor=-1')
    assert.deepEqual(await takeMessages(client, 5), numbered(1, 5, word))
  })

  it('gets a message without a number as `- <payload>`', async () => {
    await write('plain', 1, 1)
    const client = await joinNumbered(gateway, 'plain', 'cursor=-1')
    await takeMessages(client, 1)
    publish(gateway, 'plain', 'status')
    await write('plain', 2, 2)
    assert.deepEqual(await takeMessages(client, 3), [`1 ${word(1)}`, '- status', `2 ${word(2)}`])
  })

  it('gets a message that is not UTF-8 as a binary frame with the same prefix', async () => {
    const client = await joinNumbered(gateway, 'binary')
    await positionOf(client)
    await say(gateway.agent, 'binary', Buffer.from([0xff, 0x00]))
    // Two positions and a ticket come before it.
    const frames = await client.take(4)
    assert.deepEqual(frames[3], Buffer.from([0x31, 0x20, 0xff, 0x00]))
  })

  it('learns the epoch of a log that begins after it came', async () => {
    const client = await joinNumbered(gateway, 'later')
    const none = { type: 'control', command: 'position', grade: 'none', max_inbound_message_bytes: MAX_FRAME }
    assert.deepEqual(await positionOf(client), none)
    await write('later', 1, 2)
    assert.deepEqual(await takeMessages(client, 2), numbered(1, 2, word))
    const epoch = await epochOf(gateway.agent, 'later')
    assert.deepEqual(controls(client)[1], { type: 'control', command: 'position', grade: 'exact', epoch, offset: 0 })
  })

  describe('whose publication was lost', () => {
    it('gets the message from the log when the next one comes', async () => {
      await write('hole', 1, 1)
      const client = await joinNumbered(gateway, 'hole')
      await positionOf(client)
      await gateway.agent.xAdd(sessionLog('hole'), '0-2', { m: word(2) })
      await gateway.agent.hSet(sessionMeta('hole'), 'n', 2)
      await write('hole', 3, 3)
      assert.deepEqual(await takeMessages(client, 2), numbered(2, 3, word))
    })

    it('gets a gap with the numbers that the log does not have any more', async () => {
      await write('trimmed', 1, 1)
      const client = await joinNumbered(gateway, 'trimmed')
      await positionOf(client)
      const epoch = await epochOf(gateway.agent, 'trimmed')
      await gateway.agent.hSet(sessionMeta('trimmed'), 'n', 6)
      for (const n of [5, 6]) publish(gateway, 'trimmed', `\x1e${epoch}.${n}\x1e${word(n)}`)
      assert.deepEqual(await takeMessages(client, 2), numbered(5, 6, word))
      assert.deepEqual(controls(client)[1], { type: 'control', command: 'gap', from: 2, to: 4, reason: 'trimmed' })
    })

    it('gets a number that the log never gave as a message without a number, and all that follow', async () => {
      await write('wild', 1, 1)
      const client = await joinNumbered(gateway, 'wild')
      await positionOf(client)
      const epoch = await epochOf(gateway.agent, 'wild')
      publish(gateway, 'wild', `\x1e${epoch}.999999999999999\x1ewild`)
      await takeMessages(client, 1)
      await write('wild', 2, 4)
      assert.deepEqual(await takeMessages(client, 4), ['- wild', ...numbered(2, 4, word)])
      assert.equal(controls(client).length, 1, 'nothing is missing')
    })

    it('gets such a number as such also where the agent counts by itself', async () => {
      const epoch = '0123456789'
      const key = sessionLog('own')
      const tell = async (n: number) => {
        await gateway.agent.xAdd(key, `0-${n}`, { m: word(n) })
        publish(gateway, 'own', `\x1e${epoch}.${n}\x1e${word(n)}`)
      }
      await gateway.agent.hSet(sessionMeta('own'), 'e', epoch)
      await tell(1)
      const client = await joinNumbered(gateway, 'own')
      await positionOf(client)
      publish(gateway, 'own', `\x1e${epoch}.77\x1ewild`)
      await takeMessages(client, 1)
      await tell(2)
      assert.deepEqual(await takeMessages(client, 2), ['- wild', ...numbered(2, 2, word)])
    })

    it('goes on behind a hole when the agent that counts by itself keeps nothing', async () => {
      await gateway.agent.hSet(sessionMeta('empty'), 'e', '0123456789')
      const client = await joinNumbered(gateway, 'empty')
      await positionOf(client)
      for (const n of [1, 4]) publish(gateway, 'empty', `\x1e0123456789.${n}\x1e${word(n)}`)
      assert.deepEqual(await takeMessages(client, 2), [`1 ${word(1)}`, `4 ${word(4)}`])
      assert.deepEqual(controls(client)[1], { type: 'control', command: 'gap', from: 2, to: 3, reason: 'trimmed' })
    })

    it('never gets a number twice', async () => {
      await write('twice', 1, 2)
      const client = await joinNumbered(gateway, 'twice', 'cursor=-1')
      await takeMessages(client, 2)
      const epoch = await epochOf(gateway.agent, 'twice')
      publish(gateway, 'twice', `\x1e${epoch}.2\x1eagain`)
      await write('twice', 3, 3)
      assert.deepEqual(await takeMessages(client, 3), numbered(1, 3, word))
    })
  })

  describe('whose cursor', () => {
    const lost = async (session: string, cursor: string, rest = '') => {
      const client = await joinNumbered(gateway, session, `cursor=${cursor}${rest}`)
      const { recovered, reason, offset } = await positionOf(client)
      return { client, start: { recovered, reason, offset } }
    }

    it('is older than the log starts now and gets a gap with the numbers that it lost', async () => {
      await write('old', 1, 9)
      await gateway.agent.xTrim(sessionLog('old'), 'MAXLEN', 3)
      const epoch = await epochOf(gateway.agent, 'old')
      const { client, start } = await lost('old', `${epoch}.2`)
      assert.deepEqual(start, { recovered: false, reason: 'trimmed', offset: 9 })
      const [, gap] = (await client.take(2)).map((frame) => JSON.parse(String(frame)))
      assert.deepEqual(gap, { type: 'control', command: 'gap', from: 3, to: 9, reason: 'trimmed' })
    })

    it('is older than the log starts at the oldest message where it asks for that', async () => {
      await write('oldest', 1, 9)
      await gateway.agent.xTrim(sessionLog('oldest'), 'MAXLEN', 3)
      const epoch = await epochOf(gateway.agent, 'oldest')
      const { client, start } = await lost('oldest', `${epoch}.2`, '&else=oldest')
      assert.deepEqual(start, { recovered: false, reason: 'trimmed', offset: 6 })
      assert.deepEqual(await takeMessages(client, 3), numbered(7, 9, word))
    })

    it('is ahead of the log starts now', async () => {
      await write('future', 1, 2)
      const { start } = await lost('future', `${await epochOf(gateway.agent, 'future')}.7`)
      assert.deepEqual(start, { recovered: false, reason: 'future', offset: 2 })
    })

    it('is of an epoch before the log starts now', async () => {
      await write('epoch', 1, 2)
      assert.deepEqual((await lost('epoch', '0.1')).start, { recovered: false, reason: 'epoch', offset: 2 })
    })

    it('is of an epoch that the session never had starts now', async () => {
      await write('unknown', 1, 2)
      assert.deepEqual((await lost('unknown', 'zzzz.1')).start, { recovered: false, reason: 'unknown', offset: 2 })
    })

    it('is of a session without a log gets the reason window', async () => {
      const client = await joinNumbered(gateway, 'nolog', 'cursor=k3f9.1')
      const expected = { type: 'control', command: 'position', grade: 'none', recovered: false, reason: 'window' }
      assert.deepEqual(await positionOf(client), { ...expected, max_inbound_message_bytes: MAX_FRAME })
    })

    it('is of a log that is empty gets the reason expired', async () => {
      await write('empty', 1, 2)
      await gateway.agent.del(sessionLog('empty'))
      const { start } = await lost('empty', `${await epochOf(gateway.agent, 'empty')}.1`)
      assert.deepEqual(start, { recovered: false, reason: 'expired', offset: 0 })
    })

    it('is of a log that continues after a snapshot starts with the snapshot', async () => {
      await write('snapshot', 1, 5)
      await say(gateway.agent, 'snapshot', 'all so far', 'snapshot')
      await say(gateway.agent, 'snapshot', 'more')
      const { client, start } = await lost('snapshot', `${await epochOf(gateway.agent, 'snapshot')}.1`)
      assert.deepEqual(start, { recovered: true, reason: undefined, offset: 5 })
      assert.deepEqual(await takeMessages(client, 2), ['6 all so far', '7 more'])
    })
  })

  it('begins again with a new epoch when the log was replaced', async () => {
    await write('replaced', 1, 3)
    const client = await joinNumbered(gateway, 'replaced', 'cursor=-1')
    await takeMessages(client, 3)
    await gateway.agent.del([sessionLog('replaced'), sessionMeta('replaced')])
    await write('replaced', 1, 2)
    assert.deepEqual(await takeMessages(client, 5), [...numbered(1, 3, word), ...numbered(1, 2, word)])
    const epoch = await epochOf(gateway.agent, 'replaced')
    const expected = { grade: 'exact', epoch, offset: 0, recovered: false, reason: 'epoch' }
    assert.deepEqual(controls(client)[1], { type: 'control', command: 'position', ...expected })
  })

  it('gets what an epoch that has lost the race publishes without a number', async () => {
    await write('race', 1, 1)
    const client = await joinNumbered(gateway, 'race', 'cursor=-1')
    await takeMessages(client, 1)
    for (const epoch of ['0', 'zzzzzzzzzzzz']) publish(gateway, 'race', `\x1e${epoch}.9\x1e${epoch}`)
    await eventually(() => messages(client).length === 3, 'both')
    assert.deepEqual(messages(client).slice(1).sort(), ['- 0', '- zzzzzzzzzzzz'])
    await write('race', 2, 2)
    assert.equal((await takeMessages(client, 4))[3], `2 ${word(2)}`)
  })

  describe('of wsproxy.v1 beside it', () => {
    it('gets every message without its number, and no other frame', async () => {
      await write('both', 1, 1)
      const old = await gateway.join('both')
      const client = await joinNumbered(gateway, 'both')
      await positionOf(client)
      publish(gateway, 'both', 'plain')
      await write('both', 2, 3)
      assert.deepEqual(await old.take(3), ['plain', word(2), word(3)])
      assert.deepEqual(await takeMessages(client, 3), ['- plain', `2 ${word(2)}`, `3 ${word(3)}`])
    })

    it('goes on getting them when the client of wsproxy.v2 has left', async () => {
      const old = await gateway.join('stays')
      const client = await joinNumbered(gateway, 'stays')
      await positionOf(client)
      await write('stays', 1, 1)
      await client.take(1)
      await client.close()
      await write('stays', 2, 2)
      publish(gateway, 'stays', 'plain')
      assert.deepEqual(await old.take(3), [word(1), word(2), 'plain'])
    })

    it('gets messages without their numbers when it is alone', async () => {
      const old = await gateway.join('alone')
      await write('alone', 1, 2)
      publish(gateway, 'alone', '\x1enot a head')
      assert.deepEqual(await old.take(3), [word(1), word(2), '\x1enot a head'])
    })
  })

  const closeOf = async (url: string, token: string) => {
    const client = await connect(url, { token, protocols: ['wsproxy.v2'] })
    return client.closed
  }

  it('is closed with 4400 for a cursor that is none', async () => {
    const cursors = ['x', '1', 'k3f9', 'k3f9.01', 'K.1', 'k3f9.1.1', `${'k'.repeat(33)}.1`, 'k.1234567890123456', '']
    for (const cursor of cursors) {
      const url = `${gateway.sessionUrl('malformed')}?cursor=${encodeURIComponent(cursor)}`
      const close = await closeOf(url, await gateway.token('malformed'))
      assert.deepEqual(close, { code: 4400, reason: 'cursor-malformed' }, cursor)
    }
  })

  it('is closed with a code that a page can read, for any refusal', async () => {
    assert.deepEqual(await closeOf(gateway.sessionUrl('token'), 'wrong'), { code: 4401, reason: 'token-rejected' })
  })

  it('reads past entries without a payload, however many, and gets a gap for them', async () => {
    await write('foreign', 1, 1)
    const add = gateway.agent.multi()
    for (let n = 2; n <= 500; n++) add.xAdd(sessionLog('foreign'), `0-${n}`, { other: 'x' })
    await add.exec()
    const epoch = await epochOf(gateway.agent, 'foreign')
    const early = await joinNumbered(gateway, 'foreign', `cursor=${epoch}.1`)
    await write('foreign', 501, 502)
    const late = await joinNumbered(gateway, 'foreign', `cursor=${epoch}.1`)
    for (const client of [early, late]) {
      assert.deepEqual(await takeMessages(client, 2), numbered(501, 502, word))
      const gaps = controls(client).filter(({ command }) => command === 'gap')
      const missing = gaps.flatMap(({ from, to }) => rangeOf(Number(from), Number(to)))
      assert.deepEqual(missing, rangeOf(2, 500))
    }
    const { cmdstat_xrange: before } = await calls()
    await write('foreign', 503, 503)
    await takeMessages(early, 3)
    assert.equal((await calls()).cmdstat_xrange, before)
  })

  it('opens without numbers when the key of the log holds something else', async () => {
    await gateway.agent.set(sessionLog('wrongtype'), 'text')
    const client = await joinNumbered(gateway, 'wrongtype', 'cursor=k3f9.1')
    assert.equal((await positionOf(client)).grade, 'none')
    publish(gateway, 'wrongtype', 'still here')
    assert.deepEqual(await takeMessages(client, 1), ['- still here'])
  })
})
