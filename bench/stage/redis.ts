/** A fresh Redis for one round, and what the bench asks it beside publishing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'redis'
import { sessionAuth, sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { nowUs, sleep } from '../load/clock.ts'
import { EPOCH } from '../load/dialects.ts'
import { FIRST_OFFSET } from '../load/payload.ts'
import { runId } from '../load/runs.ts'
import { sessionId, sessionToken } from '../load/sessions.ts'
import { spawnChild } from './children.ts'
import { redisServer } from './installed.ts'
import { acceptsConnections, freePort, whenReady } from './ports.ts'

const READY_MS = 5000
const TOKEN_TTL_S = 600
const SEED_BATCH = 1000

export interface RedisStage {
  port: number
  /** The process id. */
  readonly pid: number
  url: string
  /** Creates a token for each of the sessions 0 to `count - 1`. */
  seedTokens(count: number): Promise<void>
  /** Creates the logs of the sessions 0 to `count - 1`, with one message each. */
  seedLogs(count: number): Promise<void>
  /**
   * Empties these logs and keeps their epochs. The agents of the bench publish without writing a
   * log, and a gateway takes a log that ends before its messages for one that Redis has lost.
   */
  emptyLogs(count: number): Promise<void>
  /** The number of session channels that have a subscriber. */
  subscribedChannels(): Promise<number>
  /**
   * Kills it, and after `downMs` (0 by default) starts it again on the same port. Resolves with the
   * time (`nowUs`) at which it accepted connections.
   */
  restart(downMs?: number): Promise<number>
  /** Creates the runs 0 to `count - 1`, and makes Redis publish changes of hashes. */
  seedRuns(count: number): Promise<void>
  /** The number of hashes read since it was started. */
  hashReads(): Promise<number>
  end(): Promise<void>
}

/**
 * Starts `redis-server` (or `valkey-server`) from the PATH on a free port of 127.0.0.1, in memory
 * only.
 */
export async function startRedis(): Promise<RedisStage> {
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'wsproxy-bench-'))
  const removeDir = () => rmSync(dir, { recursive: true, force: true })
  process.once('exit', removeDir)
  const spawn = () => spawnChild('redis', redisServer()!, settings(port, dir))
  let child = spawn()
  const url = `redis://127.0.0.1:${port}`
  const client = newClient(url)
  const end = async () => {
    if (client.isOpen) client.destroy()
    await child.end()
    removeDir()
    process.off('exit', removeDir)
  }
  try {
    await whenReady(child, () => acceptsConnections(port), READY_MS)
    await client.connect()
  } catch (error) {
    await end()
    throw error
  }
  const subscribedChannels = async () => {
    const channels = (await client.sendCommand(['PUBSUB', 'CHANNELS', 'session:*:down'])) as unknown as string[]
    return channels.length
  }
  const restart = async (downMs = 0) => {
    await child.end('SIGKILL')
    await sleep(downMs)
    child = spawn()
    while (!(await acceptsConnections(port))) await sleep(1)
    return nowUs()
  }
  const hashReads = async () =>
    Number(/^cmdstat_hgetall:calls=(\d+)/m.exec(await client.info('commandstats'))?.[1] ?? 0)
  const seeds = {
    seedTokens: (count: number) => seedTokens(client, count),
    seedLogs: (count: number) => seedLogs(client, count),
    emptyLogs: (count: number) => inBatches(count, (index) => client.del(sessionLog(sessionId(index)))),
    seedRuns: (count: number) => seedRuns(client, count),
  }
  return {
    port,
    get pid() {
      return child.pid
    },
    url,
    restart,
    ...seeds,
    subscribedChannels,
    hashReads,
    end,
  }
}

function settings(port: number, dir: string): string[] {
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--dir', dir]
  // By default Redis disconnects a subscriber that is 32 MB behind. The bench itself limits what is
  // under way, so a slow subject shows as fewer messages a second and not as lost messages.
  const noOutputLimit = ['--client-output-buffer-limit', 'pubsub', '0', '0', '0']
  return ['--port', String(port), '--bind', '127.0.0.1', ...memoryOnly, ...noOutputLimit]
}

function newClient(url: string) {
  return createClient({ url }).on('error', () => {}) // the command in question rejects as well
}

/** The fields of a run in progress. */
const RUN_FIELDS = [
  'build_channels',
  'abstract_watershed',
  'build_landuse',
  'build_soils',
  'build_climate',
  'run_wepp_watershed',
]

async function seedRuns(client: ReturnType<typeof newClient>, count: number): Promise<void> {
  await client.configSet('notify-keyspace-events', 'Khgxe')
  const stamps = RUN_FIELDS.map((name, i) => [`timestamps:${name}`, String(1_700_000_000 + i)])
  const fields = { ...Object.fromEntries(stamps), 'attrs:has_sbs': 'true', 'locked:wepp': 'false', last_modified: '0' }
  await Promise.all(Array.from({ length: count }, (_, index) => client.hSet(runId(index), fields)))
}

const seedTokens = (client: ReturnType<typeof newClient>, count: number): Promise<void> =>
  inBatches(count, (index) =>
    client.set(sessionAuth(sessionId(index)), sessionToken(index), { expiration: { type: 'EX', value: TOKEN_TTL_S } }),
  )

const seedLogs = (client: ReturnType<typeof newClient>, count: number): Promise<void> =>
  inBatches(count, async (index) => {
    const session = sessionId(index)
    await Promise.all([
      client.hSet(sessionMeta(session), 'e', EPOCH),
      client.xAdd(sessionLog(session), `0-${FIRST_OFFSET}`, { m: 'x' }),
    ])
  })

async function inBatches(count: number, each: (index: number) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < count; first += SEED_BATCH)
    await Promise.all(Array.from({ length: Math.min(SEED_BATCH, count - first) }, (_, i) => each(first + i)))
}
