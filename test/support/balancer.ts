import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './ports.ts'
import { killAtExit } from './processes.ts'
import { atEnd, type Scope, stopAtEnd } from './scope.ts'
import { eventually } from './wait.ts'

const FOLDER = fileURLToPath(new URL('../../../k8s/lb/', import.meta.url))

/** A load balancer that the system has installed, run with the configuration in k8s/lb. */
export interface Balancer {
  readonly name: 'nginx' | 'haproxy'
  readonly file: string
  /** The TRUST_PROXY that gateways behind it need. */
  readonly trustProxy: string
  /** Ends it once its open connections have gone, as the old processes end after a reload. */
  readonly graceful: NodeJS.Signals
  /** Matches its log once its health checks have marked both instances as down. */
  readonly bothDown?: RegExp
  /** The arguments to run in the foreground with the configuration in a folder. */
  readonly args: (folder: string) => string[]
}

export const balancers: readonly Balancer[] = [
  {
    name: 'nginx',
    file: 'nginx.conf',
    trustProxy: 'x-forwarded-for',
    graceful: 'SIGQUIT',
    args: (folder) => ['-p', folder, '-c', 'nginx.conf', '-g', 'daemon off; pid nginx.pid; error_log stderr;'],
  },
  {
    name: 'haproxy',
    file: 'haproxy.cfg',
    trustProxy: 'x-forwarded-for',
    graceful: 'SIGUSR1',
    bothDown: /gateway-1 is DOWN.*gateway-2 is DOWN|gateway-2 is DOWN.*gateway-1 is DOWN/s,
    args: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
  },
]

const PLACES = ['', '/usr/sbin/', '/usr/local/sbin/']

/** For `{ skip }`: false where the balancer is installed, else the reason to skip. */
export function without({ name }: Balancer): string | false {
  return binaryOf(name) ? false : `needs ${name} on the PATH or in /usr/sbin`
}

/** The path of a program that Debian may put where the PATH of a user does not lead. */
export function binaryOf(name: string, versionArgs: readonly string[] = ['-v']): string | undefined {
  return PLACES.map((place) => place + name).find((path) => {
    try {
      execFileSync(path, versionArgs, { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

/** Runs a proxy in the foreground until the end of the scope, and waits until it answers. */
export async function runFront(
  scope: Scope,
  port: number,
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'env'>,
): Promise<{ readonly http: string; readonly ws: string }> {
  const child = killAtExit(spawn(command, args, { stdio: 'ignore', ...options }))
  atEnd(scope, async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  const http = `http://127.0.0.1:${port}`
  const answers = () =>
    fetch(`${http}/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  await eventually(answers, `${command} to answer`)
  return { http, ws: `ws://127.0.0.1:${port}` }
}

/** The shipped configuration. */
export const configurationOf = ({ file }: Balancer): string => readFileSync(join(FOLDER, file), 'utf8')

export interface RunningBalancer {
  readonly http: string
  readonly ws: string
  /** All log lines so far. */
  log(): string
  /** Sends a signal and resolves when the process has ended. */
  signal(signal: NodeJS.Signals): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a balancer in front of two ports of 127.0.0.1. Its configuration is the shipped one, apart
 * from addresses, paths, limits, and what `rewrite` changes.
 */
async function startBalancer(
  balancer: Balancer,
  ports: readonly number[],
  rewrite = (text: string) => text,
): Promise<RunningBalancer> {
  const folder = mkdtempSync(join(tmpdir(), `wsproxy-${balancer.name}-`))
  const port = await freePort()
  const text = rewrite(configurationOf(balancer))
    .replaceAll('gateway-1:8080', `127.0.0.1:${ports[0]}`)
    .replaceAll('gateway-2:8080', `127.0.0.1:${ports[1]}`)
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replace('bind :8080', `bind 127.0.0.1:${port}`)
    // Debian's nginx writes its temporary files where only root may.
    .replace('http {', `http {${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(temporary).join('')}`)
    // This process would give it a socket as stdout, which haproxy and nginx cannot open.
    .replace('/dev/stdout', join(folder, 'access.log'))
    // These limits are for a container; a test machine may allow fewer open files.
    .replace('worker_rlimit_nofile 131072;', '')
    .replace('worker_connections 65536;', 'worker_connections 1024;')
    .replace('maxconn 100000', 'maxconn 700')
  mkdirSync(join(folder, 'temporary'))
  writeFileSync(join(folder, balancer.file), text)
  const child: ChildProcess = killAtExit(
    spawn(binaryOf(balancer.name)!, balancer.args(folder), { stdio: ['ignore', 'pipe', 'pipe'] }),
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      said += chunk
    })
  }
  const http = `http://127.0.0.1:${port}`
  const answers = () =>
    fetch(`${http}/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  const signal = async (name: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(name)
    await exited
  }
  const stop = async () => {
    await signal('SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  }
  await eventually(async () => child.exitCode !== null || answers(), `${balancer.name} to answer`).catch(
    async (error) => {
      await stop()
      throw new Error(`${error.message}: ${said}`)
    },
  )
  if (child.exitCode !== null) throw new Error(`${balancer.name} ended with ${child.exitCode}: ${said}`)
  const accessLog = join(folder, 'access.log')
  const log = () => (existsSync(accessLog) ? readFileSync(accessLog, 'utf8') : said)
  return { http, ws: `ws://127.0.0.1:${port}`, stop, signal, log }
}

const temporary = (what: string): string => `\n  ${what}_temp_path temporary/${what};`

/** A balancer that stops when the scope ends. */
export const balancerFor = (scope: Scope, ...args: Parameters<typeof startBalancer>): Promise<RunningBalancer> =>
  stopAtEnd(scope, startBalancer(...args))
