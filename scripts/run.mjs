#!/usr/bin/env node
/**
 * Runs the project's commands on a fresh clone with nothing but Node. It installs packages when
 * they are missing or older than the lockfile, compiles changed sources, then runs the command.
 * Plain Node, no packages, because they may not be installed yet.
 */
import '../bin/node-version.cjs'
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { alone } from './lock.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => join(root, 'node_modules', '.bin', name)
const modified = (path) => (existsSync(join(root, path)) ? statSync(join(root, path)).mtimeMs : 0)

/** Runs a command with this terminal. Ends the process with the command's status when it fails. */
function run(command, args, { quiet = false, env = {} } = {}) {
  const options = { cwd: root, stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit', env: { ...process.env, ...env } }
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, options)
  if (status === 0) return
  if (quiet) process.stderr.write(`${stdout}${stderr}`)
  if (error) console.error(error.message)
  process.exit(status ?? (signal ? 1 : 2))
}

const isInstalled = () => modified('node_modules/.package-lock.json') >= modified('package-lock.json')

function install() {
  console.error('installing dependencies (npm install)')
  // Not npm ci: it removes what is installed, and it refuses the changed line of package.json with
  // which newer versions of Node run.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
  // npm may keep an older modification time on this file, which would install again at every start.
  utimesSync(join(root, 'node_modules', '.package-lock.json'), new Date(), new Date())
}

/** The bench and the soak write here while they run. Their results are no sources. */
const results = join(root, 'bench/results')

const newest = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => !path.startsWith(results))
    .reduce((time, path) => Math.max(time, statSync(path).mtimeMs), 0)

const isBuilt = () =>
  modified('dist/.built') >=
  Math.max(
    modified('tsconfig.json'),
    modified('package-lock.json'),
    ...['src', 'test', 'bench', 'examples', 'tools', 'client/src'].map(newest),
  )

function build() {
  const startedAt = new Date()
  // Stale output of a deleted or renamed file must not run as a test or a module.
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  run(bin('tsc'), ['--project', root])
  const built = join(root, 'dist/.built')
  writeFileSync(built, '')
  // A source that was changed meanwhile may not have been compiled.
  utimesSync(built, startedAt, startedAt)
}

/** Commands that start at the same time must not install or compile beside each other. */
function prepare() {
  if (isInstalled() && isBuilt()) return
  alone(join(root, '.building'), () => {
    if (!isInstalled()) install()
    if (!isBuilt()) build()
  })
}

const node = (file, args = [], flags = []) =>
  run(process.execPath, ['--enable-source-maps', ...flags, join(root, 'dist', file), ...args])

/**
 * Flags of the gateway, as in the first line of bin/wsproxy.cjs: a small young generation has short
 * collections (bench/NOTES.md).
 */
const GATEWAY_FLAGS = ['--max-semi-space-size=4']

/** The number of test files at once. A file waits for more than half of its time. */
const AT_ONCE = Math.ceil(availableParallelism() * 2)

/** Far longer than any test file takes. */
const FILE_TIMEOUT_MS = 600_000

