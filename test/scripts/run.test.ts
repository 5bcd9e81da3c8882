import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const COMPILER = `#!/usr/bin/env node
require('node:fs').mkdirSync('dist', { recursive: true })
require('node:fs').appendFileSync('compiled', '.')
`

describe('the build of scripts/run.mjs', () => {
  const clone = mkdtempSync(join(tmpdir(), 'wsproxy-run-'))
  after(() => rmSync(clone, { recursive: true }))

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
  const build = () => {
    execFileSync(process.execPath, ['scripts/run.mjs', 'build'], { cwd: clone })
    return readFileSync(join(clone, 'compiled'), 'utf8').length
  }

  it('compiles after a change of a source, and not after a result of the bench', () => {
    for (const path of ['scripts/run.mjs', 'bin/node-version.cjs', 'package.json'])
      cpSync(join(ROOT, path), join(clone, path))
    for (const folder of ['src', 'test', 'bench', 'examples', 'tools', 'client/src']) write(`${folder}/a.ts`, '')
    for (const path of ['tsconfig.json', 'package-lock.json', 'node_modules/.package-lock.json']) write(path, '{}')
    write('node_modules/.bin/tsc', COMPILER, 0o755)

    assert.equal(build(), 1)
    change('bench/results/soak.jsonl')
    assert.equal(build(), 1, 'a result is not a source')
    change('bench/a.ts')
    assert.equal(build(), 2)
  })
})
