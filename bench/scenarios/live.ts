/**
 * The live door: one topic for all sockets, many topics, and one client that floods. Only ours: the
 * peer has no topics.
 */
import { connect } from 'node:net'
import { everyone, IN_FLIGHT } from '../acts/crowd.ts'
import { refuseFaults } from '../acts/exchange.ts'
import { figureMetrics, figuresOf } from '../acts/figures.ts'
import { upgradeRequest } from '../load/client.ts'
import { clientTextFrame } from '../load/frames.ts'
import { livePaths } from '../load/live.ts'
import { Faulty, type Metric, Refused, refuseIfBound, type Scenario, type Settings, type Values } from '../scenario.ts'
import { cpuSeconds, peakBytes } from '../stage/procfs.ts'
import type { Stage } from '../stage/stage.ts'
import { OURS } from '../subjects.ts'

const CALL_MS = 5000
const QUIET_MS = 5000
const CONNECT_MS = 90_000
const PUBLISH_MS = 150_000
const WARM_UP_S = 2
/** Each socket has two of these topics. */
const TOPICS = 1000
const FLOOD_FRAMES = 10_000

/** The sockets on the live door, and what they have received. */
class Crowd {
  readonly #stage: Stage
  readonly #settings: Settings
  /** The number of sockets that hold a topic. */
  readonly #fanOut: number
  #expected = 0

  private constructor(stage: Stage, settings: Settings, fanOut: number) {
    this.#stage = stage
    this.#settings = settings
    this.#fanOut = fanOut
  }

  static async of(stage: Stage, settings: Settings, topics: number): Promise<Crowd> {
    const { sockets } = settings
    const fanOut = topics === 1 ? sockets : (sockets * 2) / topics
    if (!Number.isInteger(fanOut)) throw new Refused(`the number of sockets has to be a multiple of ${topics / 2}`)
    await stage.publisher.call('openLive', { redisPort: stage.redis.port, topics }, CALL_MS)
    const order = { port: stage.port, first: 0, count: sockets, inFlight: IN_FLIGHT, paths: livePaths(topics) }
    everyone(await stage.receiver.call('connectLive', order, CONNECT_MS))
    return new Crowd(stage, settings, fanOut)
  }

