import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionDown, sessionLog, sessionMeta } from '../../../src/contract/names.ts'
import { gatewayFor, type TestGateway } from '../../support/gateway.ts'
import { controls, epochOf, joinNumbered, messages, positionOf, say, takeMessages } from '../../support/numbered.ts'
import { scopeOf } from '../../support/scope.ts'
import { eventually } from '../../support/wait.ts'

const MIB = 1024 * 1024
const rangeOf = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** Numbers that a client got, and those of which a gap says that they are missing. */
const numbersOf = (client: Parameters<typeof messages>[0]) => ({
  got: messages(client).map((frame) => Number(frame.split(' ')[0])),
  missing: controls(client)
    .filter(({ command }) => command === 'gap')
    .flatMap(({ from, to }) => rangeOf(Number(from), Number(to))),
})

describe('a socket of wsproxy.v2 with bad input', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite)
  })
  const write = async (session: string, from: number, to: number) => {
    for (let n = from; n <= to; n++) assert.equal(await say(gateway.agent, session, `w${n}`), n)
  }
  /** As an agent that counts by itself. */
  const count = async (session: string, epoch: string, n: number, text: string) => {
    await gateway.agent.sendCommand(['XADD', sessionLog(session), `0-${n}`, 'm', text]).catch(() => {})
    await gateway.agent.publish(sessionDown(session), `\x1e${epoch}.${n}\x1e${text}`)
  }

  /** Another session gets its messages as ever. */
  async function assertOthersServed(what: string): Promise<void> {
    const session = `other-${what}`
    const client = await joinNumbered(gateway, session)
    await positionOf(client)
    await write(session, 1, 3)
    assert.deepEqual(await takeMessages(client, 3), ['1 w1', '2 w2', '3 w3'])
    assert.equal(await gateway.metric('wsproxy_errors_total', { type: 'internal' }), 0)
  }

  const MALFORMED = ['', '-2', '.', 'k3f9', 'k3f9.', '.4', 'k3f9.01', 'k3f9.-1', 'K3F9.1', 'k3f9.1.1', 'k3f9.1e3']
  const LONG = [`${'k'.repeat(33)}.1`, `k3f9.${'9'.repeat(16)}`, 'x'.repeat(5000), 'k3f9.1%00', '%ff.1', 'k3f9.%D9%A1']
  for (const cursor of [...MALFORMED, ...LONG])
    it(`is closed with 4400 for the cursor ${JSON.stringify(cursor.slice(0, 40))}`, async () => {
      const client = await joinNumbered(gateway, 'malformed', `cursor=${cursor}`)
      assert.deepEqual(await client.closed, { code: 4400, reason: 'cursor-malformed' })
    })

  it('starts now for the cursor of another session', async () => {
    await write('mine', 1, 2)
    await write('yours', 1, 9)
    const client = await joinNumbered(gateway, 'mine', `cursor=${await epochOf(gateway.agent, 'yours')}.7`)
    const { recovered, reason, offset } = await positionOf(client)
    assert.equal(recovered, false)
    assert.ok(reason === 'unknown' || reason === 'epoch')
    await write('mine', 3, 3)
    assert.deepEqual([offset, await takeMessages(client, 1)], [2, ['3 w3']])
  })

  it('starts now for the cursor with the largest number', async () => {
    await write('largest', 1, 2)
    const epoch = await epochOf(gateway.agent, 'largest')
    const client = await joinNumbered(gateway, 'largest', `cursor=${epoch}.${'9'.repeat(15)}`)
    const { recovered, reason, offset } = await positionOf(client)
    assert.deepEqual([recovered, reason, offset], [false, 'future', 2])
    await write('largest', 3, 3)
    assert.deepEqual(await takeMessages(client, 1), ['3 w3'])
  })

  it('begins again when the log is deleted with its meta under it', async () => {
    await write('deleted', 1, 3)
    const client = await joinNumbered(gateway, 'deleted', 'cursor=-1')
    await takeMessages(client, 3)
    await gateway.agent.del([sessionLog('deleted'), sessionMeta('deleted')])
    await write('deleted', 1, 3)
    assert.deepEqual((await takeMessages(client, 6)).slice(3), ['1 w1', '2 w2', '3 w3'])
    const [, again] = controls(client)
    assert.deepEqual([again?.recovered, again?.reason], [false, 'epoch'])
    await assertOthersServed('deleted')
  })

  it('goes on when the log alone is deleted, and when it is trimmed to nothing', async () => {
    await write('emptied', 1, 3)
    const client = await joinNumbered(gateway, 'emptied', 'cursor=-1')
    await takeMessages(client, 3)
    await gateway.agent.del(sessionLog('emptied'))
    await write('emptied', 4, 5)
    await gateway.agent.xTrim(sessionLog('emptied'), 'MAXLEN', 0)
    const epoch = await epochOf(gateway.agent, 'emptied')
    const late = await joinNumbered(gateway, 'emptied', `cursor=${epoch}.5`)
    const { recovered, reason } = await positionOf(late)
    await write('emptied', 6, 7)
    assert.deepEqual(numbersOf(client).missing, [])
    assert.deepEqual((await takeMessages(client, 7)).slice(3), ['4 w4', '5 w5', '6 w6', '7 w7'])
    assert.deepEqual([recovered, reason], [false, 'expired'])
    assert.deepEqual(await takeMessages(late, 2), ['6 w6', '7 w7'])
  })

  it('gets what the channel brings when the log becomes something else under it, and a gap for the rest', async () => {
    await write('spoilt', 1, 2)
    const client = await joinNumbered(gateway, 'spoilt', 'cursor=-1')
    await takeMessages(client, 2)
    const epoch = await epochOf(gateway.agent, 'spoilt')
    await gateway.agent.set(sessionLog('spoilt'), 'text')
    await count('spoilt', epoch, 3, 'three')
    await count('spoilt', epoch, 6, 'six')
    await count('spoilt', epoch, 7, 'seven')
    assert.deepEqual((await takeMessages(client, 5)).slice(2), ['3 three', '6 six', '7 seven'])
    assert.deepEqual(controls(client).slice(1), [{ type: 'control', command: 'gap', from: 4, to: 5, reason: 'redis' }])
    await assertOthersServed('spoilt')
  })

  it('opens without numbers when the key of the meta holds something else', async () => {
    await gateway.agent.set(sessionMeta('wrongmeta'), 'text')
    const client = await joinNumbered(gateway, 'wrongmeta', 'cursor=k3f9.1')
    assert.equal((await positionOf(client)).grade, 'none')
    await assertOthersServed('wrongmeta')
  })

  it('reads a meta with foreign fields and values that are no numbers', async () => {
    await write('foreignmeta', 1, 3)
    await gateway.agent.hSet(sessionMeta('foreignmeta'), { x: 'y', snap: 'text', closed: '-7', n: 'NaN' })
    const epoch = await epochOf(gateway.agent, 'foreignmeta')
    const client = await joinNumbered(gateway, 'foreignmeta', `cursor=${epoch}.1`)
    assert.deepEqual(await takeMessages(client, 2), ['2 w2', '3 w3'])
    assert.equal(client.code, undefined)
  })

  it('has no numbers while the epoch in the meta is none', async () => {
    await gateway.agent.hSet(sessionMeta('badepoch'), { e: 'Not An Epoch' })
    await gateway.agent.sendCommand(['XADD', sessionLog('badepoch'), '0-1', 'm', 'x'])
    const client = await joinNumbered(gateway, 'badepoch', 'cursor=-1')
    assert.equal((await positionOf(client)).grade, 'none')
    await gateway.agent.publish(sessionDown('badepoch'), 'still here')
    await eventually(() => messages(client).includes('- still here'), 'the message')
  })

  it('gets entries of 1 MiB from the log one by one', async () => {
    const payload = (n: number) => `${n}${'x'.repeat(MIB - 10)}`
    for (const n of rangeOf(1, 8)) await say(gateway.agent, 'large', payload(n), '', { bytes: 64 * MIB })
    const client = await joinNumbered(gateway, 'large', 'cursor=-1')
    const got = await takeMessages(client, 8)
    assert.ok(got.every((frame, i) => frame === `${i + 1} ${payload(i + 1)}`))
    assert.deepEqual(numbersOf(client).missing, [])
  })

  it('ignores numbers that go back, and gets those that go on', async () => {
    const epoch = 'k00000000abc'
    await gateway.agent.hSet(sessionMeta('back'), 'e', epoch)
    const client = await joinNumbered(gateway, 'back')
    await positionOf(client)
    for (const n of rangeOf(1, 5)) await count('back', epoch, n, `w${n}`)
    for (const n of rangeOf(2, 4)) await count('back', epoch, n, `again${n}`)
    for (const n of rangeOf(6, 7)) await count('back', epoch, n, `w${n}`)
    assert.deepEqual(
      await takeMessages(client, 7),
      rangeOf(1, 7).map((n) => `${n} w${n}`),
    )
    assert.equal(controls(client).length, 1)
  })

  it('gets the numbers of one of two agents that write two epochs, and the other without', async () => {
    const [older, newer] = ['k00000000abc', 'k00000000abd']
    await gateway.agent.hSet(sessionMeta('two'), 'e', newer)
    const client = await joinNumbered(gateway, 'two')
    await positionOf(client)
    for (const n of rangeOf(1, 4)) {
      await count('two', newer, n, `new${n}`)
      await gateway.agent.publish(sessionDown('two'), `\x1e${older}.${n}\x1eold${n}`)
    }
    await takeMessages(client, 8)
    const got = messages(client)
    assert.deepEqual(
      got.filter((frame) => !frame.startsWith('-')),
      rangeOf(1, 4).map((n) => `${n} new${n}`),
    )
    assert.deepEqual(
      got.filter((frame) => frame.startsWith('-')),
      rangeOf(1, 4).map((n) => `- old${n}`),
    )
    assert.equal(controls(client).length, 1)
  })
})

