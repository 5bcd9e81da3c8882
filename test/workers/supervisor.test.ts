import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sessionAuth, sessionDown } from '../../src/contract/names.ts'
import { killCommands, run } from '../support/cli.ts'
import { connect, type TestClient } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { joinAll, runs, serveWorkers } from '../support/workers.ts'

/** A worker that starts beside seven others on a busy machine takes seconds. */
const START_MS = 30_000
const SOCKETS = 40

describe('the workers of wsproxy serve', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })
  after(killCommands)

  const env = (more: Record<string, string> = {}) => ({
    REDIS_URL: redis.url,
    AUTH_TOKEN_MODE: 'reusable',
    DRAIN_WINDOW: '1s',
    SHUTDOWN_GRACE_PERIOD: '10s',
    ...more,
  })

  const openOnes = (clients: readonly TestClient[]) => clients.filter(({ socket }) => socket.readyState === 1)

  it('share the port and one session; a killed one costs its own sockets alone, and is started again', async (t) => {
    const served = await serveWorkers(t, env())
    const clients = await joinAll(agent, served.ws, 'shared', SOCKETS)
    await agent.publish(sessionDown('shared'), '{"n":1}')
    await Promise.all(clients.map((client) => client.find({ n: 1 })))
    for (const client of clients) assert.equal(client.frames.length, 1)

    const before = served.pids()
    assert.deepEqual([...before.keys()], [1, 2])
    process.kill(before.get(2)!, 'SIGKILL')
    await eventually(() => served.events('worker-ended').length === 1, 'the end to be seen')
    await eventually(() => openOnes(clients).length < SOCKETS, 'the sockets of the killed worker to close')
    const left = openOnes(clients)
    assert.ok(left.length > 0 && left.length < SOCKETS, `${left.length} of ${SOCKETS} sockets are open`)
    await agent.publish(sessionDown('shared'), '{"n":2}')
    await Promise.all(left.map((client) => client.find({ n: 2 })))

    const [ended] = served.events('worker-ended')
    assert.deepEqual([ended!.worker, ended!.signal, ended!.failures], [2, 'SIGKILL', 1])
    await eventually(() => served.events('worker-start').length === 3, 'another process')
    await within(served.allListen(), 'the new worker to listen', START_MS)
    assert.equal(served.pids().get(1), before.get(1))
    assert.notEqual(served.pids().get(2), before.get(2))
    const back = await joinAll(agent, served.ws, 'shared', SOCKETS)
    await agent.publish(sessionDown('shared'), '{"n":3}')
    await Promise.all([...left, ...back].map((client) => client.find({ n: 3 })))
    assert.equal(openOnes(left).length, left.length)

    served.command.signal('SIGTERM')
    for (const client of openOnes(clients)) assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.equal(await served.command.status(), 0)
    for (const { pid } of served.events('worker-start')) assert.equal(runs(Number(pid)), false)
    await assert.rejects(fetch(`${served.http}/ready`))
  })

  it('are replaced one by one on SIGHUP, and no upgrade is refused meanwhile', async (t) => {
    const served = await serveWorkers(t, env())
    const clients = await joinAll(agent, served.ws, 'rolled', SOCKETS)
    const old = [...served.pids().values()]
    served.command.signal('SIGHUP')
    let isDone = false
    const done = within(
      eventually(() => served.events('roll-end').length === 1, 'the end of the roll', 2 * START_MS),
      'the roll',
      2 * START_MS,
    ).finally(() => {
      isDone = true
    })
    let dials = 0
    while (!isDone) {
      // Each of them throws where the upgrade is refused, or the connection is reset.
      const client = await connect(`${served.ws}/agent/ws/rolled`, { token: 'token' })
      dials++
      client.socket.terminate()
    }
    await done
    assert.ok(dials > 20, `${dials} dials`)
    for (const pid of old) assert.equal(runs(pid), false)
    assert.equal(new Set([...old, ...served.pids().values()]).size, 4)
    for (const client of clients) {
      assert.equal((await within(client.closed, 'the close')).code, 1001)
      assert.equal(client.values.at(-1)?.command, 'goodbye')
    }
    assert.equal((await fetch(`${served.http}/ready`)).status, 200)
    served.command.signal('SIGTERM')
    assert.equal(await served.command.status(), 0)
  })

  it('end with their supervisor, and cut all sockets on its second signal', async (t) => {
    const long = env({ SHUTDOWN_GRACE_PERIOD: '300s', DRAIN_WINDOW: '100s' })
    const cut = await serveWorkers(t, long)
    await joinAll(agent, cut.ws, 'cut', SOCKETS)
    cut.command.signal('SIGTERM')
    await eventually(() => cut.events('drain-start').length === 2, 'both to drain')
    cut.command.signal('SIGINT')
    assert.equal(await within(cut.command.exited, 'the end', START_MS), 0)

    const orphans = await serveWorkers(t, env())
    const pids = [...orphans.pids().values()]
    orphans.command.signal('SIGKILL')
    await within(
      eventually(() => !pids.some(runs), 'the workers to end', START_MS),
      'their end',
      START_MS,
    )
  })

  it('are in a crash loop: a line says so, and the others serve', async (t) => {
    const served = await serveWorkers(t, env())
    for (let failures = 1; failures <= 5; failures++) {
      await eventually(() => served.events('worker-start').length === failures + 1, `start ${failures}`, START_MS)
      process.kill(served.pids().get(2)!, 'SIGKILL')
    }
    await eventually(() => served.events('worker-crash-loop').length === 1, 'the line', START_MS)
    const [line] = served.events('worker-crash-loop')
    assert.deepEqual([line!.worker, line!.failures, line!.retryMs], [2, 5, 1600])
    assert.deepEqual(
      served.events('worker-ended').map(({ retryMs }) => retryMs),
      [100, 200, 400, 800],
    )
    const clients = await joinAll(agent, served.ws, 'crashed', 4)
    await agent.publish(sessionDown('crashed'), '{"n":1}')
    await Promise.all(clients.map((client) => client.find({ n: 1 })))
    served.command.signal('SIGTERM')
    assert.equal(await served.command.status(), 0)
  })

  it('have their part of the limits, so that all together keep to them', async (t) => {
    const served = await serveWorkers(t, env({ MAX_CONNECTIONS: '20' }))
    await agent.set(sessionAuth('limits'), 'token')
    const dials = await Promise.allSettled(
      Array.from({ length: 60 }, () => connect(`${served.ws}/agent/ws/limits`, { token: 'token' })),
    )
    assert.equal(dials.filter(({ status }) => status === 'fulfilled').length, 20)
    const [limits] = served.events('worker-limits')
    assert.deepEqual([limits!.workers, limits!.maxConnections, limits!.connectRate], [2, 10, 1000])
    assert.deepEqual(served.events('worker-limit-exceeded'), [])
    const settings = await run(['config'], { env: { WORKERS: '2', MAX_CONNECTIONS: '20' } })
    assert.match(settings.stdout, /^MAX_CONNECTIONS +20 +MAX_CONNECTIONS \(10 a worker\)$/m)
    served.command.signal('SIGTERM')
    assert.equal(await served.command.status(), 0)
  })

  it('warn of a limit below their number, since each of them takes one', async (t) => {
    const served = await serveWorkers(t, env({ MAX_CONNECTIONS: '1' }))
    const [line, ...more] = served.events('worker-limit-exceeded')
    assert.deepEqual([line!.setting, line!.limit, line!.workers], ['MAX_CONNECTIONS', 1, 2])
    assert.equal(line!.msg, 'MAX_CONNECTIONS=1 is less than WORKERS=2: each worker takes 1, so all take 2')
    assert.deepEqual(more, [])
  })

  it('do not start on a port that is taken, with one line and status 1', async (t) => {
    const port = await freePort()
    const at = { LISTEN_ADDR: `127.0.0.1:${port}` }
    const served = await serveWorkers(t, env(at))
    const second = await run(['serve'], { env: { WORKERS: '2', ...env(at) } })
    assert.equal(second.status, 1)
    assert.deepEqual(second.complaints.length, 1, second.stderr)
    assert.match(second.stderr, new RegExp(`127\\.0\\.0\\.1:${port}.*Port ${port} belongs to`))
    served.command.signal('SIGTERM')
    assert.equal(await served.command.status(), 0)
  })

  it('are not started by hand', async () => {
    const { status, stderr } = await run(['worker', '1'])
    assert.equal(status, 2)
    assert.match(stderr, /set WORKERS/)
    assert.doesNotMatch((await run(['--help'])).stdout, /worker </)
  })
})
