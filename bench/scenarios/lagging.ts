/**
 * One client of `wsproxy.v2` reads a tenth of what its agent writes: what that costs in memory, and
 * how long it takes to catch up. Every message has to come.
 */
import { createClient } from 'redis'
import { WebSocket } from 'ws'
import { sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { SAY_TEXT } from '../../src/redis/session-say.ts'
import { metricOf, Watch } from '../acts/slow.ts'
import { sleep } from '../load/clock.ts'
import { sessionId, sessionToken } from '../load/sessions.ts'
import { Faulty, refuseIfSlow, type Scenario, type Settings, type Values } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const MESSAGE_BYTES = 8 * 1024
const READ_SHARE = 0.1
const STEP_MS = 10
const CATCH_UP_MS = 120_000
/** The log keeps all, since the client has to catch up with it. */
const LIMITS = ['3600', '1000000', String(2 ** 31)]

async function round(stage: Stage, settings: Settings): Promise<Values> {
  const { messages, perSecond } = settings
  const session = sessionId(0)
  await stage.redis.seedTokens(1)
  const agent = await createClient({ url: stage.redis.url }).connect()
  const sha = await agent.scriptLoad(SAY_TEXT)
  const reader = new Reader(stage.port, perSecond * MESSAGE_BYTES * READ_SHARE)
  await reader.opened
  const memory = new Watch(stage.pid)
  try {
    const payload = 'x'.repeat(MESSAGE_BYTES)
    const call = ['EVALSHA', sha, '2', sessionLog(session), sessionMeta(session), payload, ...LIMITS]
    const startedAt = performance.now()
    for (let sent = 0; sent < messages; await sleep(STEP_MS)) {
      const due = Math.min(messages, Math.ceil(((performance.now() - startedAt) / 1000) * perSecond))
      const batch: Promise<unknown>[] = []
      for (; sent < due; sent++) batch.push(agent.sendCommand(call))
      await Promise.all(batch)
    }
    const seconds = (performance.now() - startedAt) / 1000
    refuseIfSlow('agent', seconds, messages / perSecond)
    const behind = messages - reader.last
    const growthMb = (memory.peak - memory.base) / 1e6
    const caughtUpAt = performance.now()
    await reader.catchUp(messages)
    const catchUpSeconds = (performance.now() - caughtUpAt) / 1000
    return {
      growthMb,
      growthAllMb: (memory.peak - memory.base) / 1e6,
      behindMb: (behind * MESSAGE_BYTES) / 1e6,
      catchUpSeconds,
      catchUpMbPerSecond: (behind * MESSAGE_BYTES) / 1e6 / catchUpSeconds,
      lagged: await metricOf(stage, 'wsproxy_lagging_total'),
    }
  } finally {
    memory.stop()
    reader.stop()
    agent.destroy()
  }
}

/** Reads at a pace until it has to catch up. Each message must follow the one before. */
class Reader {
  last = 0
  readonly opened: Promise<void>
  readonly #socket: WebSocket
  readonly #startedAt = performance.now()
  #bytesPerSecond: number
  #bytes = 0
  #fault: Error | undefined

  constructor(port: number, bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
    const headers = { authorization: `Bearer ${sessionToken(0)}` }
    const url = `ws://127.0.0.1:${port}/bench/ws/${sessionId(0)}`
    this.#socket = new WebSocket(url, 'wsproxy.v2', { headers, perMessageDeflate: false })
    this.opened = new Promise((resolve, reject) => {
      this.#socket.once('message', () => resolve()).once('error', reject)
    })
    this.#socket.on('message', (data: Buffer) => this.#read(data))
    this.#socket.on('close', (code) => {
      this.#fault ??= new Faulty(`the socket was closed with ${code}`)
    })
  }

  /** Reads at full speed. Resolves when the message with that number has come. */
  async catchUp(number: number): Promise<void> {
    this.#bytesPerSecond = Number.POSITIVE_INFINITY
    this.#socket.resume()
    const endAt = performance.now() + CATCH_UP_MS
    while (this.last < number) {
      if (this.#fault) throw this.#fault
      if (performance.now() > endAt) throw new Faulty(`only ${this.last} of ${number} messages have come`)
      await sleep(STEP_MS)
    }
    if (this.#fault) throw this.#fault
  }

  stop(): void {
    this.#socket.terminate()
  }

  #read(data: Buffer): void {
    const head = data.toString('latin1', 0, 40)
    if (/^\{"type":"control","command":"(?:position|ticket)"/.test(head)) return
    if (!head.startsWith(`${++this.last} x`)) this.#fault ??= new Faulty(`message ${this.last} is ${head}`)
    this.#bytes += data.length
    const earlyMs = (this.#bytes / this.#bytesPerSecond) * 1000 - (performance.now() - this.#startedAt)
    if (earlyMs < STEP_MS || this.#socket.isPaused) return
    this.#socket.pause()
    setTimeout(() => this.#socket.resume(), earlyMs)
  }
}

export const lagging: Scenario = {
  name: 'lagging',
  about: 'one client of wsproxy.v2 reads a tenth of what its agent writes to the log, and then catches up',
  subjects: [OURS.name],
  long: true,
  uses: ['messages', 'perSecond'],
  defaults: { sockets: 1, messages: 73_200, perSecond: 1220, window: 0, rounds: 3 },
  quick: { messages: 12_200, rounds: 1 },
  metrics: [
    { key: 'growthMb', label: 'growth of RssAnon while it lags, MB', digits: 1, better: 'lower' },
    { key: 'growthAllMb', label: 'growth of RssAnon at its peak, MB', digits: 1, better: 'lower' },
    { key: 'catchUpSeconds', label: 'seconds to catch up', digits: 2, better: 'lower' },
    { key: 'catchUpMbPerSecond', label: 'MB a second while it catches up', digits: 0, better: 'higher' },
    { key: 'behindMb', label: 'behind when the agent ends, MB', digits: 0, better: 'context' },
    { key: 'lagged', label: 'times that it was found slow', digits: 0, better: 'context' },
  ],
  round,
}