describe('a socket of wsproxy.v2 whose session has messages that are too large', () => {
  const suite = scopeOf(after)
  let gateway: TestGateway
  before(async () => {
    gateway = await gatewayFor(suite, { env: { MAX_DOWN_MESSAGE_BYTES: '64KiB' } })
  })
  const LARGE = 'x'.repeat(100_000)
  const gapAt = (from: number) => ({ type: 'control', command: 'gap', from, to: from, reason: 'oversize_down' })

  it('gets a gap for such a message from the channel, and what is around it', async () => {
    const client = await joinNumbered(gateway, 'channel')
    await positionOf(client)
    for (const text of ['one', LARGE, 'three']) await say(gateway.agent, 'channel', text)
    assert.deepEqual(await takeMessages(client, 2), ['1 one', '3 three'])
    assert.deepEqual(controls(client).slice(-1), [gapAt(2)])
  })

  it('gets a gap for such a message from the log, and what is around it', async () => {
    for (const text of ['one', LARGE, 'three']) await say(gateway.agent, 'log', text)
    const client = await joinNumbered(gateway, 'log', 'cursor=-1')
    assert.deepEqual(await takeMessages(client, 2), ['1 one', '3 three'])
    assert.deepEqual(controls(client).slice(1), [gapAt(2)])
  })

  it('gets a gap for such a message behind a hole, and what fills the hole', async () => {
    await say(gateway.agent, 'hole', 'one')
    const client = await joinNumbered(gateway, 'hole', 'cursor=-1')
    await takeMessages(client, 1)
    await gateway.agent.sendCommand(['XADD', sessionLog('hole'), '0-2', 'm', 'two'])
    await say(gateway.agent, 'hole', LARGE)
    assert.deepEqual(await takeMessages(client, 2), ['1 one', '2 two'])
    await eventually(() => controls(client).length === 2, 'the gap')
    assert.deepEqual(controls(client)[1], gapAt(3))
    await say(gateway.agent, 'hole', 'four')
    assert.deepEqual(await takeMessages(client, 3), ['1 one', '2 two', '4 four'])
  })

  it('gets what comes behind such a message while the log is read', async () => {
    await say(gateway.agent, 'held', 'one')
    const client = await joinNumbered(gateway, 'held', 'cursor=-1')
    await takeMessages(client, 1)
    await gateway.agent.sendCommand(['XADD', sessionLog('held'), '0-2', 'm', 'two'])
    const texts = ['three', LARGE, 'five', LARGE, 'seven']
    await Promise.all(texts.map((text) => say(gateway.agent, 'held', text)))
    assert.deepEqual(await takeMessages(client, 5), ['1 one', '2 two', '3 three', '5 five', '7 seven'])
    assert.deepEqual(controls(client).slice(1), [gapAt(4), gapAt(6)])
  })
})
