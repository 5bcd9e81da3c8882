/** The machine and the versions behind the numbers. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'
import { redisServer } from '../stage/installed.ts'
import type { Subject } from '../subject.ts'

export interface Machine {
  cpus: number
  cpuModel: string
  kernel: string
  node: string
  redis: string
  /** The load average of the last minute. */
  load: number
  /** The versions of ours, of the measured libraries and of the programs. */
  packages: Record<string, string>
}

const MEASURED = ['uWebSockets.js', 'redis', 'ws', 'socket.io', '@socket.io/redis-adapter']

/** Describes the machine, with the versions of those subjects that are programs. */
export function machine(subjects: Subject[]): Machine {
  const all = cpus()
  const { version, dependencies, devDependencies } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  )
  const locked: Record<string, string> = { ...dependencies, ...devDependencies }
  const redis = execFileSync(redisServer()!, ['--version'], { encoding: 'utf8' })
  return {
    cpus: all.length,
    cpuModel: all[0]?.model ?? 'unknown',
    kernel: release(),
    node: process.version,
    load: loadavg()[0]!,
    packages: {
      wsproxy: [version, commit()].filter(Boolean).join(' '),
      ...Object.fromEntries(MEASURED.map((name) => [name, locked[name]!.replace(/^npm:.*@/, '')])),
      ...Object.fromEntries(subjects.flatMap(({ name, version }) => (version ? [[name, version()]] : []))),
    },
    redis: /v=(\S+)/.exec(redis)?.[1] ?? redis.trim(),
  }
}

/** The commit, and whether the tree was modified; empty outside a repository. */
function commit(): string {
  const cwd = new URL('../../..', import.meta.url)
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { cwd, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : ''
}

/** The machine in one line. */
export function machineLine({ cpus, cpuModel, kernel, node, redis, load, packages }: Machine): string {
  const libraries = Object.entries(packages).map(([name, version]) => `${name} ${version}`)
  const system = [
    `${cpus} x ${cpuModel}`,
    `Linux ${kernel}`,
    `Node ${node}`,
    `Redis ${redis}`,
    `load ${load.toFixed(1)}`,
  ]
  return [...system, ...libraries].join(', ')
}
