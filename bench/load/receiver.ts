/**
 * The receiving process: holds all WebSockets and counts what arrives and how late. The bench forks
 * it, and it alone has the 10,000 descriptors. In a saturated run it reports to the publisher how
 * much has arrived, so that nothing piles up in Redis.
 */
import { connect, type Socket } from 'node:net'
import { nowUs, sleep } from './clock.ts'
import { DIALECTS, type DialectName } from './dialects.ts'
import { type ConnectOrder, Fleet } from './fleet.ts'
import { serve } from './ipc.ts'
import type { Latency } from './latencies.ts'
import { LiveTally } from './live.ts'
import type { Pace } from './pace.ts'
import { blankPayload, shapeOf } from './payload.ts'
import { RunTally } from './run-tally.ts'
import { Sender, type Sent } from './sender.ts'
import { Tally } from './tally.ts'
import { collectGarbage, Usage, type Used } from './usage.ts'

const CHECK_MS = 2

export interface Arrivals extends Used {
  /** All messages since the process started. */
  delivered: number
  outOfOrder: number
  foreign: number
  /** Messages for another socket. */
  astray: number
  /** Sockets that the subject closed, by reason. */
  lostSockets: Record<string, number>
  lastArrivalUs: number
  latencyMs: Latency
}

/** What has reached the sockets of runs since the last `restartRuns`. */
export interface RunArrivals extends Omit<Arrivals, 'astray'> {
  sockets: number
  /** The time of the change that the most outdated socket shows. */
  leastSeenUs: number
  /** The time from a change until its last socket had it. */
  lastSocketMs: Latency
}

const tally = new Tally()
const fleet = new Fleet(tally)
const runTally = new RunTally()
const runFleet = new Fleet(runTally)
const liveTally = new LiveTally()
const liveFleet = new Fleet(liveTally)
const usage = new Usage()
let sender: Sender | undefined
let acknowledgements: Socket | undefined
let acknowledged = 0

const commands = {
  connect: (order: ConnectOrder) => fleet.connect(order),

  sockets: (_: object) => ({ open: fleet.size, lost: fleet.lost, leastDue: fleet.leastDue }),

  /** Stops reading from the sockets that were opened last. */
  pauseLast: ({ count }: { count: number }) => fleet.pauseLast(count),

  /** From now on messages arrive in this dialect. */
  expect: ({ dialect }: { dialect: DialectName }) =>
    tally.expect(shapeOf(Buffer.from(DIALECTS[dialect].frame(0, blankPayload())))),

  /** The open sockets send frames in turn, at a given pace. */
  send: ({ dialect, ...pace }: Pace & { dialect: DialectName }): Promise<Sent> => {
    sender ??= new Sender(fleet.clients(), DIALECTS[dialect])
    return sender.send(pace)
  },

  /** From now on reports to the publisher at `port` how many messages have arrived. */
  acknowledge: async ({ port }: { port: number }) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    acknowledgements = socket
    setInterval(acknowledge, CHECK_MS)
  },

  /** Starts a measurement: resets latencies, faults and CPU. */
  restart: (_: object) => {
    tally.restart()
    begin()
  },

  /**
   * Resolves when `delivered` messages have arrived since the process started, or when none has
   * come for `quietMs`.
   */
  arrivals: async (until: { delivered: number; quietMs: number }): Promise<Arrivals> => {
    await arrived(tally, until)
    return { ...reportOf(tally, fleet), ...usage.used() }
  },

  connectLive: (order: ConnectOrder & { paths: string[] }) => {
    liveTally.topics = order.paths.length
    return liveFleet.connect(order)
  },

  restartLive: (_: object) => {
    liveTally.restart()
    begin()
  },

  /** As `arrivals`, at the live sockets. */
  liveArrivals: async (until: { delivered: number; quietMs: number }): Promise<Arrivals & { sockets: number }> => {
    await arrived(liveTally, until)
    return { ...reportOf(liveTally, liveFleet), sockets: liveFleet.size, ...usage.used() }
  },

  connectRuns: (order: ConnectOrder) => runFleet.connect(order),

  restartRuns: (_: object) => {
    runTally.restart()
    begin()
  },

  /** Resolves when no frame of a run has come for `quietMs`. */
  runArrivals: async ({ quietMs }: { quietMs: number }): Promise<RunArrivals> => {
    const used = usage.used()
    for (let seen = -1; seen !== runTally.delivered; ) {
      seen = runTally.delivered
      await sleep(quietMs)
    }
    const { delivered, outOfOrder, foreign, lastArrivalUs } = runTally
    const counts = { delivered, outOfOrder, foreign, lastArrivalUs, sockets: runFleet.size, lostSockets: runFleet.lost }
    const leastSeenUs = runFleet.clients().reduce((least, { due }) => Math.min(least, due), Number.MAX_VALUE)
    return {
      ...counts,
      leastSeenUs,
      latencyMs: runTally.latencyMs(),
      lastSocketMs: runTally.lastSocketMs(),
      ...used,
    }
  },
}

function begin(): void {
  collectGarbage()
  usage.restart()
}

/** Resolves when that many have arrived, or when none has come for `quietMs`. */
function arrived(
  counter: { readonly delivered: number },
  { delivered, quietMs }: { delivered: number; quietMs: number },
): Promise<void> {
  return new Promise((resolve) => {
    let [seen, seenUs] = [counter.delivered, nowUs()]
    const timer = setInterval(() => {
      if (counter.delivered !== seen) [seen, seenUs] = [counter.delivered, nowUs()]
      if (seen < delivered && nowUs() - seenUs < quietMs * 1000) return
      clearInterval(timer)
      resolve()
    }, CHECK_MS)
  })
}

function acknowledge(): void {
  if (tally.delivered === acknowledged) return
  acknowledged = tally.delivered
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(acknowledged)
  acknowledgements?.write(bytes)
}

function reportOf(tally: Tally | LiveTally, { lost }: Fleet): Omit<Arrivals, keyof Used> {
  const { delivered, outOfOrder, foreign, astray, lastArrivalUs } = tally
  const counts = { delivered, outOfOrder, foreign, astray, lastArrivalUs }
  return { ...counts, lostSockets: lost, latencyMs: tally.latencyMs() }
}

export type ReceiverCommands = typeof commands

serve(commands)
