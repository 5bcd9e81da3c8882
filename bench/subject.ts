/** The shape of who is measured. */
import type { DialectName } from './load/dialects.ts'

/** Where a program has to listen, and what is there for it. */
export interface Place {
  port: number
  redisPort: number
  /** A folder of its own, removed afterwards. */
  dir: string
}

export interface Program {
  command: string
  args: string[]
  /** Files that it reads from `dir`, by their names. */
  files: Record<string, string>
}

export interface Subject {
  name: string
  /** What runs: a compiled file of the project, or any other program. */
  file?: URL
  /** Of Node, for `file`. */
  flags?: string[]
  args?: string[]
  program?: (place: Place) => Program
  /** In addition to REDIS_URL, LISTEN_ADDR and what all have in common. */
  env: Record<string, string>
  /** How it shows that it is ready: 200 on /health, or an open port. */
  ready: 'health' | 'port'
  /** How its clients and agents speak; `plain` without it. */
  dialect?: DialectName
  /** Why it cannot run here, if it cannot. */
  missing?: () => string | undefined
  /** Of a program that is no package of npm. */
  version?: () => string
  /** Scenarios, by the beginning of their names, that it cannot do, and why. */
  cannot?: Record<string, string>
}
