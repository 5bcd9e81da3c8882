/**
 * Clients publish: every socket sends frames at a given pace, and a subscriber of Redis confirms
 * that all arrived in order.
 */

import { connectAll } from '../acts/crowd.ts'
import { pacedWarmUp } from '../acts/exchange.ts'
import { figureMetrics, figuresOf, Measure, OTHERS } from '../acts/figures.ts'
import type { Heard } from '../load/listener.ts'
import type { Sent } from '../load/sender.ts'
import {
  Faulty,
  type Metric,
  refuseIfBound,
  refuseIfSlow,
  refuseIfTooLittle,
  type Scenario,
  type Settings,
  type Values,
} from '../scenario.ts'
import { cpuSeconds, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CALL_MS = 5000
const QUIET_MS = 5000
const SEND_MS = 150_000

async function round(stage: Stage, settings: Settings): Promise<Values> {
  const { sockets, messages, perSecond } = settings
  await stage.redis.seedTokens(sockets)
  await connectAll(stage, 0, sockets)
  await stage.publisher.call('listen', { redisPort: stage.redis.port, sessions: sockets }, CALL_MS)
  const warmUp = pacedWarmUp(settings)
  await exchange(stage, warmUp, warmUp, perSecond)
  await stage.publisher.call('restartListener', {}, CALL_MS)
  const measure = new Measure(stage)
  const { sent, heard } = await exchange(stage, messages, warmUp + messages, perSecond)
  const { cpu, ...others } = measure.end()
  refuseIfBound('sender', sent)
  refuseIfBound('listener', heard)
  return { ...valuesOf(messages, sent, heard, cpu), ...others, peakMb: peakBytes(stage.pid) / 1e6 }
}

/**
 * Sends `count` frames and waits for all of them at Redis. Throws `Faulty` when one is missing or
 * out of order, and `Refused` when the sender was late.
 */
async function exchange(stage: Stage, count: number, total: number, perSecond: number) {
  const { dialect } = stage
  const sent = await stage.receiver.call('send', { count, perSecond, dialect }, SEND_MS)
  const heard = await stage.publisher.call('heard', { count: total, quietMs: QUIET_MS }, SEND_MS)
  refuseLosses(heard, total)
  refuseIfSlow('sender', sent.seconds, count / perSecond)
  return { sent, heard }
}

/** Throws `Faulty` unless all frames have arrived in order. */
function refuseLosses({ count, outOfOrder, astray }: Heard, total: number): void {
  if (count === total && outOfOrder + astray === 0) return
  throw new Faulty(
    `${count} of ${total} frames are at Redis, ${outOfOrder} out of order, ${astray} on the wrong channel`,
  )
}

function valuesOf(frames: number, sent: Sent, heard: Heard, cpu: number): Values {
  return {
    ...figuresOf(frames, { ...heard, startedUs: sent.startedUs, cpu }),
    senderBusy: sent.generatorShare * 100,
    listenerBusy: heard.generatorShare * 100,
    senderLagMs: sent.lagP99Ms,
  }
}

/** Frames that wait for the subject when it goes on: fewer than it may have under way to Redis. */
const BURST = 20_000
/** Far more than the sender can do: it sends as fast as it can. */
const AT_ONCE = 500_000

/** The subject is stopped while frames are sent, and so reads what is there without a pause. */
async function burstRound(stage: Stage, { sockets, messages }: Settings): Promise<Values> {
  await stage.redis.seedTokens(sockets)
  await connectAll(stage, 0, sockets)
  await stage.publisher.call('listen', { redisPort: stage.redis.port, sessions: sockets }, CALL_MS)
  const bursts = Math.ceil(messages / BURST)
  for (let number = 1; number <= bursts; number++) await burst(stage, number * BURST)
  const cpu = cpuSeconds(stage.pid)
  for (let number = 1; number <= bursts; number++) await burst(stage, (bursts + number) * BURST)
  const used = cpuSeconds(stage.pid) - cpu
  refuseIfTooLittle(used)
  return { cpuUs: (used * 1e6) / (bursts * BURST), peakMb: peakBytes(stage.pid) / 1e6 }
}

async function burst(stage: Stage, total: number): Promise<void> {
  stage.subject.process.kill('SIGSTOP')
  try {
    const order = { count: BURST, perSecond: AT_ONCE, dialect: stage.dialect }
    await stage.receiver.call('send', order, SEND_MS)
  } finally {
    stage.subject.process.kill('SIGCONT')
  }
  refuseLosses(await stage.publisher.call('heard', { count: total, quietMs: QUIET_MS }, SEND_MS), total)
}

const METRICS: Metric[] = [
  ...figureMetrics('frame', 'arrived at Redis per second', 'client to subscriber'),
  { key: 'senderBusy', label: 'sender busy, % of a core', digits: 0, better: 'context' },
  { key: 'listenerBusy', label: 'listener busy, % of a core', digits: 0, better: 'context' },
  { key: 'senderLagMs', label: 'sender late p99, ms', digits: 2, better: 'context' },
  ...OTHERS,
]

export const upstream: Scenario = {
  name: 'upstream',
  about: 'all sockets send frames at a given pace (open loop); each has arrived at a subscriber of Redis',
  counted: 'sent by clients',
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 1000, messages: 200_000, perSecond: 20_000, window: 0, rounds: 3 },
  quick: { messages: 30_000, rounds: 1 },
  metrics: METRICS,
  round,
}

export const upstreamBurst: Scenario = {
  name: 'burst-upstream',
  about: 'the process is stopped while its sockets send 20,000 frames, and goes on: no wait, and few system calls',
  subjects: [OURS.name],
  env: { SESSION_RATE: '0', SESSION_BYTE_RATE: '0' },
  counted: 'sent by clients',
  long: true,
  uses: ['sockets', 'messages'],
  defaults: { sockets: 200, messages: 200_000, perSecond: 0, window: 0, rounds: 3 },
  quick: { messages: 100_000, rounds: 1 },
  metrics: [
    { key: 'cpuUs', label: 'CPU per frame, us', digits: 2, better: 'lower' },
    { key: 'peakMb', label: 'peak RSS, MB', digits: 1, better: 'lower' },
  ],
  round: burstRound,
}
