import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { sessionDown } from '../../src/contract/names.ts'
import { killCommands } from '../support/cli.ts'
import { connect } from '../support/client.ts'
import { sample } from '../support/gateway.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { openStream } from '../support/sse.ts'
import { eventually, within } from '../support/wait.ts'
import { assertDisconnected, joinAll, type ServedWorkers, serveWorkers } from '../support/workers.ts'

const START_MS = 30_000
const SOCKETS = 30
const ADMIN_TOKEN = 'a-token-of-the-operators'
const SENT = 'wsproxy_messages_sent_total'

describe('the answers of the workers', () => {
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
      METRICS_MAX_AGE: '0',
      DRAIN_WINDOW: '200ms',
    })
  })
  after(killCommands)

  const get = async (path: string) => {
    const response = await fetch(served.http + path, { headers: { Connection: 'close' } })
    return { status: response.status, text: await response.text() }
  }
  const json = async (path: string) => JSON.parse((await get(path)).text)
  const metric = async (name: string, labels?: Record<string, string>) =>
    sample((await get('/metrics')).text, name, labels)

  it('are those of all workers, whichever is asked', async () => {
    const clients = await joinAll(agent, served.ws, 'sums', SOCKETS)
    await agent.publish(sessionDown('sums'), '{"n":1}')
    await Promise.all(clients.map((client) => client.find({ n: 1 })))
    const live = await Promise.all(Array.from({ length: 6 }, () => connect(`${served.ws}/live`)))
    // The kernel gives each request to one of them.
    for (let i = 0; i < 10; i++) {
      const page = (await get('/metrics')).text
      assert.equal(sample(page, SENT, { door: 'session' }), SOCKETS)
      assert.equal(sample(page, 'wsproxy_active_connections', { door: 'session' }), SOCKETS)
      assert.equal(sample(page, 'wsproxy_connections_total', { door: 'session', result: 'accepted' }), SOCKETS)
      assert.equal(sample(page, 'wsproxy_workers'), 2)
      assert.equal(sample(page, 'wsproxy_workers_missing'), 0)
      assert.equal(sample(page, 'wsproxy_redis_up'), 1)
      const health = await json('/health')
      assert.deepEqual(
        [health.status, health.redis.status, health.connections, health.workers],
        ['healthy', 'up', SOCKETS + live.length, { wanted: 2, answering: 2, restarts: 0 }],
      )
      assert.deepEqual(await json('/ready'), { status: 'ready' })
      assert.equal((await json('/version')).workers, 2)
      const stats = (await json('/api/dashboard/websocket/stats')).websocket_stats
      assert.deepEqual([stats.total_connections, stats.connections_since_start], [live.length, live.length])
    }
  })

  it('do not fall when a worker is killed or replaced', async () => {
    const clients = await joinAll(agent, served.ws, 'falls', SOCKETS)
    await agent.publish(sessionDown('falls'), '{"n":1}')
    await Promise.all(clients.map((client) => client.find({ n: 1 })))
    assert.equal(await metric(SENT, { door: 'session' }), SOCKETS)
    process.kill(served.pids().get(1)!, 'SIGKILL')
    await eventually(() => served.events('worker-ended').length === 1, 'the end to be seen')
    assert.equal(await metric(SENT, { door: 'session' }), SOCKETS)
    await eventually(() => served.events('worker-start').length === 3, 'another process')
    await within(served.allListen(), 'the new worker to listen', START_MS)
    assert.equal(await metric('wsproxy_worker_restarts_total'), 1)
    const left = clients.filter(({ socket }) => socket.readyState === 1).length
    assert.equal(await metric('wsproxy_active_connections', { door: 'session' }), left)
    await agent.publish(sessionDown('falls'), '{"n":2}')
    await eventually(async () => (await metric(SENT, { door: 'session' })) === SOCKETS + left, 'the messages to count')

    served.command.signal('SIGHUP')
    let seen = SOCKETS + left
    await eventually(
      async () => {
        const sent = await metric(SENT, { door: 'session' })
        assert.ok(sent >= seen, `${sent} after ${seen}`)
        seen = sent
        return served.events('roll-end').length === 1
      },
      'the end of the roll',
      2 * START_MS,
    )
    // The goodbyes of the sockets that were drained.
    assert.equal(await metric(SENT, { door: 'session' }), SOCKETS + 2 * left)
  })

  it('name a worker that is silent, and come without it in time', async () => {
    await joinAll(agent, served.ws, 'silent', SOCKETS)
    const whole = await metric('wsproxy_connections_total', { door: 'session', result: 'accepted' })
    assert.equal(whole, SOCKETS)
    const pid = served.pids().get(2)!
    process.kill(pid, 'SIGSTOP')
    try {
      // Half of the connections land on the stopped worker, so each call is tried again.
      const ask = async (path: string) => {
        for (;;) {
          const response = await fetch(served.http + path, {
            headers: { Connection: 'close' },
            signal: AbortSignal.timeout(3000),
          }).catch(() => undefined)
          if (response) return response
        }
      }
      const health = (await (await ask('/health')).json()) as { status: string; workers: object }
      assert.equal(health.status, 'healthy')
      assert.deepEqual(health.workers, { wanted: 2, answering: 1, silent: [2], restarts: 0 })
      const page = await (await ask('/metrics')).text()
      assert.equal(sample(page, 'wsproxy_workers_missing'), 1)
      assert.equal(sample(page, 'wsproxy_connections_total', { door: 'session', result: 'accepted' }), SOCKETS)
      const [line] = served.events('worker-silent')
      assert.deepEqual([line!.worker, line!.pid], [2, pid])
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await eventually(async () => (await metric('wsproxy_workers_missing')) === 0, 'it to answer again')
  })

  it('find the stream of a client in the worker that holds it', async () => {
    const stream = await openStream(`${served.http}/live/sse`)
    const hello = await stream.first('stream')
    const [id, secret] = [String(hello.connection_id), String(hello.secret)]
    const post = (bearer: string, to = id) =>
      fetch(`${served.http}/live/sse/${to}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${bearer}`, 'Content-Type': 'application/json', Connection: 'close' },
        body: '{"type":"ping","client_time":7}',
      }).then(({ status }) => status)
    // Half of them land on the other worker.
    for (let i = 0; i < 10; i++) assert.equal(await post(secret), 202)
    await eventually(() => stream.of('pong').length === 10, 'the answers')
    for (let i = 0; i < 4; i++) assert.deepEqual([await post('wrong'), await post(secret, 'none-1')], [403, 404])
    stream.close()
  })

  it('close the sockets of a session in all workers', async () => {
    const clients = await joinAll(agent, served.ws, 'closed', SOCKETS)
    await assertDisconnected(clients, 'closed', served.http, ADMIN_TOKEN)
  })
})
