import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { killAtExit } from '../support/processes.ts'
import { eventually, within } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** It compiles until the file `hold` is removed. */
const COMPILER = `#!/usr/bin/env node
const { appendFileSync, existsSync, mkdirSync } = require('node:fs')
mkdirSync('dist', { recursive: true })
appendFileSync('compiled', '.')
while (existsSync('hold')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
appendFileSync('done', '.')
`

const withoutProc = existsSync('/proc/self/stat') ? false : 'needs /proc'

describe('the build of scripts/run.mjs', () => {
  let clone: string
  beforeEach(() => {
    clone = mkdtempSync(join(tmpdir(), 'wsproxy-run-'))
    for (const path of ['scripts/run.mjs', 'scripts/lock.mjs', 'bin/node-version.cjs', 'package.json'])
      cpSync(join(ROOT, path), join(clone, path))
    for (const folder of ['src', 'test', 'bench', 'examples', 'tools', 'client/src']) write(`${folder}/a.ts`, '')
    for (const path of ['tsconfig.json', 'package-lock.json', 'node_modules/.package-lock.json']) write(path, '{}')
    write('node_modules/.bin/tsc', COMPILER, 0o755)
  })
  afterEach(() => {
    rmSync(join(clone, 'hold'), { force: true })
    rmSync(clone, { recursive: true })
  })

  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(clone, path)), { recursive: true })
    writeFileSync(join(clone, path), text, { mode })
  }
  /** Dates a file after the last build, whatever the resolution of the file system's clock is. */
  const change = (path: string) => {
    write(path, 'changed')
    const time = new Date(Date.now() + 60_000)
    utimesSync(join(clone, path), time, time)
  }
  const count = (file: string) => (existsSync(join(clone, file)) ? readFileSync(join(clone, file), 'utf8').length : 0)
  const build = () => {
    execFileSync(process.execPath, ['scripts/run.mjs', 'build'], { cwd: clone })
    return count('compiled')
  }
  /** A build beside this process, and what it says. */
  const start = () => {
    const child = killAtExit(spawn(process.execPath, ['scripts/run.mjs', 'build'], { cwd: clone }))
    const started = { child, says: '', ended: once(child, 'close') }
    child.stderr.on('data', (chunk) => {
      started.says += chunk
    })
    return started
  }
  /** Starts a build that compiles until `hold` is removed. */
  const startHeld = async () => {
    write('hold', '')
    const held = start()
    await eventually(() => count('compiled') === 1, 'the compiler to run')
    return held
  }

  it('compiles after a change of a source, and not after a result of the bench', () => {
    assert.equal(build(), 1)
    change('bench/results/soak.jsonl')
    assert.equal(build(), 1, 'a result is not a source')
    change('bench/a.ts')
    assert.equal(build(), 2)
  })

  it('compiles again after a change of a source while it compiled', async () => {
    const held = await startHeld()
    write('src/a.ts', 'changed')
    rmSync(join(clone, 'hold'))
    assert.deepEqual(await within(held.ended, 'the first build'), [0, null])
    assert.equal(build(), 2)
    assert.equal(build(), 2)
  })

  it('waits for another one, and does not compile once more what that has compiled', async () => {
    const first = await startHeld()
    const others = [start(), start()]
    for (const other of others)
      await eventually(() => /waiting for process \d+/.test(other.says), 'the other one to wait')
    rmSync(join(clone, 'hold'))
    for (const each of [first, ...others]) assert.deepEqual(await within(each.ended, 'the end'), [0, null])
    assert.equal(count('compiled'), 1)
  })

  it('waits no longer for one that was killed', async () => {
    const killed = await startHeld()
    const next = start()
    await eventually(() => next.says.includes(`waiting for process ${killed.child.pid}`), 'the next one to wait')
    killed.child.kill('SIGKILL')
    await eventually(() => count('compiled') === 2, 'the next one to compile')
    rmSync(join(clone, 'hold'))
    assert.deepEqual(await within(next.ended, 'the end'), [0, null])
    // The compiler of the killed one has no parent any more.
    await eventually(() => count('done') === 2, 'both compilers to end')
    assert.equal(build(), 2)
  })

  it('does not wait for a process that has the pid of one that was killed', { skip: withoutProc }, async () => {
    write(`.building/1-${process.pid}-1`, '')
    const next = start()
    assert.deepEqual(await within(next.ended, 'the end'), [0, null])
    assert.equal(next.says, '')
    assert.equal(existsSync(join(clone, `.building/1-${process.pid}-1`)), false)
  })

  it('leaves the next one alone with a compiler that has failed', () => {
    write('node_modules/.bin/tsc', '#!/usr/bin/env node\nprocess.exit(1)\n', 0o755)
    assert.throws(build)
    write('node_modules/.bin/tsc', COMPILER, 0o755)
    assert.equal(build(), 1)
  })
})
