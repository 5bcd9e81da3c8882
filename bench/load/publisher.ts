/**
 * The publishing process: raw RESP to Redis, in batches. Two ways of keeping time:
 * - paced (open loop): a fixed number each millisecond, stamped with the moment at which they were due, so that a wait
 *   anywhere counts as latency, also one of the publisher itself (no coordinated omission);
 * - saturated (closed window): as fast as messages arrive at the clients, with at most `window` of them under way.
 */
import { connect, createServer, type Socket } from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import { nowUs } from './clock.ts'
import { serve } from './ipc.ts'
import { LivePublishes } from './live.ts'
import { Publishes } from './publishes.ts'
import { Changes } from './runs.ts'
import { Usage } from './usage.ts'

const TICK_US = 1000
const MAX_BATCH = 1024
const MAX_UNWRITTEN_BYTES = 1024 * 1024

export interface Published {
  /** All messages since the process started. */
  total: number
  startedUs: number
  seconds: number
  /** How late a paced batch was handed to the kernel. */
  lagP99Ms: number
  generatorShare: number
}

let redis: Socket
let publishes: Publishes | Changes | LivePublishes
let published = 0
let acknowledged = 0
let wake = () => {}

const commands = {
  /** Connects to Redis. Returns the port at which acknowledgements are awaited. */
  open: async ({ redisPort, sessions }: { redisPort: number; sessions: number }) => {
    publishes = new Publishes(sessions)
    await openRedis(redisPort)
    return { acknowledgementPort: await listenForAcknowledgements() }
  },

  /** Connects to Redis to change runs, which only goes with `paced`. */
  openRuns: async ({ redisPort, runs }: { redisPort: number; runs: number }) => {
    publishes = new Changes(runs)
    await openRedis(redisPort)
  },

  /** Connects to Redis to publish to live topics. Returns the port at which acknowledgements are awaited. */
  openLive: async ({ redisPort, topics }: { redisPort: number; topics: number }) => {
    publishes = new LivePublishes(topics)
    await openRedis(redisPort)
    return { acknowledgementPort: await listenForAcknowledgements() }
  },

  paced: ({ count, perSecond }: { count: number; perSecond: number }) => measured(() => paced(count, perSecond)),

  saturated: ({ count, window }: { count: number; window: number }) => measured(() => saturated(count, window)),
}

async function openRedis(port: number): Promise<void> {
  redis = connect({ host: '127.0.0.1', port, noDelay: true })
  await new Promise((resolve, reject) => redis.once('connect', resolve).once('error', reject))
  redis.write('*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n')
  redis.on('data', (bytes) => process.stderr.write(`redis to the publisher: ${bytes.toString()}`))
  redis.on('drain', () => wake())
}

function listenForAcknowledgements(): Promise<number> {
  const server = createServer((socket) => {
    let rest = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes])
      const whole = rest.length - (rest.length % 8)
      if (whole === 0) return
      acknowledged = rest.readDoubleLE(whole - 8) // totals: the newest says it all
      rest = rest.subarray(whole)
      wake()
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}

function write(count: number, atUs: number): void {
  redis.write(publishes.batch(published, count, atUs))
  published += count
}

async function measured(publish: () => Promise<number>): Promise<Published> {
  const usage = new Usage()
  const startedUs = nowUs()
  const lagP99Ms = await publish()
  const seconds = (nowUs() - startedUs) / 1e6
  return { total: published, startedUs, seconds, lagP99Ms, generatorShare: usage.share() }
}

function saturated(count: number, window: number): Promise<number> {
  const end = published + count
  const least = Math.min(MAX_BATCH, Math.ceil(window / 8))
  return new Promise((resolve) => {
    wake = () => {
      while (published < end && redis.writableLength < MAX_UNWRITTEN_BYTES) {
        const room = Math.min(MAX_BATCH, end - published, window - (published - acknowledged))
        if (room < Math.min(least, end - published)) return
        write(room, nowUs())
      }
      if (published === end) resolve(0)
    }
    wake()
  })
}

function paced(count: number, perSecond: number): Promise<number> {
  const lagUs = createHistogram({ lowest: 1, highest: 60_000_000, figures: 3 })
  const perTick = (perSecond * TICK_US) / 1e6
  const first = published
  const startUs = nowUs() + TICK_US
  return new Promise((resolve) => {
    let tick = 0
    const step = () => {
      sleepUntil(startUs + tick * TICK_US)
      while (startUs + tick * TICK_US <= nowUs() && redis.writableLength < MAX_UNWRITTEN_BYTES) {
        const due = Math.min(count, Math.floor((tick + 1) * perTick)) - (published - first)
        if (due > 0) write(due, startUs + tick * TICK_US)
        lagUs.record(Math.max(1, Math.round(nowUs() - startUs - tick * TICK_US)))
        tick++
      }
      if (published - first >= count) resolve(lagUs.percentile(99) / 1000)
      else setImmediate(step)
    }
    step()
  })
}

const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Sleeps this thread: timers of the event loop are a millisecond coarse, this one is exact to about 50 us. */
function sleepUntil(us: number): void {
  const ms = (us - nowUs()) / 1000
  if (ms > 0) Atomics.wait(NEVER, 0, 0, ms)
}

export type PublisherCommands = typeof commands

serve(commands)
