import { TOPIC_RULE } from './load/live.ts'

/** Who is measured, as data. A new peer is one entry more. */

export interface Subject {
  name: string
  /** The program, compiled. */
  file: URL
  args: string[]
  /** In addition to REDIS_URL, LISTEN_ADDR and what all have in common. */
  env: Record<string, string>
  /** How it shows that it is ready: 200 on /health, or an open port. */
  ready: 'health' | 'port'
}

export const OURS: Subject = {
  name: 'ours',
  file: new URL('../src/cli/main.js', import.meta.url),
  args: ['serve'],
  // Off: the peer has no such limit, and all sockets are of one address.
  env: { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', LIVE_TOPICS: TOPIC_RULE },
  ready: 'health',
}

export const SUBJECTS: Subject[] = [
  OURS,
  { name: 'ws-redis', file: new URL('./peers/ws-redis.js', import.meta.url), args: [], env: {}, ready: 'port' },
]
