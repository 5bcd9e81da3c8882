/**
 * The act of most scenarios: connect sockets to sessions, publish messages to them, and check that
 * each message reached its socket.
 */
import type { Published } from '../load/publisher.ts'
import type { Arrivals } from '../load/receiver.ts'
import { Faulty, type Metric, refuseIfBound, refuseIfSlow, type Settings, type Values } from '../scenario.ts'
import { peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { connectAll, connectTogether, emptyLogs, seed } from './crowd.ts'
import { figureMetrics, figuresOf, Measure, OTHERS } from './figures.ts'

const CALL_MS = 5000
const QUIET_MS = 5000
const PUBLISH_MS = 150_000
const SATURATED_WARM_UP = 200_000 // the kernel has then widened the receive buffers, and V8 has optimised the code
const SMOOTH_BATCH = 16
const PACED_WARM_UP_S = 2
/** A warm-up lasts at most as long as the measurement. */
const WARM_UP_SHARE = 0.5

/**
 * The sessions that messages go to: how many, how many messages in a row to each, and whether all
 * sockets are on one session.
 */
export interface Spread {
  sessions: number
  burst?: number
  together?: true
}

/** A way of publishing, and the number of messages that it needs to warm up. */
export interface Pace {
  /** Whether the publisher has to know how many messages have arrived. */
  acknowledged: boolean
  warmUp(settings: Settings): number
  publish(stage: Stage, count: number, settings: Settings): Promise<Published>
}

export const saturated: Pace = {
  acknowledged: true,
  warmUp: ({ messages }) => Math.min(SATURATED_WARM_UP, Math.ceil(messages * WARM_UP_SHARE)),
  publish: (stage, count, { window }) => stage.publisher.call('saturated', { count, window }, PUBLISH_MS),
}

/** As `saturated`, in small writes: the link from Redis never brings 1,024 messages in one go. */
export const smooth: Pace = {
  ...saturated,
  publish: (stage, count, { window }) =>
    stage.publisher.call('saturated', { count, window, batch: SMOOTH_BATCH }, PUBLISH_MS),
}

export const paced: Pace = pacedBy(1)

/** Publishes messages at a given pace, in bursts of this size. */
export function pacedBy(burst: number): Pace {
  return {
    acknowledged: false,
    warmUp: (settings) => Math.ceil(pacedWarmUp(settings) / burst) * burst,
    publish: (stage, count, { perSecond }) => publishPaced(stage, count, perSecond, burst),
  }
}

/** The messages of two seconds, or half of the measured messages when that is less. */
export const pacedWarmUp = ({ messages, perSecond }: Settings): number =>
  Math.min(perSecond * PACED_WARM_UP_S, Math.ceil(messages * WARM_UP_SHARE))

/** Publishes at that pace. Throws `Refused` when the publisher could not keep it. */
export async function publishPaced(stage: Stage, count: number, perSecond: number, burst = 1): Promise<Published> {
  const published = await stage.publisher.call('paced', { count, perSecond, burst }, PUBLISH_MS)
  refuseIfSlow('publisher', published.seconds, count / perSecond)
  return published
}

/** Warms up, measures, and waits for every message. */
export async function round(stage: Stage, settings: Settings, pace: Pace, spread?: Spread): Promise<Values> {
  const { messages } = settings
  await prepare(stage, settings, pace, spread)
  const warmUp = pace.warmUp(settings)
  await exchange(stage, pace, warmUp, warmUp, settings)
  await stage.receiver.call('restart', {}, CALL_MS)
  const measure = new Measure(stage)
  const { published, arrivals } = await exchange(stage, pace, messages, warmUp + messages, settings)
  const { cpu, ...others } = measure.end()
  const { generatorShare } = arrivals
  // When the publisher waits for the receiver, a pause of either delays no message.
  refuseIfBound('receiver', pace.acknowledged ? { generatorShare } : arrivals)
  refuseIfBound('publisher', published)
  return { ...valuesOf(messages, published, arrivals, cpu), ...others, peakMb: peakBytes(stage.pid) / 1e6 }
}

/** Connects all sockets and opens the publisher. */
export async function prepare(
  stage: Stage,
  { sockets }: Settings,
  { acknowledged }: Pace,
  { sessions, burst = 1, together }: Spread = { sessions: sockets },
): Promise<void> {
  const { dialect, port } = stage
  const order = { redisPort: stage.redis.port, sessions, burst, dialect, subjectPort: port }
  const { acknowledgementPort } = await stage.publisher.call('open', order, CALL_MS)
  await stage.receiver.call('expect', { dialect }, CALL_MS)
  if (acknowledged) await stage.receiver.call('acknowledge', { port: acknowledgementPort }, CALL_MS)
  const seeded = together ? 1 : sockets
  await seed(stage, seeded)
  await (together ? connectTogether(stage, sockets) : connectAll(stage, 0, sockets))
  await emptyLogs(stage, seeded)
}

/**
 * Publishes `count` messages and waits for all of them. Throws `Faulty` when a message is missing,
 * doubled, out of order or at the wrong socket.
 */
export async function exchange(stage: Stage, pace: Pace, count: number, total: number, settings: Settings) {
  const publishing = pace.publish(stage, count, settings)
  publishing.catch(() => {}) // awaited below, unless a loss is found first
  const arrivals = await stage.receiver.call('arrivals', { delivered: total, quietMs: QUIET_MS }, PUBLISH_MS)
  refuseFaults(arrivals, total)
  return { published: await publishing, arrivals }
}

/**
 * Throws `Faulty` unless every message arrived once, in order and at its socket, and no socket was
 * lost.
 */
export function refuseFaults({ delivered, outOfOrder, foreign, astray, lostSockets }: Arrivals, total: number): void {
  const faults = [
    delivered !== total && `${delivered} messages have arrived, and not ${total}`,
    outOfOrder > 0 && `${outOfOrder} messages did not follow the one before them on their socket`,
    foreign > 0 && `${foreign} frames are not of the bench`,
    astray > 0 && `${astray} messages have come to the wrong socket`,
    Object.keys(lostSockets).length > 0 && `sockets were lost: ${JSON.stringify(lostSockets)}`,
  ].filter((fault) => fault !== false)
  if (faults.length > 0) throw new Faulty(faults.join('; '))
}

function valuesOf(messages: number, published: Published, arrivals: Arrivals, cpu: number): Values {
  return {
    ...figuresOf(messages, { ...arrivals, startedUs: published.startedUs, cpu }),
    receiverBusy: arrivals.generatorShare * 100,
    publisherBusy: published.generatorShare * 100,
    publisherLagMs: published.lagP99Ms,
  }
}

export const METRICS: Metric[] = [
  ...figureMetrics('message', 'delivered per second', 'publish to client'),
  { key: 'receiverBusy', label: 'receiver busy, % of a core', digits: 0, better: 'context' },
  { key: 'publisherBusy', label: 'publisher busy, % of a core', digits: 0, better: 'context' },
  ...OTHERS,
]

export const PACED_METRICS: Metric[] = [
  ...METRICS,
  { key: 'publisherLagMs', label: 'publisher late p99, ms', digits: 2, better: 'context' },
]
