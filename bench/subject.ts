/** The interface of what is measured. */
import type { DialectName } from './load/dialects.ts'

/** Where a program has to listen, and what it can use. */
export interface Place {
  port: number
  redisPort: number
  /** A folder of its own, removed afterwards. */
  dir: string
}

export interface Program {
  command: string
  args: string[]
  /** Files that it reads from `dir`, by name. */
  files: Record<string, string>
}

export interface Subject {
  name: string
  /** What runs: a compiled file of the project, or any other program. */
  file?: URL
  /** Options of Node, for `file`. */
  flags?: string[]
  args?: string[]
  program?: (place: Place) => Program
  /** In addition to REDIS_URL, LISTEN_ADDR and the variables that all subjects share. */
  env: Record<string, string>
  /** How it shows that it is ready: 200 on /health, or an open port. */
  ready: 'health' | 'port'
  /** The dialect of its clients and agents; `plain` by default. */
  dialect?: DialectName
  /** Why it cannot run here; undefined when it can. */
  missing?: () => string | undefined
  /** It takes part only when it is named. */
  onRequest?: true
  /** Builds it, before the first round of a run. Throws `Impossible` when that fails. */
  build?: () => void
  /** The version of a program outside npm. */
  version?: () => string
  /** The scenarios that it cannot do, by the beginning of their names, each with the reason. */
  cannot?: Record<string, string>
}
