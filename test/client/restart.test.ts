import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { peakOverMean } from '../support/arrivals.ts'
import { gatewayProcess } from '../support/gateway-process.ts'
import { freePorts } from '../support/ports.ts'
import { killAtExit } from '../support/processes.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'
import type { Order, Report } from './restart-clients.ts'

/** `RESTART_CLIENTS=5000 RESTART_RATE=20000 RESTART_SECONDS=16`: bench/NOTES.md has its figures. */
const CLIENTS = Number(process.env.RESTART_CLIENTS ?? 100)
const MESSAGES_PER_SECOND = Number(process.env.RESTART_RATE ?? 1000)
const SECONDS = Number(process.env.RESTART_SECONDS ?? 4)
/** `RESTART_BY=kill`: the gateway dies without a drain. */
const SIGNAL = process.env.RESTART_BY === 'kill' ? 'SIGKILL' : 'SIGTERM'
const PROCESSES = 2
const DIALS_AT_ONCE = 50
const BINS_MS = [100, 500]
const PATIENCE_MS = 120_000
const JIFFY_MS = 10
const LOOK_MS = 200
const fileBeside = (name: string) => fileURLToPath(new URL(name, import.meta.url))

const order = (share: ChildProcess, what: Order) => share.send(what)

async function reports(shares: readonly ChildProcess[]): Promise<Report> {
  const all = await Promise.all(
    shares.map(async (share) => {
      const answer = once(share, 'message')
      order(share, { what: 'report' })
      return (await answer)[0] as Report
    }),
  )
  const sum = (of: (each: Report) => number) => all.reduce((total, each) => total + of(each), 0)
  return {
    open: sum(({ open }) => open),
    got: sum(({ got }) => got),
    doubled: sum(({ doubled }) => doubled),
    skipped: sum(({ skipped }) => skipped),
    gaps: sum(({ gaps }) => gaps),
    cameAt: all.flatMap(({ cameAt }) => cameAt),
    dueAt: all.flatMap(({ dueAt }) => dueAt),
  }
}

/** CPU time that the processes have used so far, in ms. It needs `/proc`. */
class CpuTimes {
  readonly #pids: Readonly<Record<string, number>>
  readonly #first = new Map<string, number>()
  /** A process that has ended keeps its last value. */
  readonly #last = new Map<string, number>()

  constructor(pids: Readonly<Record<string, number>>) {
    this.#pids = pids
  }

  async look(): Promise<void> {
    for (const [name, pid] of Object.entries(this.#pids)) {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
      // The name of the program may have spaces in it.
      const [user, system] = text.slice(text.lastIndexOf(')')).split(' ').slice(12)
      if (user === undefined) continue
      const ms = (Number(user) + Number(system)) * JIFFY_MS
      if (!this.#first.has(name)) this.#first.set(name, ms)
      this.#last.set(name, ms)
    }
  }

  toString(): string {
    return [...this.#last].map(([name, ms]) => `${name} ${ms - this.#first.get(name)!} ms`).join(', ')
  }
}

describe('many clients of a gateway that restarts', { skip: withoutRealRedis }, () => {
  const suite = scopeOf(after)

  it('get every message of an agent once', async (t) => {
    const secret = randomBytes(24).toString('hex')
    const redis = await realRedisFor(suite)
    const ports = await freePorts(2)
    const limits = { CONNECT_RATE: '0', CONNECT_RATE_PER_IP: '0', REFUSED_RATE_PER_IP: '0', MAX_CONNECTIONS: '10000' }
    const env = { REDIS_URL: redis.url, AUTH_JWT_SECRET: secret, ...limits }
    const first = await gatewayProcess(suite, ports[0]!, env)
    const second = await gatewayProcess(suite, ports[1]!, env)

    const shares = Array.from({ length: PROCESSES }, () =>
      killAtExit(fork(fileBeside('restart-clients.js'), [String(ports[0])])),
    )
    atEnd(suite, () => {
      for (const share of shares) share.kill()
    })
    for (let opened = 0; opened < CLIENTS; ) {
      const ids: string[] = []
      while (ids.length < DIALS_AT_ONCE && opened < CLIENTS) ids.push(`many-${opened++}`)
      const tokens = ids.map((session_id) => tokenOf(secretSigner(secret), { session_id }))
      order(shares[Math.floor(opened / DIALS_AT_ONCE) % PROCESSES]!, { what: 'open', ids, tokens })
      await eventually(async () => (await reports(shares)).open === opened, 'the sessions', PATIENCE_MS)
    }

    const admin = await redis.client()
    const redisPid = Number(/process_id:(\d+)/.exec(await admin.info('server'))?.[1])
    const pids = { redis: redisPid, first: first.pid!, second: second.pid! }
    const times = new CpuTimes({ ...pids, 'half the clients': shares[0]!.pid! })
    const looking = setInterval(() => void times.look(), LOOK_MS)
    atEnd(suite, () => clearInterval(looking))
    await times.look()
    const words = [redis.port, CLIENTS, MESSAGES_PER_SECOND, SECONDS].map(String)
    const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit']
    const agent = killAtExit(spawn(process.execPath, [fileBeside('restart-agent.js'), ...words], { stdio }))
    let wrote = ''
    agent.stdout!.on('data', (text) => (wrote += text))
    const ended = once(agent, 'close')
    // A session that has no message yet has no log, and reports the restart as a gap.
    await sleep(1000 * Math.max(SECONDS / 4, CLIENTS / MESSAGES_PER_SECOND))
    for (const share of shares) order(share, { what: 'switch', port: ports[1]! })
    first.kill(SIGNAL)
    await ended
    const wroteAt = Date.now()
    const total = MESSAGES_PER_SECOND * SECONDS
    await eventually(async () => (await reports(shares)).got >= total, 'the last messages', PATIENCE_MS)
    const lastMs = Date.now() - wroteAt
    await eventually(async () => (await reports(shares)).cameAt.length === CLIENTS, 'every client', PATIENCE_MS)
    const { got, skipped, doubled, gaps, cameAt, dueAt } = await reports(shares)
    const [wroteMs, agentMs] = wrote.split(' ')
    t.diagnostic(
      `${got} messages, written in ${wroteMs} ms, to ${CLIENTS} clients; the last one came ${lastMs} ms after the last write`,
    )
    for (const binMs of BINS_MS) {
      const [came, due] = [cameAt, dueAt].map((times) => peakOverMean(times, binMs).toFixed(2))
      t.diagnostic(`arrivals' peak over mean in ${binMs} ms: ${came}; as the goodbyes asked: ${due}`)
    }
    t.diagnostic(`arrivals over ${Math.max(...cameAt) - Math.min(...cameAt)} ms`)
    t.diagnostic(`CPU time: agent ${agentMs} ms, ${times}`)
    assert.deepEqual([got, skipped, doubled, gaps], [total, 0, 0, 0])
  })
})
