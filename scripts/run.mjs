#!/usr/bin/env node
/**
 * Runs the project's commands on a fresh clone with nothing but Node: installs what is missing or older than the lockfile, compiles what
 * has changed, then does what was asked. Plain Node, no packages: they may not be there yet.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => join(root, 'node_modules', '.bin', name)
const modified = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0)

/** Runs a command with our terminal; ends the process with its status when it fails. */
function run(command, args, { quiet = false, env = {} } = {}) {
  const options = { cwd: root, stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit', env: { ...process.env, ...env } }
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, options)
  if (status === 0) return
  if (quiet) process.stderr.write(`${stdout}${stderr}`)
  if (error) console.error(error.message)
  process.exit(status ?? (signal ? 1 : 2))
}

function install() {
  if (modified('node_modules/.package-lock.json') >= modified('package-lock.json')) return
  console.error('installing dependencies (npm install)')
  // Not npm ci: it fails where the lockfile lacks a binary of a platform that some registry does not carry, which no other platform needs.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
  // npm may keep an older time on it; what counts is that it is there now.
  utimesSync(join(root, 'node_modules', '.package-lock.json'), new Date(), new Date())
}

const newest = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((time, entry) => Math.max(time, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs), 0)

function build() {
  const sources = Math.max(
    modified('tsconfig.json'),
    modified('package-lock.json'),
    ...['src', 'test', 'bench', 'examples', 'tools'].map(newest),
  )
  if (modified('dist/.built') >= sources) return
  // What was deleted or renamed must not live on as a test or a module.
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  run(bin('tsc'), ['--project', root])
  writeFileSync(join(root, 'dist/.built'), '')
}

const node = (file, args = [], flags = []) =>
  run(process.execPath, ['--enable-source-maps', ...flags, join(root, 'dist', file), ...args])

/** Of the gateway, as in the first line of its main file: a small young generation, whose collections are short (bench/NOTES.md). */
const GATEWAY_FLAGS = ['--max-semi-space-size=4']

/** Test files at once: they wait more than they work. */
const AT_ONCE = Math.ceil(availableParallelism() * 1.5)

/** The compiled test files that import a module of the tests. */
const usersOf = (module) =>
  readdirSync(join(root, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => readFileSync(join(root, 'dist/test', file), 'utf8').includes(module))

const tests = (names, env = {}) => {
  const all = readdirSync(join(root, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
    .map((file) => join('dist/test', file))
  if (all.length === 0) {
    console.error(`no test file has ${names.join(' or ')} in its name`)
    process.exit(2)
  }
  // One that has failed leaves its servers behind, for which its process would wait.
  const flags = ['--enable-source-maps', '--test', '--test-force-exit', `--test-concurrency=${AT_ONCE}`]
  run(process.execPath, [...flags, ...all], { env })
}

const commands = {
  build: () => {},
  wsproxy: (args) => node('src/cli/main.js', args, GATEWAY_FLAGS),
  demo: (args) => node('examples/demo.js', args),
  bench: (args) => node('bench/main.js', args),
  generate: () => node('tools/generate.js'),
  'contract:diff': (args) => node('tools/contract/diff.js', args),
  chaos: (args) => node('test/chaos/main.js', args),
  /** Property tests from a random seed with twenty times the runs, then chaos and garbage from random seeds. */
  nightly: ([minutes = '30']) => {
    const env = { PROPERTY_SEED: String(randomInt(2 ** 31)), PROPERTY_RUNS: '20' }
    console.error(`PROPERTY_SEED=${env.PROPERTY_SEED} PROPERTY_RUNS=${env.PROPERTY_RUNS}`)
    tests(usersOf('support/property.js'), env)
    node('test/chaos/main.js', ['--minutes', minutes])
    node('test/chaos/main.js', ['--garbage', '200000'])
  },
  /** Everything that CI checks; with names, only the test files that have one of them in their path. */
  test: (args) => {
    if (args.length === 0) {
      run(bin('biome'), ['check', '--error-on-warnings', '.'])
      run(bin('knip'), [])
      run(process.execPath, ['tools/prose/check.mjs'])
    }
    tests(args)
  },
}

const [name = '', ...args] = process.argv.slice(2)
if (!Object.hasOwn(commands, name)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(commands).join(' | ')} [arguments]`)
  process.exit(2)
}
install()
build()
commands[name](args)