  /**
   * Publishes `count` messages at the given pace and waits until every socket has all of its
   * messages.
   */
  async exchange(count: number) {
    const { publisher, receiver, pid } = this.#stage
    const { perSecond } = this.#settings
    await receiver.call('restartLive', {}, CALL_MS)
    const before = cpuSeconds(pid)
    const publishing = publisher.call('paced', { count, perSecond }, PUBLISH_MS)
    publishing.catch(() => {}) // awaited below, unless a loss is found first
    this.#expected += count * this.#fanOut
    const until = { delivered: this.#expected, quietMs: QUIET_MS }
    const arrivals = await receiver.call('liveArrivals', until, PUBLISH_MS)
    const cpu = cpuSeconds(pid) - before
    refuseFaults(arrivals, this.#expected)
    const published = await publishing
    return { arrivals, published, cpu, deliveries: count * this.#fanOut }
  }
}

type Exchange = Awaited<ReturnType<Crowd['exchange']>>

function refuseIfGeneratorBound(...exchanges: Exchange[]): void {
  for (const { arrivals, published } of exchanges) {
    refuseIfBound('receiver', arrivals)
    refuseIfBound('publisher', published)
  }
}

function valuesOf(stage: Stage, { arrivals, published, cpu, deliveries }: Exchange): Values {
  return {
    ...figuresOf(deliveries, { ...arrivals, startedUs: published.startedUs, cpu }),
    receiverBusy: arrivals.generatorShare * 100,
    publisherLagMs: published.lagP99Ms,
    peakMb: peakBytes(stage.pid) / 1e6,
  }
}

async function spread(stage: Stage, settings: Settings, topics: number): Promise<Values> {
  const crowd = await Crowd.of(stage, settings, topics)
  await crowd.exchange(settings.perSecond * WARM_UP_S)
  const exchange = await crowd.exchange(settings.messages)
  refuseIfGeneratorBound(exchange)
  return valuesOf(stage, exchange)
}

async function flood(stage: Stage, settings: Settings): Promise<Values> {
  const crowd = await Crowd.of(stage, settings, TOPICS)
  await crowd.exchange(settings.perSecond * WARM_UP_S)
  const before = await crowd.exchange(settings.messages)
  const attacker = await attack(stage.port)
  const during = await crowd.exchange(settings.messages)
  const { open, answeredBytes } = attacker.end()
  if (open) throw new Faulty('the socket that flooded was not closed')
  // Measured before and after, because other load on the machine changes a p99 more than the flood
  // does.
  const after = await crowd.exchange(settings.messages)
  refuseIfGeneratorBound(before, during, after)
  const calmP99Ms = (before.arrivals.latencyMs.p99 + after.arrivals.latencyMs.p99) / 2
  return {
    ...valuesOf(stage, during),
    calmP99Ms,
    p99Ratio: during.arrivals.latencyMs.p99 / calmP99Ms,
    answeredKb: answeredBytes / 1000,
  }
}

/**
 * Sends all frames in one write, a quarter of a second from now. They are built beforehand, so that
 * building them takes no time from the other sockets.
 */
async function attack(port: number) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  let open = true
  let bytes = 0
  socket.on('error', () => {})
  socket.on('close', () => {
    open = false
  })
  const upgraded = new Promise((resolve) => socket.once('data', resolve))
  socket.write(upgradeRequest({ port, path: '/live?subscriptions=alerts', token: 'not-asked-for' }))
  await upgraded
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  const frames = Buffer.concat(Array.from({ length: FLOOD_FRAMES }, () => clientTextFrame('{"type":"ping"}')))
  const timer = setTimeout(() => socket.write(frames), 250)
  const end = () => {
    clearTimeout(timer)
    socket.destroy()
    return { open, answeredBytes: bytes }
  }
  return { end }
}

const METRICS: Metric[] = [
  ...figureMetrics('delivery', 'delivered per second', 'publish to client'),
  { key: 'receiverBusy', label: 'receiver busy, % of a core', digits: 0, better: 'context' },
]
const LAG: Metric = { key: 'publisherLagMs', label: 'publisher late p99, ms', digits: 2, better: 'context' }

export const liveFanout: Scenario = {
  name: 'live-fanout',
  about: 'one topic that all sockets hold, at a given pace (open loop)',
  subjects: [OURS.name],
  uses: ['sockets', 'messages', 'perSecond'],
  // As many deliveries as in `fanout`.
  defaults: { sockets: 10_000, messages: 40, perSecond: 4, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 2000, messages: 40, perSecond: 20, rounds: 1 },
  metrics: [...METRICS, LAG],
  round: (stage, settings) => spread(stage, settings, 1),
}

export const liveMixed: Scenario = {
  name: 'live-mixed',
  about: `${TOPICS} topics, two for every socket, at a given pace (open loop)`,
  subjects: [OURS.name],
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 10_000, messages: 10_000, perSecond: 1000, window: 0, rounds: 3 },
  long: true,
  quick: { sockets: 2000, messages: 4000, rounds: 1 },
  metrics: [...METRICS, LAG],
  round: (stage, settings) => spread(stage, settings, TOPICS),
}

export const liveFlood: Scenario = {
  name: 'live-flood',
  about: `the same, and one socket sends ${FLOOD_FRAMES} frames at once`,
  subjects: [OURS.name],
  uses: ['sockets', 'messages', 'perSecond'],
  defaults: { sockets: 2000, messages: 10_000, perSecond: 1000, window: 0, rounds: 5 },
  long: true,
  quick: { messages: 3000, rounds: 1 },
  metrics: [
    { key: 'p99Ratio', label: 'p99 with the flood, times that without', digits: 2, better: 'lower' },
    { key: 'calmP99Ms', label: 'publish to client p99 before and after, ms', digits: 2, better: 'lower' },
    ...METRICS,
    { key: 'answeredKb', label: 'answers to the flood, KB', digits: 1, better: 'context' },
    LAG,
  ],
  round: flood,
}
