/**
 * Clients of `wsproxy.v2` come back with a cursor, and each has missed some messages: how long it
 * takes from the dial to the last of them.
 */
import { createClient } from 'redis'
import { WebSocket } from 'ws'
import { sessionLog, sessionMeta } from '../../src/contract/names.ts'
import { EPOCH } from '../load/dialects.ts'
import { blankPayload } from '../load/payload.ts'
import { sessionId, sessionToken } from '../load/sessions.ts'
import { Faulty, type Scenario, type Settings, type Values } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const MISSED = 200
const WARM_UP = 200
const SEED_BATCH = 100
const RESUME_MS = 10_000

async function round(stage: Stage, { sockets, window }: Settings): Promise<Values> {
  const all = sockets + WARM_UP
  await stage.redis.seedTokens(all)
  await seedLogs(stage.redis.url, all)
  const times: { opened: number; complete: number }[] = []
  let next = 0
  const worker = async () => {
    while (next < all) times.push(await resumed(stage.port, next++))
  }
  await Promise.all(Array.from({ length: window }, worker))
  // V8 compiles during the first ones.
  const measured = times.slice(WARM_UP)
  const complete = measured.map((each) => each.complete).sort((a, b) => a - b)
  const opened = measured.map((each) => each.opened).sort((a, b) => a - b)
  const at = (sorted: number[], share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return {
    p50Ms: at(complete, 0.5),
    p99Ms: at(complete, 0.99),
    worstMs: at(complete, 1),
    openedP50Ms: at(opened, 0.5),
    openedP99Ms: at(opened, 0.99),
  }
}

async function seedLogs(url: string, count: number): Promise<void> {
  const client = await createClient({ url }).connect()
  const write = async (index: number) => {
    const session = sessionId(index)
    const commands = client.multi().hSet(sessionMeta(session), 'e', EPOCH)
    for (let n = 1; n <= MISSED; n++) commands.xAdd(sessionLog(session), `0-${n}`, { m: blankPayload(index) })
    await commands.execAsPipeline()
  }
  for (let first = 0; first < count; first += SEED_BATCH)
    await Promise.all(Array.from({ length: Math.min(SEED_BATCH, count - first) }, (_, i) => write(first + i)))
  client.destroy()
}

/** Resolves with the time from the dial to the 101, and to the last missed message. */
function resumed(port: number, index: number): Promise<{ opened: number; complete: number }> {
  const dialed = performance.now()
  const url = `ws://127.0.0.1:${port}/bench/ws/${sessionId(index)}?cursor=${EPOCH}.0`
  const headers = { authorization: `Bearer ${sessionToken(index)}` }
  const socket = new WebSocket(url, 'wsproxy.v2', { headers, perMessageDeflate: false })
  let opened = 0
  let last = 0
  return new Promise<{ opened: number; complete: number }>((resolve, reject) => {
    const late = setTimeout(() => reject(new Faulty(`${last} of ${MISSED} messages came in time`)), RESUME_MS)
    socket.on('open', () => {
      opened = performance.now() - dialed
    })
    socket.on('error', reject)
    socket.on('message', (data) => {
      const text = String(data)
      if (text.startsWith('{"type":"control","command":"position"') && last === 0) return
      if (text.startsWith('{"type":"control","command":"ticket"')) return
      if (!text.startsWith(`${++last} {`)) reject(new Faulty(`message ${last} is ${text.slice(0, 80)}`))
      if (last < MISSED) return
      clearTimeout(late)
      resolve({ opened, complete: performance.now() - dialed })
    })
  }).finally(() => socket.terminate())
}

export const resume: Scenario = {
  name: 'resume',
  about: `clients of wsproxy.v2 come back, each after ${MISSED} missed messages`,
  subjects: [OURS.name],
  uses: ['sockets', 'window'],
  defaults: { sockets: 2000, messages: 0, perSecond: 0, window: 1, rounds: 3 },
  quick: { sockets: 500, rounds: 1 },
  metrics: [
    { key: 'p50Ms', label: 'dial to the last missed message, p50, ms', digits: 2, better: 'lower' },
    { key: 'p99Ms', label: 'dial to the last missed message, p99, ms', digits: 2, better: 'lower' },
    { key: 'worstMs', label: 'the slowest, ms', digits: 2, better: 'lower' },
    { key: 'openedP50Ms', label: 'dial to the 101, p50, ms', digits: 2, better: 'lower' },
    { key: 'openedP99Ms', label: 'dial to the 101, p99, ms', digits: 2, better: 'lower' },
  ],
  round,
}