/** The compiled test files that import the given module. */
const usersOf = (module) =>
  readdirSync(join(root, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => readFileSync(join(root, 'dist/test', file), 'utf8').includes(module))

/**
 * Makes the gateway that tests start, and returns the arguments of Node for it. It is joined and
 * has the flags of the package, and V8's code as in the image: it starts with half of the CPU that
 * the compiled modules take, and tests start it hundreds of times.
 */
function joined() {
  const folder = join(root, '.joined')
  const isFresh = () => modified('.joined/wsproxy.bundle.cache') > modified('dist/.built')
  const make = () => {
    rmSync(folder, { recursive: true, force: true })
    const filter = (path) => !path.endsWith('.map')
    for (const name of ['src', 'client'])
      cpSync(join(root, 'dist', name), join(folder, name), { recursive: true, filter })
    run(process.execPath, [join(root, 'tools/bundle.mjs'), folder])
    rmSync(join(folder, 'client'), { recursive: true })
    run(process.execPath, [...GATEWAY_FLAGS, join(root, 'scripts/code-cache.mjs'), folder], { quiet: true })
  }
  if (!isFresh()) alone(join(root, '.building'), () => isFresh() || make())
  return [...GATEWAY_FLAGS, join(folder, 'src/cli/main.js')]
}

const tests = (names, env = {}) => {
  const all = readdirSync(join(root, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .filter((file) => names.length === 0 || names.some((name) => `test/${file}`.includes(name.replace(/\.ts$/, ''))))
    .map((file) => join('dist/test', file))
  if (all.length === 0) {
    console.error(`no test file has ${names.join(' or ')} in its path`)
    process.exit(2)
  }
  // Ends a test file that hangs. Not --test-force-exit: with it a file exits before its last
  // results have passed the pipe, and the report lacks them (nodejs/node issue 64833).
  const flags = ['--enable-source-maps', '--test', `--test-timeout=${FILE_TIMEOUT_MS}`, `--test-concurrency=${AT_ONCE}`]
  const gateway = { TEST_GATEWAY: JSON.stringify(joined()), TEST_REDIS_CLIENT: join(root, '.joined/redis.cjs') }
  run(process.execPath, [...flags, ...all], { env: { ...env, ...gateway } })
}

/** Binaries of the native library for what is not supported: Windows, arm32, Node 18 and 21. */
const UNSUPPORTED_BINARY = /^uws_(win32_.*|linux_arm_.*|.*_(108|120))\.node$/

/**
 * Prepares the package: types for programs that embed the gateway, its modules in a few files
 * (tools/bundle.mjs; the next command compiles anew), and a native library without the
 * binaries that are never loaded. npm has no rule that leaves files out of a bundled dependency, so
 * they are removed from node_modules; "npm ci" brings them back.
 */
function prepack() {
  run(bin('tsc'), ['--project', join(root, 'tsconfig.types.json')])
  run(process.execPath, [join(root, 'tools/bundle.mjs')])
  const binaries = join(root, 'node_modules/uWebSockets.js/dist/bin')
  for (const name of readdirSync(binaries)) if (UNSUPPORTED_BINARY.test(name)) rmSync(join(binaries, name))
}

const commands = {
  build: () => {},
  prepack,
  wsproxy: (args) => node('src/cli/main.js', args, GATEWAY_FLAGS),
  demo: (args) => node('examples/demo.js', args),
  bench: (args) => node('bench/main.js', args),
  soak: (args) => node('bench/soak/main.js', args),
  generate: () => node('tools/generate.js'),
  'contract:diff': (args) => node('tools/contract/diff.js', args),
  chaos: (args) => node('test/chaos/main.js', args),
  /**
   * Runs property tests from a random seed with twenty times the runs, then fuzzing, chaos,
   * clients that come back, and garbage, from random seeds.
   */
  nightly: ([minutes = '30']) => {
    const env = { PROPERTY_SEED: String(randomInt(2 ** 31)), PROPERTY_RUNS: '20' }
    console.error(`PROPERTY_SEED=${env.PROPERTY_SEED} PROPERTY_RUNS=${env.PROPERTY_RUNS}`)
    tests(usersOf('support/property.js'), env)
    tests(['test/identity/oracle.test'], { ...env, JWT_MUTATIONS: '1000000' })
    node('test/fuzz/main.js', ['--minutes', String(Math.max(1, Number(minutes) / 4))])
    node('test/chaos/main.js', ['--minutes', minutes])
    node('test/chaos/seam/main.js', ['--minutes', minutes])
    node('test/chaos/main.js', ['--garbage', '200000'])
  },
  /** Runs the tests of Redis, or the named test files, against the server TEST_REDIS_SERVER. */
  matrix: (args) => {
    const server = process.env.TEST_REDIS_SERVER
    if (!server) {
      console.error('TEST_REDIS_SERVER: must be the path of a redis-server or valkey-server')
      process.exit(2)
    }
    run(server, ['--version'])
    tests(args.length === 0 ? ['test/redis/'] : args)
  },
  /**
   * Runs everything that CI checks. With names, runs only the test files whose path contains one of
   * them.
   */
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
prepare()
commands[name](args)
