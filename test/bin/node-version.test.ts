import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const { scripts, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
  engines: { node: string }
}

describe('on another version of Node', () => {
  let folder: string
  before(() => {
    // A fresh clone: nothing is installed and nothing compiled.
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-version-'))
    for (const each of ['package.json', 'package-lock.json', 'bin', 'scripts'])
      cpSync(join(ROOT, each), join(folder, each), { recursive: true })
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs this Node as if it were `version`. */
  const runAs = (version: string, args: readonly string[], cwd = folder) => {
    const stub = join(folder, 'stub.cjs')
    writeFileSync(
      stub,
      `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`,
    )
    return spawnSync(process.execPath, ['-r', stub, ...args], { cwd, encoding: 'utf8' })
  }
  /** What the npm script of a name runs, after the word "node". */
  const script = (name: string) => scripts[name]!.split(' ').slice(1)

  it('each npm script, the bare script and the command end with status 2 and one line, before anything is installed', () => {
    const ours = Object.keys(scripts).filter((name) => /scripts\/run\.mjs/.test(scripts[name]!))
    assert.ok(ours.length >= 10)
    for (const args of [...ours.map(script), ['scripts/run.mjs', 'build'], ['bin/wsproxy.cjs', 'serve']]) {
      const { status, stdout, stderr } = runAs('18.20.4', args)
      assert.equal(status, 2, args.join(' '))
      assert.equal(stdout, '')
      assert.equal(stderr, 'wsproxy needs Node 20 (20.14 or later) or 22; this is Node 18.20.4. Run: nvm install 22\n')
    }
    assert.ok(!existsSync(join(folder, 'node_modules')) && !existsSync(join(folder, 'dist')))
  })

  it('the versions of engines pass, and no others', () => {
    assert.equal(engines.node, '>=20.14 <23')
    for (const version of ['20.14.0', '20.20.2', '21.0.0', '22.0.0', '22.23.3'])
      assert.equal(runAs(version, ['bin/node-version.cjs']).status, 0, version)
    for (const version of ['0.12.18', '8.17.0', '20.13.1', '23.0.0', '24.1.0', '26.0.0'])
      assert.equal(runAs(version, ['bin/node-version.cjs']).status, 2, version)
  })

  it('a clone on Node 24 gets the command that installs the official library, after which it runs', () => {
    const { stderr } = runAs('24.1.0', ['bin/node-version.cjs'])
    const [, spec] = /npm pkg set "dependencies\[uWebSockets\.js\]=(\S+)" && npm install$/.exec(stderr.trim()) ?? []
    assert.ok(spec, stderr)
    assert.ok(readFileSync(join(ROOT, 'docs/guide/quickstart.md'), 'utf8').includes(spec), 'the page has the same line')
    const set = spawnSync('npm', ['pkg', 'set', `dependencies[uWebSockets.js]=${spec}`], { cwd: folder })
    assert.equal(set.status, 0)
    assert.equal(runAs('24.1.0', ['bin/node-version.cjs']).status, 0)
    assert.equal(runAs('18.1.0', ['bin/node-version.cjs']).status, 2)
  })

  it('the files that check it are ES5', () => {
    const newer = /=>|`|\b(let|const|class|async|await|import|export|of)\b|\.\.\.|\?\.|\?\?|\*\*(?!\/)|,\s*[)\]}]/
    for (const file of ['bin/node-version.cjs', 'bin/wsproxy.cjs']) {
      const code = readFileSync(join(ROOT, file), 'utf8')
        .replace(/^#!.*/, '')
        .replace(/\/\*[\s\S]*?\*\//g, '')
        .replace(/\/\/.*$/gm, '')
        .replace(/'[^']*'/g, "''")
      assert.doesNotMatch(code, newer, file)
    }
  })
})
