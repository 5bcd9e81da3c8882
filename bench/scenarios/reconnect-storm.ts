/**
 * Redis is killed and restarted while many sockets are open. Then SIGTERM stops the gateway under
 * load, and all sockets connect at once to a new one on the same port. Only ours: the peer cannot
 * report that all channels are back, and cannot drain.
 */
import { createClient } from 'redis'
import { connectAll, everyone, refuseUnless } from '../acts/crowd.ts'
import { nowUs, sleep } from '../load/clock.ts'
import { Faulty, refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CALL_MS = 5000
const QUIET_MS = 3000
const PUBLISH_MS = 120_000
const BACK_MS = 30_000
const BEFORE_TERM_MS = 3000
/** How late the publisher may send what is due. */
const LATE_MS = 100
/** The default of SHUTDOWN_GRACE_PERIOD. */
const GRACE_MS = 30_000

async function round(stage: Stage, settings: Settings): Promise<Values> {
  await stage.redis.seedTokens(settings.sockets)
  await connectAll(stage, 0, settings.sockets)
  const storm = await restart(stage, settings)
  const stop = await terminate(stage, settings)
  const returned = await comeBack(stage, settings)
  return { ...storm, ...stop, ...returned }
}

/**
 * Restarts Redis. Measures from the moment at which it accepts connections until all channels are
 * subscribed again.
 */
async function restart(stage: Stage, { sockets }: Settings): Promise<Values> {
  const acceptingUs = await stage.redis.restart()
  const client = await createClient({ url: stage.redis.url })
    .on('error', () => {})
    .connect()
  let channels = 0
  try {
    // Redis keeps a count; listing the names would slow it down.
    while (channels < sockets && nowUs() < acceptingUs + BACK_MS * 1000) {
      channels = Number(/^pubsub_channels:(\d+)/m.exec(await client.info('stats'))?.[1])
      if (channels < sockets) await sleep(1)
    }
  } finally {
    client.destroy()
  }
  const backMs = (nowUs() - acceptingUs) / 1000
  if (channels < sockets) throw new Faulty(`${channels} of ${sockets} channels are back after ${backMs} ms`)
  const { foreign } = await stage.receiver.call('arrivals', { delivered: 1, quietMs: QUIET_MS }, PUBLISH_MS)
  const { open, lost } = await stage.receiver.call('sockets', {}, CALL_MS)
  if (open < sockets) throw new Faulty(`the restart of Redis has closed sockets: ${JSON.stringify(lost)}`)
  return { backMs, toldOfGap: foreign }
}

/** SIGTERM while messages flow: each socket gets every message published before it. */
async function terminate(stage: Stage, { sockets, perSecond, messages }: Settings): Promise<Values> {
  await stage.publisher.call('open', { redisPort: stage.redis.port, sessions: sockets }, CALL_MS)
  const publishing = stage.publisher.call('paced', { count: messages, perSecond }, PUBLISH_MS)
  publishing.catch(() => {}) // awaited below, when the subject has ended
  await sleep(BEFORE_TERM_MS)
  const termUs = nowUs()
  stage.subject.process.kill('SIGTERM')
  const late = setTimeout(() => stage.subject.process.kill('SIGKILL'), GRACE_MS + CALL_MS)
  await stage.subject.exited
  clearTimeout(late)
  const exitMs = (nowUs() - termUs) / 1000
  const published = await publishing
  const { outOfOrder } = await stage.receiver.call('arrivals', { delivered: 1, quietMs: QUIET_MS }, PUBLISH_MS)
  const { lost, leastDue } = await stage.receiver.call('sockets', {}, CALL_MS)
  const before = Math.floor(((termUs - published.startedUs) / 1e6 - LATE_MS / 1000) * perSecond)
  const leastOwed = Math.floor(before / sockets)
  const status = stage.subject.process.exitCode ?? stage.subject.process.signalCode
  const faults = [
    leastDue < leastOwed && `a socket got ${leastDue} messages, and was owed ${leastOwed} at SIGTERM`,
    outOfOrder > 0 && `${outOfOrder} messages did not follow the one before them on their socket`,
    status !== 0 && `it ended with ${status}`,
  ].filter((fault) => fault !== false)
  if (faults.length > 0) throw new Faulty(faults.join('; '))
  return { exitMs, closedWith1001: lost['close 1001'] ?? 0, leastGot: leastDue, leastOwed }
}

/**
 * Starts a new gateway on the port of the ended one. As soon as it is ready, all sockets connect at
 * once.
 */
async function comeBack(stage: Stage, { sockets }: Settings): Promise<Values> {
  await stage.redis.seedTokens(sockets)
  const spawnedUs = nowUs()
  await stage.startAgain()
  const readyMs = (nowUs() - spawnedUs) / 1000
  const order = { port: stage.port, first: 0, count: sockets, inFlight: sockets, dialect: stage.dialect }
  const returned = everyone(await stage.receiver.call('connect', order, PUBLISH_MS))
  const { seconds, p50Ms, p99Ms, p999Ms } = returned
  await refuseUnless(stage, { sockets, channels: sockets })
  refuseIfBound('generator', returned)
  const latency = { returnP50Ms: p50Ms, returnP99Ms: p99Ms, returnP999Ms: p999Ms }
  return { readyMs, returnMs: seconds * 1000, ...latency }
}

export const reconnectStorm: Scenario = {
  name: 'reconnect-storm',
  about: 'a restart of Redis under a crowd, SIGTERM while messages flow, and all sockets at once on a new process',
  subjects: [OURS.name],
  long: true,
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 10_000, messages: 300_000, perSecond: 20_000, window: 0, rounds: 3 },
  quick: { sockets: 2000, messages: 160_000, rounds: 1 },
  metrics: [
    { key: 'backMs', label: 'from Redis accepting to all channels, ms', digits: 0, better: 'lower' },
    { key: 'exitMs', label: 'from SIGTERM to the exit, ms', digits: 0, better: 'lower' },
    { key: 'returnMs', label: 'from the new process ready to all open, ms', digits: 0, better: 'lower' },
    { key: 'returnP50Ms', label: 'handshake at the new process p50, ms', digits: 0, better: 'lower' },
    { key: 'returnP99Ms', label: 'handshake at the new process p99, ms', digits: 0, better: 'lower' },
    { key: 'returnP999Ms', label: 'handshake at the new process p99.9, ms', digits: 0, better: 'lower' },
    { key: 'readyMs', label: 'from the start of the new process to ready, ms', digits: 0, better: 'context' },
    { key: 'toldOfGap', label: 'notices of the gap', digits: 0, better: 'context' },
    { key: 'closedWith1001', label: 'sockets closed with 1001', digits: 0, better: 'context' },
    { key: 'leastGot', label: 'least messages that a socket got', digits: 0, better: 'context' },
    { key: 'leastOwed', label: 'least that each was owed at SIGTERM', digits: 0, better: 'context' },
  ],
  round,
}
