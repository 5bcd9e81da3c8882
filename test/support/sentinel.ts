import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { type RealRedis, spawnRealRedis, startRealRedis } from './redis.ts'
import { createClient } from './redis-client.ts'
import { type Scope, stopAtEnd } from './scope.ts'
import { eventually } from './wait.ts'

/** A master, a replica, and three Sentinels that watch them: real servers on loopback. */
export interface TestSentinels {
  /** The first master and its replica. */
  readonly servers: readonly [RealRedis, RealRedis]
  /** `host:port,...` of the Sentinels. */
  readonly addresses: string
  /** The master's port, as the first Sentinel reports it. */
  master(): Promise<number>
  /** The master's port, once all Sentinels report the same; undefined until then. */
  agreed(): Promise<number | undefined>
  /** How long a server may be silent before the Sentinels take it for dead. At the start 1 s. */
  downAfter(ms: number): Promise<void>
  /** Requests a fail-over although the master is healthy. */
  failOver(): Promise<void>
  stop(): Promise<void>
}

const SENTINELS = 3
const QUORUM = 2
const MASTER = 'mymaster'
const NO_DELAY = ['--repl-diskless-sync-delay', '0']

async function startSentinels(): Promise<TestSentinels> {
  const master = await startRealRedis(NO_DELAY)
  const replica = await startRealRedis([...NO_DELAY, '--replicaof', '127.0.0.1', String(master.port)])
  const sentinels = await Promise.all(Array.from({ length: SENTINELS }, () => startSentinel(master.port)))
  const [first] = sentinels
  for (const { client } of sentinels) await eventually(() => knowsAll(client), 'the Sentinels to know everybody')
  return {
    servers: [master, replica],
    addresses: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(','),
    master: () => masterOf(first!.client),
    agreed: async () => {
      const ports = new Set(await Promise.all(sentinels.map(({ client }) => masterOf(client))))
      return ports.size === 1 ? [...ports][0] : undefined
    },
    downAfter: async (ms) => {
      const command = ['SENTINEL', 'SET', MASTER, 'down-after-milliseconds', String(ms)]
      await Promise.all(sentinels.map(({ client }) => client.sendCommand(command)))
    },
    failOver: async () => void (await first!.client.sendCommand(['SENTINEL', 'FAILOVER', MASTER])),
    stop: async () => {
      for (const sentinel of sentinels) sentinel.stop()
      await Promise.all([master.stop(), replica.stop()])
    },
  }
}

async function startSentinel(masterPort: number) {
  const folder = mkdtempSync(join(tmpdir(), 'wsproxy-sentinel-'))
  const port = await freePort()
  const file = join(folder, 'sentinel.conf')
  // A Sentinel writes its state into its configuration file, so each has its own.
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER} 1000`,
    `sentinel failover-timeout ${MASTER} 3000`,
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = await spawnRealRedis([file, '--sentinel'])
  const client = await createClient({ url: `redis://127.0.0.1:${port}`, RESP: 2 })
    .on('error', () => {})
    .connect()
  const stop = () => {
    client.destroy()
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  return { port, client, stop }
}

type SentinelClient = Awaited<ReturnType<typeof startSentinel>>['client']

async function masterOf(client: SentinelClient): Promise<number> {
  const [, port] = await client.sendCommand<string[]>(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER])
  return Number(port)
}

/** A fail-over needs a majority of the Sentinels and a known replica. */
async function knowsAll(client: SentinelClient): Promise<boolean> {
  const reply = await client.sendCommand<string[]>(['SENTINEL', 'MASTER', MASTER])
  const field = (name: string) => reply[reply.indexOf(name) + 1]
  return field('num-slaves') === '1' && field('num-other-sentinels') === String(SENTINELS - 1)
}

/** Sentinels that stop when the scope ends. */
export const sentinelsFor = (scope: Scope): Promise<TestSentinels> => stopAtEnd(scope, startSentinels())
