import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { redisFor, type TestRedis } from '../support/redis.ts'
import { scopeOf } from '../support/scope.ts'
import { eventually, within } from '../support/wait.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

interface Image {
  readonly folder: string
  readonly base: string
  readonly workdir: string
  readonly env: Record<string, string>
  readonly labels: Record<string, string>
  readonly ports: number[]
  readonly user: string
  readonly stopSignal: NodeJS.Signals
  readonly healthcheck: string[]
  readonly entrypoint: string[]
  readonly command: string[]
  readonly bytes: { own: number; total: number; limit: number }
}

/** Every file of a folder with its modification time. */
function snapshot(folder: string): Map<string, number> {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile())
  return new Map(files.map((entry) => join(entry.parentPath, entry.name)).map((path) => [path, statSync(path).mtimeMs]))
}

describe('the image', () => {
  const suite = scopeOf(after)
  let folder: string
  let image: Image
  let redis: TestRedis
  let gateway: ChildProcess
  let port: number
  let log = ''
  let files: Map<string, number>

  /** Starts what the Docker engine would start, as its user where this process may. */
  const options = () => {
    const [uid, gid] = image.user.split(':').map(Number)
    const unprivileged = process.getuid?.() === 0 ? { uid: uid!, gid: gid! } : {}
    return {
      cwd: join(image.folder, image.workdir),
      env: { ...image.env, LISTEN_ADDR: `127.0.0.1:${port}`, REDIS_URL: redis.url },
      ...unprivileged,
    }
  }
  const program = ([node, ...args]: string[]): [string, string[]] => {
    assert.equal(node, '/nodejs/bin/node', 'the only program of the base image')
    return [process.execPath, args]
  }
  /** The exit status of the health check, without the given argument. */
  const healthcheck = (without?: string): Promise<number> => {
    const [file, args] = program(image.healthcheck.filter((each) => each !== without))
    return new Promise((resolve) => {
      const child = execFile(file, args, options(), () => resolve(child.exitCode ?? -1))
    })
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wsproxy-image-'))
    chmodSync(folder, 0o755)
    const made = spawnSync(process.execPath, [join(ROOT, 'scripts/image.mjs'), folder], { encoding: 'utf8' })
    assert.equal(made.status, 0, made.stderr + made.stdout)
    image = JSON.parse(made.stdout)
    files = snapshot(image.folder)
    redis = await redisFor(suite)
    port = await freePort()
    const [file, args] = program([...image.entrypoint, ...image.command])
    gateway = spawn(file, args, { ...options(), stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [gateway.stdout, gateway.stderr]) {
      stream?.on('data', (chunk) => {
        log += chunk
      })
    }
    await eventually(() => log.includes('"event":"listening"') || gateway.exitCode !== null, 'the gateway to listen')
    assert.equal(gateway.exitCode, null, log)
  })
  after(async () => {
    gateway?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  it('contains only the native binary of its platform and Node version', () => {
    const binaries = [...files.keys()].filter((path) => path.endsWith('.node'))
    const { platform, arch, versions } = process
    const names = binaries.map((path) => path.split('/').at(-1)!)
    assert.deepEqual(
      names.filter((name) => !name.startsWith('argon2.')),
      [`uws_${platform}_${arch}_${versions.modules}.node`],
    )
    assert.equal(names.length, 2, `${names}`)
  })

  it('holds the gateway and its packages in one file, with their licences, and starts from the code that V8 made of it', () => {
    const app = join(image.folder, image.workdir)
    const scripts = [...files.keys()].filter((path) => path.startsWith(join(app, 'dist')) && /\.c?js$/.test(path))
    assert.deepEqual(scripts.map((path) => path.slice(app.length + 1)).sort(), [
      'dist/load.cjs',
      'dist/redis.cjs',
      'dist/src/cli/main.js',
      'dist/src/gateway/create.js',
      'dist/src/login/hash-thread.js',
    ])
    const licences = readFileSync(join(image.folder, 'licenses/THIRD-PARTY.txt'), 'utf8')
    for (const name of ['pino', 'prom-client', 'commander', 'redis', '@redis/client', 'ws', 'fast-jwt'])
      assert.match(licences, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(`, 'm'), name)
    const rejected = "require('./dist/load.cjs').script.cachedDataRejected"
    const flags = image.entrypoint.slice(1, -1)
    assert.equal(flags.length, 1)
    assert.ok(image.healthcheck.includes(flags[0]!), 'the code counts only under the same flags')
    const { stdout } = spawnSync(process.execPath, [...flags, '-p', rejected], { cwd: app, encoding: 'utf8' })
    assert.equal(stdout, 'false\n')
  })

  it('contains no compiler, no tests, no embedded Redis and no sources, and of the optional packages those for traces', () => {
    const app = join(image.folder, image.workdir)
    assert.deepEqual(readdirSync(app).sort(), ['dist', 'node_modules', 'package.json', 'src'])
    const packages = readdirSync(join(app, 'node_modules')).sort()
    assert.deepEqual(packages, ['@node-rs', '@opentelemetry', 'uWebSockets.js'])
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    for (const name of [...Object.keys(devDependencies), 'js-redis-server']) {
      assert.equal(existsSync(join(app, 'node_modules', name)), name.startsWith('@opentelemetry/'), name)
    }
    for (const path of files.keys()) assert.doesNotMatch(path, /\.(map|ts|tsbuildinfo)$/)
  })

  it('holds the command that lets the thread for passwords wait for everything else, with its licence', () => {
    const { stdout } = spawnSync(join(image.folder, 'usr/bin/chrt'), ['--version'], { encoding: 'utf8' })
    assert.match(stdout, /^chrt from util-linux/)
    assert.match(readFileSync(join(image.folder, 'licenses/util-linux.txt'), 'utf8'), /GPL/)
  })

  it('is smaller than its limit, compressed and with its base', () => {
    assert.ok(image.bytes.own > 2e6, 'it holds something')
    assert.ok(image.bytes.total <= image.bytes.limit, JSON.stringify(image.bytes))
  })

  it('is based on Node 22 with glibc, runs without root, and has its labels', () => {
    assert.match(image.base, /nodejs22-debian12:nonroot@sha256:/)
    assert.notEqual(Number(image.user.split(':')[0]), 0)
    assert.equal(image.labels['org.opencontainers.image.licenses'], 'MIT')
    assert.equal(image.stopSignal, 'SIGTERM')
    assert.deepEqual(image.ports, [Number(image.env.LISTEN_ADDR?.split(':')[1])])
  })

  it('serves a session: a client connects and receives what its agent publishes', async () => {
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/ready`)).ok, 'the gateway to be ready')
    const agent = await redis.client()
    await agent.set('session:s1:auth', 'token')
    const client = await connect(`ws://127.0.0.1:${port}/a/ws/s1`, { token: 'token' })
    await agent.publish('session:s1:down', '{"hello":1}')
    assert.deepEqual(await client.take(1), ['{"hello":1}'])
    await client.close()
  })

  it('starts and stops with tracing', async () => {
    const [file, args] = program([...image.entrypoint, ...image.command])
    const { env, ...rest } = options()
    const OTEL = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', LISTEN_ADDR: '127.0.0.1:0' }
    const traced = spawn(file, args, { ...rest, env: { ...env, ...OTEL }, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    traced.stdout.on('data', (chunk) => {
      said += chunk
    })
    await eventually(() => said.includes('"event":"listening"') || traced.exitCode !== null, 'it to listen')
    const exited = once(traced, 'exit')
    traced.kill('SIGTERM')
    assert.deepEqual(await within(exited, 'its end'), [0, null])
  })

  it('loads modules of Node that few starts need at their first use', async () => {
    const listing = join(folder, 'listing.cjs')
    const rare = /^NativeModule (assert|fs\/promises|https|tls|zlib)$/
    writeFileSync(
      listing,
      `const rare = () => process.moduleLoadList.filter((each) => ${rare}.test(each))
      process.on('exit', () => console.log('loaded', rare().join()))`,
    )
    const [file, args] = program([...image.entrypoint, ...image.command])
    const { env, ...rest } = options()
    const child = spawn(file, ['-r', listing, ...args], {
      ...rest,
      env: { ...env, LISTEN_ADDR: '127.0.0.1:0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.on('data', (chunk) => {
      said += chunk
    })
    await eventually(() => said.includes('"link":"subscriber"') || child.exitCode !== null, 'it to be ready')
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    assert.deepEqual(await within(exited, 'its end'), [0, null])
    assert.match(said, /^loaded $/m)
  })

  it('is healthy for its own executable, and alive but not healthy without Redis', async () => {
    assert.equal(await healthcheck(), 0)
    assert.equal(await healthcheck('--alive'), 0)
    await redis.stop()
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/health`)).status === 503, 'it to notice')
    assert.equal(await healthcheck(), 0)
    assert.equal(await healthcheck('--alive'), 1)
  })

  it('drains on its stop signal, exits with status 0, and has written no file', async () => {
    const exited = once(gateway, 'exit')
    gateway.kill(image.stopSignal)
    assert.deepEqual(await within(exited, 'its end'), [0, null])
    assert.deepEqual(snapshot(image.folder), files)
  })
})
