/** What is measured, as data. A new peer is one more entry. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { TOPIC_RULE } from './load/live.ts'
import { GO, RUST } from './peers/native.ts'
import { NCHAN } from './peers/nchan.ts'
import { WEBDIS } from './peers/webdis.ts'
import type { Subject } from './subject.ts'

/** Another build of the gateway, such as an image: BENCH_MAIN=<its dist/src/cli/main.js>. */
const { BENCH_MAIN } = process.env

export const OURS: Subject = {
  name: 'ours',
  file: BENCH_MAIN ? pathToFileURL(resolve(BENCH_MAIN)) : new URL('../src/cli/main.js', import.meta.url),
  flags: ['--max-semi-space-size=4'],
  args: ['serve'],
  // Off: the peer has no such limits, and all sockets come from one address.
  env: { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', LIVE_TOPICS: TOPIC_RULE },
  ready: 'health',
}

/** The same with two workers on one port. The bench counts the CPU of all its processes. */
const TWO_WORKERS: Subject = { ...OURS, name: 'ours-2', env: { ...OURS.env, WORKERS: '2' }, onRequest: true }

/** The same with clients of `wsproxy.v2` and numbered messages. */
const NUMBERED: Subject = {
  ...OURS,
  name: 'numbered',
  dialect: 'numbered',
  // A ticket is a frame that is not of the bench.
  env: { ...OURS.env, RESUME_TICKET_TTL: '0' },
  cannot: {
    handshake: 'the bench measures a cold process with the plain dialect only',
    upstream: 'clients publish the same frames as with ours',
    start: 'it is the same program',
  },
}

/** The same with clients of server-sent events, which need a token that is good more than once. */
export const SSE: Subject = {
  ...NUMBERED,
  name: 'sse',
  dialect: 'sse',
  env: { ...NUMBERED.env, AUTH_TOKEN_MODE: 'reusable' },
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
  GO,
  RUST,
  NUMBERED,
  SSE,
  TWO_WORKERS,
]
