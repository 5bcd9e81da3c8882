import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { revokedSet, sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { killCommands, run, untilReady } from '../support/cli.ts'
import { connect, type TestClient } from '../support/client.ts'
import { gatewayFor, type TestGateway } from '../support/gateway.ts'
import { controls, epochOf, joinNumbered, positionOf, say, takeMessages, ticketFrames } from '../support/numbered.ts'
import { PATIENT, realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually } from '../support/wait.ts'

const ADMIN_TOKEN = 'an-admin-token-of-a-test'
const REFUSED = { code: 4401, reason: 'token-rejected' }
const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always']

async function ticketOf(client: TestClient): Promise<string> {
  await eventually(() => ticketFrames(client).length > 0, 'a ticket')
  return ticketFrames(client).at(-1)!.ticket
}

const enter = (gateway: TestGateway, session: string, ticket: string, query = '') =>
  connect(`${gateway.sessionUrl(session)}${query}`, { token: ticket, protocols: ['wsproxy.v2'] })

/** Runs `wsproxy disconnect` as an operator does. */
const disconnect = ({ http }: TestGateway, ...words: string[]) =>
  run(['disconnect', '--gateway', http, ...words], { env: { ADMIN_TOKEN } })

describe('what is revoked', { skip: withoutRealRedis, ...PATIENT }, () => {
  const each = scopeOf(afterEach)
  afterEach(killCommands)

  it('stays so when Redis restarts with AOF, for instances that start later too', async () => {
    const redis = await realRedisFor(each, DURABLE)
    const gateway = await gatewayFor(each, { redis, env: { ADMIN_TOKEN } })
    const [bad, good] = [await joinNumbered(gateway, 'bad'), await joinNumbered(gateway, 'good')]
    const [revoked, kept] = [await ticketOf(bad), await ticketOf(good)]
    assert.equal((await disconnect(gateway, '--session', 'bad')).status, 0)
    assert.equal((await bad.closed).code, 4403)
    await redis.restart()
    const later = await gatewayFor(each, { redis, env: { ADMIN_TOKEN } })
    for (const instance of [gateway, later]) {
      await untilReady(instance.http)
      assert.deepEqual(await (await enter(instance, 'bad', revoked)).closed, REFUSED)
      assert.equal((await positionOf(await enter(instance, 'good', kept))).command, 'position')
    }
    // The versions go on behind those from before the restart.
    assert.equal((await disconnect(later, '--session', 'good')).status, 0)
    assert.equal((await good.closed).code, 4403)
    await eventually(async () => (await (await enter(gateway, 'good', kept)).closed).code === 4401, 'the refusal')
  })

  it('stays so on an instance that knew it, when Redis loses the set', async () => {
    const redis = await realRedisFor(each)
    const gateway = await gatewayFor(each, { redis, env: { ADMIN_TOKEN } })
    const ticket = await ticketOf(await joinNumbered(gateway, 'lost'))
    assert.equal((await disconnect(gateway, '--session', 'lost')).status, 0)
    await eventually(async () => (await (await enter(gateway, 'lost', ticket)).closed).code === 4401, 'the refusal')
    const agent = await redis.client()
    await redis.restart()
    await untilReady(gateway.http)
    assert.equal(await agent.exists(revokedSet()), 0)
    assert.deepEqual(await (await enter(gateway, 'lost', ticket)).closed, REFUSED)
  })
})

describe('wsproxy disconnect --session', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)
  afterEach(killCommands)

  it('with --reconnect closes the sockets and leaves their tickets valid', async () => {
    const redis = await realRedisFor(each)
    const gateway = await gatewayFor(each, { redis, env: { ADMIN_TOKEN } })
    const client = await joinNumbered(gateway, 'kept')
    const ticket = await ticketOf(client)
    const { status, stdout, stderr } = await disconnect(gateway, '--session', 'kept', '--reconnect')
    assert.equal(status, 0, stderr)
    assert.match(stdout + stderr, /1 socket/)
    assert.equal((await client.closed).code, 4403)
    assert.equal(await gateway.agent.exists(revokedSet()), 0)
    const again = await enter(gateway, 'kept', ticket)
    assert.equal((await positionOf(again)).command, 'position')
    assert.equal((await disconnect(gateway, '--session', 'kept')).status, 0)
    assert.equal((await again.closed).code, 4403)
    await eventually(async () => (await (await enter(gateway, 'kept', ticket)).closed).code === 4401, 'the refusal')
  })
})

describe('a client that comes back with its ticket', () => {
  const each = scopeOf(afterEach)
  const write = async (gateway: TestGateway, session: string, ...words: string[]) => {
    for (const word of words) await say(gateway.agent, session, word)
  }

  it('without a cursor goes on from now, as one does that has lost its storage', async () => {
    const gateway = await gatewayFor(each)
    const client = await joinNumbered(gateway, 's1')
    const ticket = await ticketOf(client)
    client.socket.terminate()
    await write(gateway, 's1', 'one', 'two')
    const again = await enter(gateway, 's1', ticket)
    const { offset, recovered, replay } = await positionOf(again)
    assert.deepEqual([offset, recovered, replay], [2, undefined, 0])
    await write(gateway, 's1', 'three')
    assert.deepEqual(await takeMessages(again, 1), ['3 three'])
    const all = await enter(gateway, 's1', ticket, '?cursor=-1')
    assert.deepEqual(await takeMessages(all, 3), ['1 one', '2 two', '3 three'])
  })

  it('gets in when the log of its session is gone, and a position that says so', async () => {
    const gateway = await gatewayFor(each)
    await write(gateway, 's2', 'one', 'two')
    const client = await joinNumbered(gateway, 's2')
    const ticket = await ticketOf(client)
    const epoch = await epochOf(gateway.agent, 's2')
    client.socket.terminate()
    for (const gone of [[sessionLog('s2')], [sessionLog('s2'), sessionMeta('s2')]]) {
      await gateway.agent.del(gone)
      const again = await enter(gateway, 's2', ticket, `?cursor=${epoch}.1`)
      const { recovered, reason } = await positionOf(again)
      assert.equal(recovered, false)
      assert.ok(['expired', 'window', 'unknown', 'epoch'].includes(String(reason)), String(reason))
      await ticketOf(again)
      await write(gateway, 's2', 'new')
      const [message] = await takeMessages(again, 1)
      assert.match(message!, /^\d+ new$/)
      assert.ok(controls(again).every(({ command }) => command === 'position' || command === 'gap'))
      again.socket.terminate()
    }
  })
})
