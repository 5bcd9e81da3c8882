import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { killAtExit } from './processes.ts'
import { createClient } from './redis-client.ts'
import { type Scope, stopAtEnd } from './scope.ts'
import { eventually } from './wait.ts'

/** A running Redis. */
export interface TestRedis {
  readonly url: string
  readonly port: number
  /** Connects a client, which closes when the server stops. */
  client(): Promise<Client>
  stop(): Promise<void>
}

/** A server process, which can be killed and started again on its port. */
export interface RealRedis extends TestRedis {
  readonly process: ChildProcess
  kill(signal?: NodeJS.Signals): Promise<void>
  restart(): Promise<void>
}

export type Client = ReturnType<typeof newClient>

/**
 * For every client of node-redis in tests. By default it drops a command that has waited for 5 s to
 * be sent, so on a loaded machine a test published fewer messages than it expected.
 */
export const PATIENT = { timeout: 60_000 }
const newClient = (url: string) => createClient({ url, commandOptions: PATIENT })

/** The server to test instead of the one on the PATH, for `npm run matrix`. */
const CHOSEN = process.env.TEST_REDIS_SERVER

const runs = (name: string) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const BINARY = CHOSEN || ['redis-server', 'valkey-server'].find(runs)
// A run that skips its tests would look like a server that passes them.
if (CHOSEN && !runs(CHOSEN)) throw new Error(`TEST_REDIS_SERVER: cannot run ${JSON.stringify(CHOSEN)}`)

/** For `{ skip }`: false where a redis-server is installed, else the reason to skip. */
export const withoutRealRedis: string | false = BINARY ? false : 'needs redis-server or valkey-server on the PATH'

/** Starts a real server where one is installed, else the embedded one. */
export const startRedis = async (): Promise<TestRedis> => (BINARY ? startRealRedis() : startEmbedded())

async function startEmbedded(): Promise<TestRedis> {
  // Where a real server is installed, no test file needs to load this one.
  const { startEmbeddedRedis } = await import('../../src/redis/servers/embedded.ts')
  const server = await startEmbeddedRedis(0, '')
  const clients = new Clients(server.url)
  let stopped: Promise<void> | undefined
  const stop = () => {
    clients.close()
    stopped ??= server.close()
    return stopped
  }
  return { url: server.url, port: Number(new URL(server.url).port), client: () => clients.open(), stop }
}

/**
 * Starts a real server without persistence, on a free port by default, with extra arguments such as
 * `--requirepass x`.
 */
export async function startRealRedis(args: readonly string[] = [], port?: number): Promise<RealRedis> {
  if (!BINARY) throw new Error(String(withoutRealRedis))
  const folder = mkdtempSync(join(tmpdir(), 'wsproxy-redis-'))
  const at = port ?? (await freePort())
  const url = `redis://127.0.0.1:${at}`
  const clients = new Clients(url)
  const common = ['--port', String(at), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]
  const start = () => spawnRealRedis([...common, '--notify-keyspace-events', 'KEA', ...args])
  let child = await start()
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  return {
    url,
    port: at,
    get process() {
      return child
    },
    client: () => clients.open(),
    kill,
    restart: async () => {
      await kill()
      child = await start()
    },
    stop: async () => {
      clients.close()
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** `startRedis`, stopped when the scope ends. */
export const redisFor = (scope: Scope): Promise<TestRedis> => stopAtEnd(scope, startRedis())

/** The embedded server, stopped when the scope ends. */
export const embeddedRedisFor = (scope: Scope): Promise<TestRedis> => stopAtEnd(scope, startEmbedded())

/** `startRealRedis`, stopped when the scope ends. */
export const realRedisFor = (scope: Scope, ...args: Parameters<typeof startRealRedis>): Promise<RealRedis> =>
  stopAtEnd(scope, startRealRedis(...args))

/** Runs the server's program with these arguments and waits until it accepts connections. */
export async function spawnRealRedis(args: readonly string[]): Promise<ChildProcess> {
  if (!BINARY) throw new Error(String(withoutRealRedis))
  const child = killAtExit(spawn(BINARY, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const isThere = () => /Ready to accept connections|Sentinel ID is/.test(output)
  await eventually(() => isThere() || child.exitCode !== null, 'redis-server to start')
  if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}: ${output}`)
  return child
}

/** The clients of one server. They reconnect when it restarts. */
class Clients {
  readonly #url: string
  readonly #open: Client[] = []

  constructor(url: string) {
    this.#url = url
  }

  async open(): Promise<Client> {
    const client = newClient(this.#url)
    client.on('error', () => {})
    this.#open.push(client)
    await client.connect()
    return client
  }

  close(): void {
    for (const client of this.#open) if (client.isOpen) client.destroy()
  }
}
