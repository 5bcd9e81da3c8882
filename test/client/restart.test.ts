import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { type Session, type SocketClass, session } from '../../client/src/index.ts'
import { peakOverMean } from '../support/arrivals.ts'
import { gatewayProcess } from '../support/gateway-process.ts'
import { freePorts } from '../support/ports.ts'
import { killAtExit } from '../support/processes.ts'
import { realRedisFor, withoutRealRedis } from '../support/redis.ts'
import { atEnd, scopeOf } from '../support/scope.ts'
import { secretSigner, tokenOf } from '../support/tokens.ts'
import { eventually } from '../support/wait.ts'

/** `RESTART_CLIENTS=5000 RESTART_RATE=20000` measures what bench/NOTES.md says. */
const CLIENTS = Number(process.env.RESTART_CLIENTS ?? 100)
const MESSAGES_PER_SECOND = Number(process.env.RESTART_RATE ?? 1000)
const SECONDS = Number(process.env.RESTART_SECONDS ?? 4)
const DIALS_AT_ONCE = 50
const BIN_MS = 100
const PATIENCE_MS = 120_000
const AGENT = fileURLToPath(new URL('restart-agent.js', import.meta.url))

/** What one client has got: the messages arrive in order, and each one once. */
interface Reader {
  readonly chat: Session
  got: number
  doubled: number
  skipped: number
  gaps: number
  /** When it dialled after the restart. */
  cameAt: number
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
    await gatewayProcess(suite, ports[1]!, env)
    let isSwitched = false
    // Stands in for a load balancer, which would need two sockets more for each client.
    const Balanced = new Proxy(WebSocket, {
      construct: (Class, [url, protocols]) =>
        new Class(String(url).replace('balancer', `127.0.0.1:${ports[isSwitched ? 1 : 0]}`), protocols),
    }) as unknown as SocketClass

    function open(id: string): Reader {
      const token = tokenOf(secretSigner(secret), { session_id: id })
      const chat = session('ws://balancer', {
        agent: 'agent-1',
        id,
        token: () => token,
        from: 'start',
        storage: null,
        WebSocket: Balanced,
      })
      const reader: Reader = { chat, got: 0, doubled: 0, skipped: 0, gaps: 0, cameAt: 0 }
      chat.on('gap', () => reader.gaps++)
      chat.on('state', ({ name }) => {
        if (isSwitched && name === 'connecting' && reader.cameAt === 0) reader.cameAt = Date.now()
      })
      chat.on('message', ({ data }) => {
        if (data.n <= reader.got) reader.doubled++
        else reader.skipped += data.n - reader.got - 1
        reader.got = Math.max(reader.got, data.n)
      })
      atEnd(suite, () => chat.close())
      return reader
    }

    const readers: Reader[] = []
    while (readers.length < CLIENTS) {
      for (let i = 0; i < DIALS_AT_ONCE && readers.length < CLIENTS; i++) readers.push(open(`many-${readers.length}`))
      await eventually(() => readers.every(({ chat }) => chat.state.name === 'open'), 'the sessions', PATIENCE_MS)
    }

    const words = [redis.url, CLIENTS, MESSAGES_PER_SECOND, SECONDS].map(String)
    const agent = killAtExit(spawn(process.execPath, [AGENT, ...words], { stdio: ['ignore', 'pipe', 'inherit'] }))
    let wroteMs = ''
    agent.stdout!.on('data', (text) => (wroteMs += text))
    const ended = once(agent, 'close')
    await sleep((SECONDS * 1000) / 2)
    isSwitched = true
    first.kill('SIGTERM')
    await ended
    const wroteAt = Date.now()
    const sum = (name: 'doubled' | 'skipped' | 'gaps' | 'got') => readers.reduce((all, each) => all + each[name], 0)
    const total = MESSAGES_PER_SECOND * SECONDS
    await eventually(() => sum('got') >= total, 'the last messages', PATIENCE_MS)
    await eventually(() => readers.every(({ cameAt }) => cameAt > 0), 'every client to come back', PATIENCE_MS)
    const peak = peakOverMean(
      readers.map(({ cameAt }) => cameAt),
      BIN_MS,
    )
    t.diagnostic(
      `${sum('got')} messages, written in ${wroteMs} ms, to ${CLIENTS} clients; the last one came ` +
        `${Date.now() - wroteAt} ms after the last write; arrivals' peak over mean ${peak.toFixed(2)}`,
    )
    assert.deepEqual([sum('got'), sum('skipped'), sum('doubled'), sum('gaps')], [total, 0, 0, 0])
  })
})
