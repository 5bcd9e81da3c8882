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
  type Scenario,
  type Settings,
  type Values,
} from '../scenario.ts'
import { peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'

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
  const { outOfOrder, astray } = heard
  if (heard.count !== total || outOfOrder + astray > 0)
    throw new Faulty(
      `${heard.count} of ${total} frames are at Redis, ${outOfOrder} out of order, ${astray} on the wrong channel`,
    )
  refuseIfSlow('sender', sent.seconds, count / perSecond)
  return { sent, heard }
}

function valuesOf(frames: number, sent: Sent, heard: Heard, cpu: number): Values {
  return {
    ...figuresOf(frames, { ...heard, startedUs: sent.startedUs, cpu }),
    senderBusy: sent.generatorShare * 100,
    listenerBusy: heard.generatorShare * 100,
    senderLagMs: sent.lagP99Ms,
  }
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
