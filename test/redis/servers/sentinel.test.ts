import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { sessionAuth, sessionDown, sessionUp } from '../../../src/contract/names.ts'
import { accountDown, numbered, type Published } from '../../chaos/account.ts'
import { type BareGateway, bareGatewayFor } from '../../support/bare.ts'
import { connect, RefusedError, type TestClient } from '../../support/client.ts'
import { type Client, type RealRedis, withoutRealRedis } from '../../support/redis.ts'
import { scopeOf } from '../../support/scope.ts'
import { sentinelsFor, type TestSentinels } from '../../support/sentinel.ts'
import { eventually } from '../../support/wait.ts'

const FAIL_OVER_MS = 30_000
const marker = (text: string) => JSON.stringify({ marker: text })
const gaps = (client: TestClient) => client.values.filter(({ command }) => command === 'gap')

describe('with Redis Sentinel', { skip: withoutRealRedis }, () => {
  const each = scopeOf(afterEach)
  const suite = scopeOf(after)
  let sentinels: TestSentinels
  let gateway: BareGateway
  let agents: Map<number, Client>
  before(async () => {
    sentinels = await sentinelsFor(suite)
    const clients = await Promise.all(
      sentinels.servers.map(async (server) => [server.port, await server.client()] as const),
    )
    agents = new Map(clients)
  })
  beforeEach(async () => {
    const env = { REDIS_SENTINELS: sentinels.addresses, CONNECT_RATE_PER_IP: '0' }
    gateway = bareGatewayFor(each, 'redis://localhost', env)
    await eventually(() => gateway.gateway.redisReady, 'the gateway to reach the master')
  })

  const serverAt = (port: number): RealRedis => sentinels.servers.find((server) => server.port === port)!
  const join = async (agent: Client, session: string) => {
    await agent.set(sessionAuth(session), 't')
    return connect(`${gateway.ws}/a/ws/${session}`, { token: 't' })
  }

  /**
   * Every socket gets one more gap, receives what is published on the new master and is heard
   * there; new clients are admitted.
   */
  async function assertServed(port: number, clients: Readonly<Record<string, TestClient>>): Promise<void> {
    const agent = agents.get(port)!
    for (const [session, client] of Object.entries(clients)) {
      await eventually(() => gaps(client).length > 0, `the gap of ${session}`)
      await agent.publish(sessionDown(session), marker('after'))
      await client.find({ marker: 'after' })
      const heard: string[] = []
      const ear = await serverAt(port).client()
      await ear.subscribe(sessionUp(session), (frame) => heard.push(frame))
      client.send(marker('up'))
      await eventually(() => heard.includes(marker('up')), 'the frame on :up')
      assert.equal(client.code, undefined)
    }
    const newcomer = await join(agent, 'newcomer')
    await newcomer.close()
  }

  it('finds the master and follows a fail-over by SENTINEL FAILOVER', async () => {
    const old = await sentinels.master()
    const clients = { a: await join(agents.get(old)!, 'a'), b: await join(agents.get(old)!, 'b') }
    await agents.get(old)!.publish(sessionDown('a'), marker('before'))
    await clients.a.find({ marker: 'before' })
    await sentinels.failOver()
    const port = await eventually(async () => {
      const now = await sentinels.master()
      return now === old ? undefined : now
    }, 'the fail-over')
    // The old master lives on for seconds, with all its connections, while agents follow the
    // Sentinels to the new one.
    const published: Published[] = []
    await eventually(async () => {
      const text = numbered(published.length, '')
      const from = Date.now()
      await agents.get(port)!.publish(sessionDown('a'), text)
      published.push({ text, at: { from, to: Date.now() }, sure: true })
      return clients.a.frames.some((frame) => String(frame).startsWith('{"n":'))
    }, 'messages of the new master')
    await assertServed(port, clients)
    const frames = clients.a.frames.map(String)
    const witness = { name: 'a', openedAt: 0, closeCode: clients.a.code, frames, sent: 0 }
    assert.deepEqual(accountDown(witness, published, [{ from: 0, to: Date.now() }]), [])
  })

  it('follows the fail-over after the master died, and sends each socket a gap', async () => {
    await bothInSync()
    const old = await sentinels.master()
    const clients = { c: await join(agents.get(old)!, 'c'), d: await join(agents.get(old)!, 'd') }
    await serverAt(old).kill()
    await eventually(() => !gateway.gateway.redisReady, 'the loss')
    await assert.rejects(connect(`${gateway.ws}/a/ws/e`, { token: 't' }), RefusedError)
    await eventually(() => gateway.gateway.redisReady, 'the new master', FAIL_OVER_MS)
    const port = await sentinels.master()
    assert.notEqual(port, old)
    await assertServed(port, clients)
    for (const client of Object.values(clients)) assert.equal(gaps(client).length, 1)
    await serverAt(old).restart()
  })

  /** Sentinels promote only a replica that they know to be well. */
  async function bothInSync(): Promise<void> {
    const inSync = async () =>
      (await agents.get(await sentinels.master())!.info('replication')).includes('state=online')
    await eventually(inSync, 'the other server to be a replica', FAIL_OVER_MS)
  }
})
