import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { killAtExit } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const MB = 1e6

/** A production install of the version before had 243 MB. */
const MAX_INSTALLED_BYTES = 121 * MB

/** All files below a folder, relative to it. */
const filesOf = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))

const bytesOf = (folder: string): number =>
  filesOf(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)

/** The files of the work tree that a commit would hold, as a fresh clone has them. */
function cloneTo(folder: string): void {
  const { stdout } = spawnSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' })
  for (const file of stdout.split('\0').filter((each) => each !== '' && existsSync(join(ROOT, each)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    cpSync(join(ROOT, file), join(folder, file))
  }
  // The installed packages, as links: only the native library is changed by prepack.
  const [here, there] = [join(ROOT, 'node_modules'), join(folder, 'node_modules')]
  mkdirSync(there)
  for (const name of readdirSync(here)) {
    if (['uWebSockets.js', '.package-lock.json'].includes(name))
      cpSync(join(here, name), join(there, name), { recursive: true })
    else symlinkSync(join(here, name), join(there, name))
  }
  utimesSync(join(there, '.package-lock.json'), new Date(), new Date())
}

const inGit = spawnSync('git', ['rev-parse'], { cwd: ROOT }).status === 0

describe('the package', { skip: inGit ? false : 'needs the files of a git clone' }, () => {
  let folder: string
  let app: string
  let files: string[]
  let installed: { status: number | null; stderr: string }
  const manifest = () => JSON.parse(readFileSync(join(app, 'node_modules/wsproxy-gateway/package.json'), 'utf8'))
  const env = (more: Record<string, string> = {}) => ({ PATH: process.env.PATH, TMPDIR: folder, ...more })
  const wsproxy = (args: string[], more: Record<string, string> = {}) =>
    spawnSync(join(app, 'node_modules/.bin/wsproxy'), args, {
      cwd: app,
      input: 'a fine pass word\n',
      encoding: 'utf8',
      env: env(more),
      timeout: 60_000,
    })

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-package-'))
    const clone = join(folder, 'clone')
    app = join(folder, 'app')
    mkdirSync(clone)
    mkdirSync(app)
    cloneTo(clone)
    const packed = spawnSync('npm', ['pack', '--json', '--loglevel=error'], { cwd: clone, encoding: 'utf8' })
    assert.equal(packed.status, 0, packed.stderr)
    const tarball = readdirSync(clone).find((name) => name.endsWith('.tgz'))
    assert.ok(tarball, packed.stdout)
    writeFileSync(join(app, 'package.json'), '{"name":"app","private":true,"type":"module"}')
    const install = ['install', join(clone, tarball), '--prefer-offline', '--no-audit', '--no-fund']
    installed = spawnSync('npm', install, { cwd: app, encoding: 'utf8' })
    assert.equal(installed.status, 0, installed.stderr)
    files = filesOf(join(app, 'node_modules/wsproxy-gateway'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('holds the compiled gateway with its types and its documents, and neither sources, tests nor source maps', () => {
    for (const file of [
      ...['README.md', 'LICENSE', 'NOTICE', 'CHANGELOG.md', 'SECURITY.md', 'RUNBOOK.md', 'docs/README.md'],
      ...['docs/guide/embedding.md', 'bin/wsproxy.cjs', 'bin/node-version.cjs', 'examples/embed.mjs'],
      ...['dist/src/gateway/create.js', 'dist/src/gateway/create.d.ts', 'src/preflight/http/monitoring.html'],
    ])
      assert.ok(files.includes(file), file)
    const own = files.filter((file) => !file.startsWith('node_modules/'))
    for (const file of own) assert.doesNotMatch(file, /\.map$|(?<!\.d)\.ts$|^(test|dist\/test|bench|tools|scripts)\//)
  })

  it('holds the gateway in one file with the licences of its packages, and finds its checks and pages from there', () => {
    const modules = files.filter((file) => /^dist\/[^c].*js$/.test(file)).sort()
    const entries = ['cli/main', 'gateway/create', 'login/hash-thread'].map((name) => `dist/src/${name}.js`)
    assert.deepEqual(modules, ['dist/load.cjs', 'dist/redis.cjs', ...entries])
    assert.ok(files.includes('dist/wsproxy.bundle') && files.includes('dist/THIRD-PARTY.txt'))
    const { status, stdout, stderr } = wsproxy(['doctor', '--json'], { LISTEN_ADDR: '127.0.0.1:0' })
    assert.equal(status, 0, stderr)
    const names = (JSON.parse(stdout) as { checks: { name: string }[] }).checks.map(({ name }) => name)
    const built = readdirSync(join(ROOT, 'src/preflight/checks')).length
    assert.ok(names.length >= built && names.includes('session-log'), `${names}`)
  })

  it('brings the native binaries of the supported platforms and versions of Node, and no others', () => {
    const binaries = files.filter((file) => file.endsWith('.node')).map((file) => /uws_(.*)\.node$/.exec(file)![1])
    const wanted = ['darwin_arm64', 'darwin_x64', 'linux_arm64', 'linux_x64'].flatMap((each) =>
      ['115', '127'].map((abi) => `${each}_${abi}`),
    )
    assert.deepEqual(binaries.sort(), wanted)
  })

  it('takes at most half of what it took with all binaries, Sentry and OpenTelemetry', (t) => {
    const bytes = bytesOf(join(app, 'node_modules'))
    t.diagnostic(`installed: ${Math.round(bytes / MB)} MB`)
    assert.ok(bytes <= MAX_INSTALLED_BYTES, `${bytes}`)
    // prom-client depends on the small @opentelemetry/api.
    const optional = Object.keys(manifest().peerDependencies).filter((name) => name !== '@opentelemetry/api')
    assert.ok(optional.length >= 4)
    for (const name of optional) assert.ok(!existsSync(join(app, 'node_modules', name)), name)
  })

  it('serves with an embedded Redis, and its own commands make a token, connect, publish and add a user', async () => {
    const started = (args: string[], more: Record<string, string> = {}) => {
      const child = killAtExit(
        spawn(join(app, 'node_modules/.bin/wsproxy'), args, {
          cwd: app,
          env: env(more),
          stdio: ['pipe', 'pipe', 'pipe'],
        }),
      )
      const output = { child, text: '' }
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => {
          output.text += chunk
        })
      return output
    }
    const AUTH_JWT_SECRET = 'a-secret-of-a-test-of-32-bytes-and-more'
    const gateway = started(['serve'], { LISTEN_ADDR: '127.0.0.1:0', AUTH_LOGIN: 'true', AUTH_JWT_SECRET })
    const port = await eventually(() => /"event":"listening".*?"port":(\d+)/.exec(gateway.text)?.[1], 'it to listen')
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok, 'the gateway to reach its Redis')
    const created = wsproxy(['token', 'create', 's1'])
    const token = created.stdout.trim()
    assert.match(token, /^\S{16,}$/, created.stderr)
    const client = started(['connect', `ws://127.0.0.1:${port}/agent-1/ws/s1`], { WSPROXY_TOKEN: token })
    await eventually(() => {
      wsproxy(['publish', 's1', '{"hello":1}'])
      return client.text.includes('{"hello":1}')
    }, 'the frame')
    client.child.kill('SIGKILL')
    // Its password is hashed in a thread, whose file is found from the one file of the gateway.
    assert.equal(wsproxy(['user', 'add', 'ada@example.org']).status, 0)
    const login = await fetch(`http://127.0.0.1:${port}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'ada@example.org', password: 'a fine pass word' }),
    })
    assert.equal(login.status, 200)
    const ended = new Promise((resolve) => gateway.child.once('exit', resolve))
    gateway.child.kill('SIGTERM')
    assert.equal(await ended, 0, gateway.text)
  })

  it('ends with status 2 and the command that installs the packages that a setting needs', () => {
    for (const [name, value, packages] of [
      ['SENTRY_DSN', 'https://key@sentry.example.org/1', /npm install "@sentry\/node@\^\d+/],
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://127.0.0.1:4318', /npm install "@opentelemetry\/api@.*sdk-trace-base@/],
    ] as const) {
      // Without REDIS_URL: an embedded server that has started would keep the process alive.
      const { status, stderr } = wsproxy(['serve'], { [name]: value })
      assert.equal(status, 2, stderr)
      assert.match(stderr, new RegExp(`^${name} is set, but @`, 'm'))
      assert.match(stderr, packages)
    }
  })

  it('has types that a strict program compiles with, without the optional packages', () => {
    writeFileSync(
      join(app, 'embed.ts'),
      `import { createGateway, type Check, type Door, type OwnDoors } from 'wsproxy-gateway'
const check: Check = { name: 'x', priority: 1, appliesTo: 'all', execute: async () => ({ status: 'pass', message: '' }) }
const doors: OwnDoors = ({ path, stats }): Door[] => { const use = [path('/x'), stats('x')]; return use.length > 9 ? [] : [] }
const gateway = await createGateway({ checks: [check], doors })
export const port: number = gateway.listen().port
// @ts-expect-error: there is no such option
await createGateway({ port: 1 })
`,
    )
    writeFileSync(
      join(app, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...{ strict: true, noEmit: true, skipLibCheck: false, module: 'nodenext', target: 'es2023' },
          ...{ lib: ['es2023'], types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
        },
        files: ['embed.ts'],
      }),
    )
    const { status, stdout } = spawnSync(join(ROOT, 'node_modules/.bin/tsc'), [], { cwd: app, encoding: 'utf8' })
    assert.equal(status, 0, stdout)
  })

  it('embeds: the program of the guide imports it by its name', () => {
    const imported = spawnSync(
      process.execPath,
      ['-e', "import('wsproxy-gateway').then(({ createGateway }) => createGateway({ settings: {} }))"],
      { cwd: app, encoding: 'utf8', env: env() },
    )
    assert.equal(imported.status, 1)
    assert.match(imported.stderr, /REDIS_URL is not set/)
  })

  it('checks the version of Node before it loads anything', () => {
    writeFileSync(
      join(app, 'stub.cjs'),
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '24.1.0' } })",
    )
    const args = ['-r', './stub.cjs', 'node_modules/wsproxy-gateway/bin/wsproxy.cjs', '--version']
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: app, encoding: 'utf8' })
    assert.deepEqual(
      [status, stderr],
      [2, 'wsproxy needs Node 20 (20.14 or later) or 22; this is Node 24.1.0. Run: nvm install 22\n'],
    )
  })
})
