/** Who is measured, as data. A new peer is one entry more. */
import type { DialectName } from './load/dialects.ts'
import { TOPIC_RULE } from './load/live.ts'
import { NCHAN } from './peers/nchan.ts'
import { WEBDIS } from './peers/webdis.ts'

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

export const OURS: Subject = {
  name: 'ours',
  file: new URL('../src/cli/main.js', import.meta.url),
  flags: ['--max-semi-space-size=4'],
  args: ['serve'],
  // Off: the peer has no such limit, and all sockets are of one address.
  env: { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', LIVE_TOPICS: TOPIC_RULE },
  ready: 'health',
}

export const SUBJECTS: Subject[] = [
  OURS,
  { name: 'ws-redis', file: new URL('./peers/ws-redis.js', import.meta.url), args: [], env: {}, ready: 'port' },
  {
    name: 'socket.io',
    file: new URL('./peers/socket-io.js', import.meta.url),
    args: [],
    env: {},
    ready: 'port',
    dialect: 'socket.io',
  },
  NCHAN,
  WEBDIS,
]
