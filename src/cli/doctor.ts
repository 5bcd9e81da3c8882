import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { useKeyPrefix } from '../contract/names.ts'
import { askKeySet } from '../gateway/jwts.ts'
import { workerCount } from '../platform/cpus.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Report } from '../preflight/check.ts'
import { InvalidField, launchOf } from '../preflight/http/request.ts'
import { loadPreflight, Preflight } from '../preflight/preflight.ts'
import { listenAlone } from '../preflight/probes/loopback.ts'
import { openStandalone } from '../preflight/probes/standalone.ts'
import { createLogger } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { dividedFor } from './divided.ts'
import { findRedis } from './embedded.ts'
import { Misused } from './failure.ts'
import { tableOf } from './table.ts'

export interface DoctorOptions {
  readonly json?: true
  readonly session?: string
  readonly run?: string
  readonly agent?: string
  readonly eventType?: string
  readonly campaign?: string
}

/** The wait for a connection to Redis. After it the checks run and report that Redis is missing. */
const REDIS_MS = 2000
/** The wait for the connection that the checks use, when the other one has failed before it. */
const OTHER_MS = 500
const RECORD_MS = 1000
const LOOK_MS = 5

/** The command-line option behind each member of the launch. */
const OPTIONS: Readonly<Record<string, string>> = {
  sessionId: '--session',
  runId: '--run',
  agentId: '--agent',
  eventType: '--event-type',
  campaignId: '--campaign',
}

/**
 * Runs all preflight checks in full mode and prints what is wrong. Exit status 1: a check failed.
 * No gateway needs to run.
 */
export async function doctor(options: DoctorOptions): Promise<void> {
  const launch = readLaunch(options)
  const loaded = loadConfig()
  const workers = workerCount(loaded.config.workers)
  // The checks are those of one worker, as it makes them itself.
  const { config } = workers > 1 ? dividedFor(workers, loaded) : loaded
  useKeyPrefix(config.redisKeyPrefix)
  const found = await findRedis(config)
  const log = new LastReason()
  const metrics = new Metrics()
  let close = () => {}
  try {
    const opened = await open(config, workers, found.url, metrics, log)
    const { preflight, redis } = opened
    close = opened.close
    await until(() => redis.ready || log.reason !== undefined, REDIS_MS)
    await until(() => redis.ready || redis.failure !== undefined, OTHER_MS)
    const reason = redis.ready ? undefined : log.reason
    if (!options.json) {
      printRedis(preflight.redisAddress, found.source, reason)
      if (workers > 1)
        console.log(`Workers: ${workers}; the checks are those of one of them, with its part of the limits\n`)
    }
    const report = await preflight.run(launch, 'doctor')
    const where = { address: preflight.redisAddress, source: found.source, ...(reason !== undefined && { reason }) }
    if (options.json) console.log(JSON.stringify({ ...report, redis: where }, null, 2))
    else printReport(report)
    if (!report.healthy) process.exitCode = 1
    await preflight.stop(RECORD_MS)
  } finally {
    close()
    metrics.stop()
    await found.close()
  }
}

/** Opens Redis, a listener and the preflight that a gateway would have. */
async function open(config: Config, workers: number, redisUrl: string, metrics: Metrics, { logger: log }: LastReason) {
  const loaded = await loadPreflight(config, log)
  const redisOptions = { ...config, url: redisUrl, afterTokenMs: 0 }
  const { client: redis, access } = openStandalone(redisOptions, metrics, log)
  let note = ''
  const preflight = new Preflight({
    config,
    workers,
    loaded,
    redis: access,
    redisUrl,
    metrics,
    log,
    sockets: () => 0,
    unknownProxies: () => [],
    keySet: () => askKeySet(config),
    notReadyReason: () => undefined,
    note: () => note,
  })
  const listener = await listenAlone(preflight.loopback, config).catch((error: Error) => {
    preflight.loopback.notListening(reasonOf(error))
  })
  note = listener?.note ?? ''
  const close = () => {
    listener?.stop()
    redis.close()
  }
  return { preflight, redis, close }
}

function printRedis(address: string, source: string, reason: string | undefined): void {
  console.log(`Redis: ${address} (${source})`)
  if (reason !== undefined) console.log(`       cannot be reached: ${reason}`)
  console.log('')
}

function printReport(report: Report): void {
  const { columns = 80, isTTY } = process.stdout
  console.log(tableOf(report, { width: columns, colours: isTTY && process.stdout.hasColors() }))
}

function readLaunch({ session, run, agent, eventType, campaign }: DoctorOptions) {
  const given = { sessionId: session, runId: run, agentId: agent, eventType, campaignId: campaign }
  try {
    return launchOf(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))).launch
  } catch (error) {
    if (error instanceof InvalidField) throw new Misused(error.message.replace(error.field, OPTIONS[error.field] ?? ''))
    throw error
  }
}

/** A log that keeps only the last reason for a lost connection to Redis. */
class LastReason {
  reason: string | undefined
  readonly logger = createLogger('warn', {
    write: (line: string) => {
      const { event, reason } = JSON.parse(line) as { event?: string; reason?: string }
      if (event === 'redis-lost') this.reason = reason
    },
  })
}

async function until(done: () => boolean, patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!done() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}
