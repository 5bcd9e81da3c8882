import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { killCommands } from '../support/cli.ts'
import type { TestClient } from '../support/client.ts'
import { live } from '../support/live.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { joinAll, type ServedWorkers, serveWorkers } from '../support/workers.ts'

const START_MS = 30_000
const SOCKETS = 16
const ADMIN_TOKEN = 'a-token-of-the-operators'

describe('the live door of workers', () => {
  const suite = scopeOf(after)
  const each = scopeOf(afterEach)
  let redis: TestRedis
  let agent: Client
  let served: ServedWorkers
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })
  beforeEach(async () => {
    served = await serveWorkers(each, {
      REDIS_URL: redis.url,
      AUTH_TOKEN_MODE: 'reusable',
      ADMIN_TOKEN,
      LIVE_TOPICS: 'build.*',
      LIVE_RATE: '0',
      DRAIN_WINDOW: '200ms',
    })
    await served.allListen()
  })
  after(killCommands)

  const call = async (method: 'GET' | 'POST', path: string) => {
    const headers = { Authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json', Connection: 'close' }
    const response = await fetch(`${served.http}/api/dashboard/websocket${path}`, { method, headers })
    return (await response.json()) as Record<string, unknown>
  }
  const stats = async () => (await call('GET', '/stats')).websocket_stats as Record<string, unknown>
  const membersOf = async (topic: string) => ((await stats()).subscription_counts as Record<string, number>)[topic] ?? 0

  /** Live sockets that hold `build.7`; the kernel spreads them over the workers. */
  const watchers = (count: number) =>
    Promise.all(
      Array.from({ length: count }, async () => {
        const client = await live({ url: served.ws })
        client.send({ type: 'subscribe', topic: 'build.7' })
        await client.find({ type: 'subscribed', topic: 'build.7' })
        return client
      }),
    )
  /** The number of sessions of an agent, as a live client sees it. */
  const sessionsOf = async (client: TestClient, agentId: string) => {
    const correlation_id = `ask-${client.frames.length}-${Math.random()}`
    client.send({ type: 'request_data', data_type: 'agent_status', correlation_id })
    const { data } = await client.find({ type: 'data_response', correlation_id })
    const { agents } = data as { agents: { agent_id: string; sessions: number }[] }
    return agents.find(({ agent_id }) => agent_id === agentId)?.sessions ?? 0
  }

  it('counts the sockets of a topic in all workers, and reaches each of them once', async () => {
    const clients = await watchers(SOCKETS)
    for (let i = 0; i < 4; i++) assert.equal(await membersOf('build.7'), SOCKETS)
    for (let i = 0; i < 4; i++) {
      const { clients_reached, correlation_id } = await call('POST', '/broadcast?subscription=build.7')
      assert.equal(clients_reached, SOCKETS)
      for (const client of clients) await client.find({ correlation_id })
    }
    for (const client of clients)
      assert.equal(client.values.filter(({ subscription }) => subscription === 'build.7').length, 4)

    const gone = clients.splice(0, SOCKETS / 2)
    for (const client of gone) client.socket.close()
    await eventually(async () => (await membersOf('build.7')) === clients.length, 'the others to be counted')
  })

  it('closes one socket by its id, whichever worker is asked', async () => {
    const clients = await watchers(4)
    for (const client of clients) {
      const { connection_id: id } = client.values[0]!
      assert.equal((await call('POST', `/disconnect/${id}`)).success, true)
      assert.equal((await within(client.closed, 'the close')).code, 1000)
      assert.equal((await call('POST', `/disconnect/${id}`)).success, false)
    }
    assert.equal((await stats()).total_connections, 0)
  })

  it('forgets the sockets of a killed worker, and counts those that come back once', async () => {
    const clients = await watchers(SOCKETS)
    process.kill(served.pids().get(1)!, 'SIGKILL')
    await eventually(() => served.events('worker-ended').length === 1, 'the end to be seen')
    const left = () => clients.filter(({ socket }) => socket.readyState === 1).length
    await eventually(
      async () => left() < SOCKETS && (await membersOf('build.7')) === left(),
      'those left to be counted',
    )
    await eventually(() => served.events('worker-start').length === 3, 'another process', START_MS)
    await within(served.allListen(), 'the new worker to listen', START_MS)
    await watchers(SOCKETS - left())
    for (let i = 0; i < 4; i++) assert.equal(await membersOf('build.7'), SOCKETS)
    const { clients_reached } = await call('POST', '/broadcast?subscription=build.7')
    assert.equal(clients_reached, SOCKETS)
  })

  it('tells each client the sessions of an agent in all workers', async () => {
    const clients = await watchers(4)
    const sessions = await joinAll(agent, served.ws, 'present', SOCKETS)
    for (const client of clients)
      await eventually(async () => (await sessionsOf(client, 'agent')) === SOCKETS, 'all sessions')
    for (const session of sessions.splice(0, SOCKETS / 2)) session.socket.close()
    for (const client of clients)
      await eventually(async () => (await sessionsOf(client, 'agent')) === sessions.length, 'those left')
  })
})
