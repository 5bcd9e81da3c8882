import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { killAtExit } from './processes.ts'
import { atEnd, type Scope } from './scope.ts'

/** The first pod of k8s/redis-sentinel on loopback, started by the scripts of its ConfigMap. */
export interface SentinelExample {
  readonly password: string
  /** What redis-cli prints for a command of the server. */
  redis(command: readonly string[], password?: string): string
  /** What redis-cli prints for a command of the Sentinel. */
  sentinel(command: readonly string[], password?: string): string
  /** The command lines of both processes. */
  commandLines(): string[]
}

/** Runs the scripts, in which only names, ports and folders are replaced. */
export async function sentinelExample(
  scope: Scope,
  scripts: Readonly<Record<string, string>>,
): Promise<SentinelExample> {
  const folder = mkdtempSync(join(tmpdir(), 'wsproxy-sentinel-example-'))
  const [port, sentinelPort] = [await freePort(), await freePort()]
  const password = 'password0of0the0example'
  for (const [name, text] of Object.entries(scripts)) {
    const local = text
      .replaceAll('$(hostname).redis', '127.0.0.1')
      .replaceAll('redis-0.redis', '127.0.0.1')
      .replaceAll('26379', String(sentinelPort))
      .replaceAll('6379', String(port))
      .replaceAll('/data/', `${folder}/`)
      .replaceAll('/scripts/', `${folder}/`)
      .replace('requirepass', `port ${name === 'redis.sh' ? port : sentinelPort}\nbind 127.0.0.1\nrequirepass`)
    writeFileSync(join(folder, name), local)
  }
  const children = ['redis.sh', 'sentinel.sh'].map((name) =>
    killAtExit(
      spawn('sh', [join(folder, name)], { env: { ...process.env, REDIS_PASSWORD: password }, stdio: 'ignore' }),
    ),
  )
  atEnd(scope, () => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  const ask = (at: number, command: readonly string[], REDISCLI_AUTH?: string) => {
    const env = { ...process.env, ...(REDISCLI_AUTH !== undefined && { REDISCLI_AUTH }) }
    const { stdout, stderr } = spawnSync('redis-cli', ['-p', String(at), ...command], { env, encoding: 'utf8' })
    return stdout + stderr
  }
  return {
    password,
    redis: (command, secret) => ask(port, command, secret),
    sentinel: (command, secret) => ask(sentinelPort, command, secret),
    commandLines: () => children.map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')),
  }
}

/** For `{ skip }`: false where the scripts can run, else the reason to skip. */
export function withoutExample(): string | false {
  if (process.platform !== 'linux') return 'reads /proc'
  try {
    for (const name of ['redis-server', 'redis-cli']) execFileSync(name, ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return 'needs redis-server and redis-cli on the PATH'
  }
}
