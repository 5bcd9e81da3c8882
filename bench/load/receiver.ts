/**
 * The receiving process: holds all WebSockets, counts what arrives and how late. Forked by the bench; it alone has the
 * 10,000 descriptors. For a saturated run it tells the publisher how much has arrived, so that nothing piles up in Redis.
 */
import { connect, type Socket } from 'node:net'
import { nowUs } from './clock.ts'
import { type ConnectOrder, Fleet } from './fleet.ts'
import { serve } from './ipc.ts'
import { type Latency, Tally } from './tally.ts'
import { Usage } from './usage.ts'

const CHECK_MS = 2

export interface Arrivals {
  /** All messages since the process started. */
  delivered: number
  outOfOrder: number
  foreign: number
  /** Sockets that were closed under us, by reason. */
  lostSockets: Record<string, number>
  lastArrivalUs: number
  latencyMs: Latency
  generatorShare: number
}

const tally = new Tally()
const fleet = new Fleet(tally)
const usage = new Usage()
let acknowledgements: Socket | undefined
let acknowledged = 0

const commands = {
  connect: (order: ConnectOrder) => fleet.connect(order),

  sockets: (_: object) => ({ open: fleet.size, lost: fleet.lost }),

  /** From now on the publisher at `port` is told how many messages have arrived. */
  acknowledge: async ({ port }: { port: number }) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    acknowledgements = socket
    setInterval(acknowledge, CHECK_MS)
  },

  /** Starts a measurement: latencies, faults and CPU from here on. */
  restart: (_: object) => {
    tally.restart()
    usage.restart()
  },

  /** Resolves when `delivered` messages are there since the process started, or when none has come for `quietMs`. */
  arrivals: async ({ delivered, quietMs }: { delivered: number; quietMs: number }): Promise<Arrivals> => {
    await new Promise<void>((resolve) => {
      let [seen, seenUs] = [tally.delivered, nowUs()]
      const timer = setInterval(() => {
        if (tally.delivered !== seen) [seen, seenUs] = [tally.delivered, nowUs()]
        if (seen < delivered && nowUs() - seenUs < quietMs * 1000) return
        clearInterval(timer)
        resolve()
      }, CHECK_MS)
    })
    return report()
  },
}

function acknowledge(): void {
  if (tally.delivered === acknowledged) return
  acknowledged = tally.delivered
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(acknowledged)
  acknowledgements?.write(bytes)
}

function report(): Arrivals {
  const { delivered, outOfOrder, foreign, lastArrivalUs } = tally
  const counts = { delivered, outOfOrder, foreign, lastArrivalUs }
  return { ...counts, lostSockets: fleet.lost, latencyMs: tally.latencyMs(), generatorShare: usage.share() }
}

export type ReceiverCommands = typeof commands

serve(commands)
