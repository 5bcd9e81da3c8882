/**
 * The publishing process. It sends raw RESP to Redis in batches, and also listens to what clients
 * publish. It has two ways of keeping time:
 * - paced (open loop, pace.ts): a fixed number each millisecond, stamped with the time at which
 * they were due;
 * - saturated (closed window): as fast as messages arrive at the clients, with at most `window` of
 * them under way.
 */
import { connect, createServer, type Socket } from 'node:net'
import { nowUs } from './clock.ts'
import { command } from './command.ts'
import { DIALECTS, type DialectName } from './dialects.ts'
import { serve } from './ipc.ts'
import { Listener } from './listener.ts'
import { LivePublishes } from './live.ts'
import { keepPace, type Pace } from './pace.ts'
import { Publishes } from './publishes.ts'
import { Changes } from './runs.ts'
import { publishUntilHeard, type UntilHeard } from './until-heard.ts'
import { collectGarbage, Usage } from './usage.ts'

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

interface Batches {
  /** The messages number `first` to `first + count - 1` of all, stamped with `atUs`. */
  batch(first: number, count: number, atUs: number): Buffer
  /** The kernel has taken a batch, so its memory may be reused. */
  written?(batch: Buffer): void
}

interface Order {
  redisPort: number
  sessions: number
  /** The number of messages in a row to each session; 1 by default. */
  burst?: number
  dialect?: DialectName
  subjectPort?: number
}

/** Messages as fast as they arrive. */
interface Flood {
  count: number
  /** The most under way. */
  window: number
  /** Messages to a write, and one write to a turn. Default: up to 1,024, while there is room. */
  batch?: number
}

const listener = new Listener()
let redis: Socket
let publishes: Batches
let published = 0
let acknowledged = 0
let wake = () => {}

const commands = {
  /**
   * Connects to Redis, or to the subject where agents publish there. Returns the port at which
   * acknowledgements are awaited.
   */
  open: async ({ redisPort, sessions, burst, dialect: name = 'plain', subjectPort }: Order) => {
    const dialect = DIALECTS[name]
    publishes = new Publishes(sessions, burst, dialect)
    if (dialect.publishTo === 'subject') await openSubject(subjectPort!)
    else await openRedis(redisPort)
    return { acknowledgementPort: await listenForAcknowledgements() }
  },

  /** Connects to Redis to change runs. Only for `paced`. */
  openRuns: async ({ redisPort, runs }: { redisPort: number; runs: number }) => {
    publishes = new Changes(runs)
    await openRedis(redisPort)
  },

  /** Connects to Redis to publish to live topics. Only for `paced`. */
  openLive: async ({ redisPort, topics }: { redisPort: number; topics: number }) => {
    publishes = new LivePublishes(topics)
    await openRedis(redisPort)
  },

  paced: (pace: Pace) => measured(() => paced(pace)),

  saturated: (flood: Flood) => measured(() => saturated(flood)),

  /** Publishes to each session until it has a subscriber. See `publishUntilHeard`. */
  untilHeard: (order: UntilHeard) => publishUntilHeard(order),

  /** Subscribes to what clients publish on the sessions 0 to `sessions - 1`. */
  listen: (order: { redisPort: number; sessions: number }) => listener.open(order),

  restartListener: (_: object) => listener.restart(),

  /**
   * Resolves when `count` client messages have arrived since `listen`, or when none has come for
   * `quietMs`.
   */
  heard: (until: { count: number; quietMs: number }) => listener.heard(until),
}

async function openRedis(port: number): Promise<void> {
  redis = connect({ host: '127.0.0.1', port, noDelay: true })
  await new Promise((resolve, reject) => redis.once('connect', resolve).once('error', reject))
  redis.write(command('CLIENT', 'REPLY', 'OFF'))
  redis.on('data', (bytes) => process.stderr.write(`redis to the publisher: ${bytes.toString()}`))
  redis.on('drain', () => wake())
}

/** Publishes over pipelined HTTP/1.1. Answers are not awaited, but each must be a success. */
async function openSubject(port: number): Promise<void> {
  redis = connect({ host: '127.0.0.1', port, noDelay: true })
  await new Promise((resolve, reject) => redis.once('connect', resolve).once('error', reject))
  redis.on('data', (bytes) => {
    const refusal = /HTTP\/1\.1 [^2][^\r]*/.exec(bytes.toString('latin1'))?.[0]
    if (refusal) process.stderr.write(`the subject to the publisher: ${refusal}\n`)
  })
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
      acknowledged = rest.readDoubleLE(whole - 8) // totals: the newest one suffices
      rest = rest.subarray(whole)
      wake()
    })
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}

function write(count: number, atUs: number): void {
  const batch = publishes.batch(published, count, atUs)
  redis.write(batch, () => publishes.written?.(batch))
  published += count
}

async function measured(publish: () => Promise<number>): Promise<Published> {
  collectGarbage()
  const usage = new Usage()
  const startedUs = nowUs()
  const lagP99Ms = await publish()
  const seconds = (nowUs() - startedUs) / 1e6
  return { total: published, startedUs, seconds, lagP99Ms, generatorShare: usage.used().generatorShare }
}

function saturated({ count, window, batch }: Flood): Promise<number> {
  if (batch !== undefined) return smooth(count, window, batch)
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

function smooth(count: number, window: number, batch: number): Promise<number> {
  const end = published + count
  let scheduled = false
  return new Promise((resolve) => {
    const next = () => {
      scheduled = false
      const room = Math.min(batch, end - published, window - (published - acknowledged))
      if (room > 0 && redis.writableLength < MAX_UNWRITTEN_BYTES) {
        write(room, nowUs())
        wake()
      }
      if (published === end) resolve(0)
    }
    wake = () => {
      if (scheduled || published === end) return
      scheduled = true
      setImmediate(next)
    }
    wake()
  })
}

function paced(pace: Pace): Promise<number> {
  return keepPace(pace, () => redis.writableLength < MAX_UNWRITTEN_BYTES, write)
}

export type PublisherCommands = typeof commands

serve(commands)
