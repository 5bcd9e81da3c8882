import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Command, killCommands } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { type Scope, scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'
import { startWorkers } from '../support/workers.ts'

const START_MS = 30_000
const TOKEN = 'a-token-of-the-operators'
/** Far longer than a test waits. */
const SLOW = { SHUTDOWN_GRACE_PERIOD: '300s', DRAIN_DELAY: '100s' }

/** The file of a secret, at which each process that reads it waits. */
class HeldFile {
  readonly path: string

  constructor(scope: Scope) {
    this.path = join(temporaryFolder(scope).TMPDIR, 'token')
    this.#hold()
  }

  /** A named pipe of its own for each reader. */
  #hold(): void {
    const { status, stderr } = spawnSync('mkfifo', [`${this.path}.next`])
    assert.equal(status, 0, String(stderr))
    renameSync(`${this.path}.next`, this.path)
  }

  /** Waits for the next reader. Returns its end of the pipe. */
  async reader(): Promise<number> {
    const opened = await eventually(() => {
      try {
        // Fails without a reader.
        return { end: openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK) }
      } catch {
        return undefined
      }
    }, 'a process to read its settings')
    return opened.end
  }

  /** Lets this reader go on, and holds the next one. */
  release(reader: number): void {
    this.#hold()
    this.#give(reader)
  }

  /** Lets this reader and all later ones go on. */
  open(reader: number): void {
    writeFileSync(`${this.path}.open`, TOKEN)
    renameSync(`${this.path}.open`, this.path)
    this.#give(reader)
  }

  #give(reader: number): void {
    writeSync(reader, TOKEN)
    closeSync(reader)
  }
}

describe('signals that come in the start of wsproxy serve', () => {
  const suite = scopeOf(after)
  let redis: TestRedis
  before(async () => {
    redis = await redisFor(suite)
  })
  after(killCommands)

  const env = (file: HeldFile) => ({ LISTEN_ADDR: '127.0.0.1:0', REDIS_URL: redis.url, ADMIN_TOKEN_FILE: file.path })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
    it(`${signal} ends it with 0, without a listener and without the delay of a drain`, async (t) => {
      const file = new HeldFile(t)
      const command = new Command(['serve'], { env: { ...env(file), ...SLOW } })
      const reader = await file.reader()
      command.signal(signal)
      file.open(reader)
      assert.equal(await command.status(), 0)
      assert.doesNotMatch(command.stdout, /"event":"listening"/)
      assert.deepEqual(command.complaints, [])
    })
  }

  it('a second one ends a start that hangs', async (t) => {
    const file = new HeldFile(t)
    const hangs = join(temporaryFolder(t).TMPDIR, 'hangs.mjs')
    writeFileSync(hangs, 'console.error("hangs")\nawait new Promise((resolve) => setTimeout(resolve, 1e6))\n')
    const command = new Command(['serve'], { env: { ...env(file), RUN_CHECKLIST_MODULE: hangs } })
    file.open(await file.reader())
    await command.says(/^hangs$/m)
    command.signal('SIGINT')
    command.signal('SIGTERM')
    assert.equal(await command.status(), 0)
  })

  it('SIGTERM ends a supervisor with 0, and no worker starts', async (t) => {
    const file = new HeldFile(t)
    const served = startWorkers(t, { ...env(file), ...SLOW })
    const reader = await file.reader()
    served.command.signal('SIGTERM')
    file.open(reader)
    assert.equal(await served.command.status(), 0)
    assert.deepEqual(served.events('worker-start'), [])
  })

  it('SIGHUP lets a supervisor replace its workers once they listen', async (t) => {
    const file = new HeldFile(t)
    const served = startWorkers(t, env(file))
    const reader = await file.reader()
    served.command.signal('SIGHUP')
    file.open(reader)
    await eventually(() => served.events('roll-end').length === 1, 'the end of the roll', 2 * START_MS)
    assert.equal(served.events('roll-later').length, 1)
    assert.equal(served.events('worker-start').length, 4)
    served.command.signal('SIGTERM')
    assert.equal(await within(served.command.exited, 'the end', START_MS), 0)
  })

  it('SIGINT of a terminal does not end a worker, and its SIGTERM counts once with the order to stop', async (t) => {
    const file = new HeldFile(t)
    const served = startWorkers(t, { ...env(file), ...SLOW })
    let reader = await file.reader()
    // The supervisor reads the file before it starts the first worker.
    while (served.events('worker-start').length === 0) {
      file.release(reader)
      reader = await file.reader()
    }
    const pid = served.pids().get(1)!
    process.kill(pid, 'SIGINT')
    process.kill(pid, 'SIGTERM')
    served.command.signal('SIGTERM')
    file.open(reader)
    assert.equal(await served.command.status(), 0)
    assert.deepEqual(served.events('worker-killed'), [])
    assert.deepEqual(served.events('workers-not-started'), [])
  })
})
