import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Begin } from '../../src/workers/messages.ts'
import { type Ended, WorkerProcess } from '../../src/workers/worker-process.ts'
import { Command, killCommands } from '../support/cli.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { serveWorkers } from '../support/workers.ts'

const START_MS = 30_000

describe('faults of the processes of WORKERS', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  after(killCommands)

  it('a process that cannot be made ends once', async (t) => {
    const node = process.execPath
    t.after(() => {
      process.execPath = node
    })
    process.execPath = '/no/such/node'
    const ends: Ended[] = []
    let isClosed = false
    const nothing = () => {}
    const begin: Begin = { workers: 2, redisUrl: redis.url, listen: 'soon', secret: '' }
    const events = { prepared: nothing, listening: nothing, asks: nothing, answers: nothing, done: nothing }
    const worker = new WorkerProcess(1, begin, {
      ...events,
      ended: (how) => {
        ends.push(how)
        // The `close` of the process follows its `error` within a few turns of the loop.
        setTimeout(() => {
          isClosed = true
        }, 100)
      },
    })
    assert.equal(worker.pid, undefined)
    await eventually(() => isClosed, 'the end')
    assert.deepEqual(ends, [{ status: 1, signal: null }])
  })

  it('a worker that is killed before the instance listens ends it, with a line', async () => {
    const command = new Command(['serve'], { env: { LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: redis.url, WORKERS: '2' } })
    const [, pid] = await command.prints(/"event":"worker-start","worker":1,"pid":(\d+)/)
    process.kill(Number(pid), 'SIGKILL')
    assert.equal(await within(command.exited, 'the end', START_MS), 1)
    const lines = command.lines.filter((line) => line.includes('"event":"workers-not-started"'))
    assert.deepEqual(
      lines.map((line) => [JSON.parse(line).worker, JSON.parse(line).signal]),
      [[1, 'SIGKILL']],
    )
  })

  it('a supervisor that hangs leaves the workers their own answers', async (t) => {
    const served = await serveWorkers(t, { REDIS_URL: redis.url })
    const get = (path: string) =>
      fetch(served.http + path, { headers: { Connection: 'close' }, signal: AbortSignal.timeout(5000) })
    served.command.signal('SIGSTOP')
    try {
      assert.equal((await get('/health')).status, 200)
      assert.equal((await get('/metrics')).status, 503)
    } finally {
      served.command.signal('SIGCONT')
    }
    assert.equal((await get('/metrics')).status, 200)
  })
})
