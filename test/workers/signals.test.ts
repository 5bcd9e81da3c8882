import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { killCommands } from '../support/cli.ts'
import type { TestClient } from '../support/client.ts'
import { type Client, redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { joinAll, runs, type ServedWorkers, serveWorkers, startWorkers } from '../support/workers.ts'

/** A worker that starts on a busy machine takes seconds. */
const START_MS = 30_000
const SOCKETS = 20

describe('signals that meet each other at the workers', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  let agent: Client
  before(async () => {
    redis = await redisFor(suite)
    agent = await redis.client()
  })
  after(killCommands)

  const env = () => ({
    REDIS_URL: redis.url,
    AUTH_TOKEN_MODE: 'reusable',
    DRAIN_WINDOW: '2s',
    SHUTDOWN_GRACE_PERIOD: '20s',
  })

  /** Waits for the end of all processes. No socket was cut, and no worker was killed. */
  async function endsDrained(served: ServedWorkers, clients: readonly TestClient[], workers: number): Promise<void> {
    assert.equal(await within(served.command.exited, 'the end', START_MS), 0)
    for (const client of clients) assert.equal((await within(client.closed, 'the close')).code, 1001)
    assert.deepEqual(
      served.events('drain-end').map(({ cut }) => cut),
      Array.from({ length: workers }, () => 0),
    )
    assert.equal(served.events('worker-start').length, workers)
    assert.deepEqual(served.events('worker-killed'), [])
  }

  it('SIGTERM in a roll drains the replaced worker on, and no further one starts', async (t) => {
    const served = await serveWorkers(t, env())
    const clients = await joinAll(agent, served.ws, 'roll-and-stop', SOCKETS)
    served.command.signal('SIGHUP')
    await eventually(() => served.events('drain-start').length === 1, 'the old worker to drain', START_MS)
    served.command.signal('SIGTERM')
    await endsDrained(served, clients, 3)
  })

  it('SIGTERM to every process, workers first, drains once', async (t) => {
    const served = await serveWorkers(t, env())
    const clients = await joinAll(agent, served.ws, 'all-processes', SOCKETS)
    for (const pid of served.pids().values()) process.kill(pid, 'SIGTERM')
    await eventually(() => served.events('drain-start').length === 2, 'both to drain')
    served.command.signal('SIGTERM')
    await endsDrained(served, clients, 2)
  })

  it('SIGTERM to every process while the first worker starts ends with 0', async (t) => {
    const served = startWorkers(t, env())
    const pid = Number((await eventually(() => served.events('worker-start')[0], 'the start', START_MS)).pid)
    // Before it runs any code of the project.
    process.kill(pid, 'SIGSTOP')
    served.command.signal('SIGTERM')
    await eventually(() => served.events('workers-stop').length === 1, 'the stop')
    process.kill(pid, 'SIGTERM')
    process.kill(pid, 'SIGCONT')
    assert.equal(await within(served.command.exited, 'the end', START_MS), 0)
  })

  it('SIGKILL of the supervisor in a drain leaves the workers to their drain', async (t) => {
    const served = await serveWorkers(t, env())
    const clients = await joinAll(agent, served.ws, 'killed-in-a-drain', SOCKETS)
    served.command.signal('SIGTERM')
    await eventually(() => served.events('drain-start').length === 2, 'both to drain')
    served.command.signal('SIGKILL')
    for (const client of clients) assert.equal((await within(client.closed, 'the close', START_MS)).code, 1001)
    await eventually(() => ![...served.pids().values()].some(runs), 'the workers to end')
  })

  it('SIGHUP before all workers listen replaces them once they do', async (t) => {
    const served = startWorkers(t, env())
    await eventually(() => served.events('worker-start').length > 0, 'the first worker to start', START_MS)
    served.command.signal('SIGHUP')
    await eventually(() => served.events('roll-later').length === 1, 'the line of the roll', START_MS)
    assert.deepEqual(served.events('listening'), [])
    await eventually(() => served.events('roll-end').length === 1, 'the end of the roll', 2 * START_MS)
    assert.equal(served.events('worker-start').length, 4)
    served.command.signal('SIGTERM')
    assert.equal(await within(served.command.exited, 'the end', START_MS), 0)
  })

  it('SIGHUP in a roll lets a second roll follow, and says so', async (t) => {
    const served = await serveWorkers(t, env())
    served.command.signal('SIGHUP')
    await eventually(() => served.events('worker-start').length === 3, 'the successor to start', START_MS)
    served.command.signal('SIGHUP')
    await eventually(() => served.events('roll-later').length === 1, 'the line of the second roll', START_MS)
    await eventually(() => served.events('roll-end').length === 1, 'the end of the rolls', 2 * START_MS)
    await eventually(() => served.events('roll-end').length === 2, 'the end of the second roll', 2 * START_MS)
    assert.equal(served.events('worker-start').length, 6)
  })

  it('SIGKILL of a worker whose successor starts leaves one process in its place', async (t) => {
    const served = await serveWorkers(t, env())
    const [old] = served.pids().values()
    served.command.signal('SIGHUP')
    await eventually(() => served.events('worker-start').length === 3, 'the successor to start', START_MS)
    process.kill(old!, 'SIGKILL')
    await eventually(() => served.events('roll-end').length === 1, 'the end of the roll', START_MS)
    const running = () => served.events('worker-start').filter(({ pid }) => runs(Number(pid)))
    await eventually(() => running().length === 2, 'two processes to be left')
    assert.deepEqual(
      running()
        .map(({ worker }) => worker)
        .sort(),
      [1, 2],
    )
    served.command.signal('SIGTERM')
    assert.equal(await within(served.command.exited, 'the end', START_MS), 0)
  })
})
