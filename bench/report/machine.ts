/** On what the numbers were made. */
import { execFileSync } from 'node:child_process'
import { cpus, release } from 'node:os'

export interface Machine {
  cpus: number
  cpuModel: string
  kernel: string
  node: string
  redis: string
}

export function machine(): Machine {
  const all = cpus()
  const redis = execFileSync('redis-server', ['--version'], { encoding: 'utf8' })
  return {
    cpus: all.length,
    cpuModel: all[0]?.model ?? 'unknown',
    kernel: release(),
    node: process.version,
    redis: /v=(\S+)/.exec(redis)?.[1] ?? redis.trim(),
  }
}
