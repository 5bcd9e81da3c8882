import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SCRIPT = join(ROOT, 'tools/release/release.mjs')

describe('npm run release', () => {
  let folder: string

  const run = (command: string, ...args: string[]) => {
    const name = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.org' }
    const committer = { GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.org' }
    return spawnSync(command, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, ...name, ...committer } })
  }
  const release = (...args: string[]) => run(process.execPath, SCRIPT, ...args)
  const read = (file: string) => readFileSync(join(folder, file), 'utf8')

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'release-'))
    for (const file of ['package.json', 'package-lock.json', 'k8s/chart/Chart.yaml'])
      cpSync(join(ROOT, file), join(folder, file))
    writeFileSync(join(folder, 'CHANGELOG.md'), '# Changelog\n\n## 9.0.0, not released yet\n\n- A thing.\n')
    run('git', 'init', '--quiet')
    run('git', 'add', '.')
    run('git', 'commit', '--quiet', '--message', 'all')
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('sets the version everywhere, dates the changelog, commits and tags', () => {
    const { status, stderr } = release('9.0.0')
    assert.equal(status, 0, stderr)
    assert.equal(JSON.parse(read('package.json')).version, '9.0.0')
    const lock = JSON.parse(read('package-lock.json'))
    assert.deepEqual([lock.version, lock.packages[''].version], ['9.0.0', '9.0.0'])
    assert.match(read('k8s/chart/Chart.yaml'), /^version: 9\.0\.0\nappVersion: 9\.0\.0$/m)
    assert.match(read('CHANGELOG.md'), /^## 9\.0\.0, \d{4}-\d{2}-\d{2}$/m)
    assert.equal(run('git', 'tag').stdout.trim(), 'v9.0.0')
    assert.equal(run('git', 'status', '--porcelain').stdout, '')
  })

  it('changes nothing but versions in the lockfile', () => {
    const before = JSON.parse(read('package-lock.json'))
    release('9.0.0')
    const after = JSON.parse(read('package-lock.json'))
    before.version = after.version
    before.packages[''].version = after.packages[''].version
    assert.deepEqual(after, before)
  })

  it('refuses a version that is not one, is older, or is tagged already', () => {
    for (const version of ['', 'v1', '1.0', '0.0.1']) assert.equal(release(version).status, 2, version)
    run('git', 'tag', 'v9.0.0')
    assert.match(release('9.0.0').stderr, /the tag v9\.0\.0 exists already/)
  })

  it('refuses a tree with changes', () => {
    writeFileSync(join(folder, 'other'), '')
    assert.match(release('9.0.0').stderr, /the working tree has changes/)
  })

  it('refuses a changelog without an unreleased section, and one whose section is empty', () => {
    for (const [text, problem] of [
      ['# Changelog\n', /no section/],
      ['## 9.0.0, not released yet\n\n## 8.0.0\n\n- A.\n', /is empty/],
    ] as const) {
      writeFileSync(join(folder, 'CHANGELOG.md'), text)
      run('git', 'commit', '--all', '--quiet', '--message', 'changelog')
      assert.match(release('9.0.0').stderr, problem)
    }
  })
})
