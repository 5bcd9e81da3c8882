import { loadConfig } from '../config/load.ts'
import { InvalidField, launchOf } from '../preflight/http/request.ts'
import { loadPreflight, Preflight } from '../preflight/preflight.ts'
import { listenAlone } from '../preflight/probes/loopback.ts'
import { openStandalone } from '../preflight/probes/standalone.ts'
import { createLogger } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
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

/** Until Redis is there; a run without it says so. */
const REDIS_MS = 2000
const RECORD_MS = 1000
const LOOK_MS = 5

/** Which option a member of the launch comes from. */
const OPTIONS: Readonly<Record<string, string>> = {
  sessionId: '--session',
  runId: '--run',
  agentId: '--agent',
  eventType: '--event-type',
  campaignId: '--campaign',
}

/** Runs all preflight checks in full mode and explains what is wrong; exit status 1 when something has failed. A gateway need not run. */
export async function doctor(options: DoctorOptions): Promise<void> {
  const launch = readLaunch(options)
  const { config } = loadConfig()
  const found = await findRedis(config)
  const told = options.json ? () => {} : (line: string) => console.log(line)
  const log = new LastReason()
  const metrics = new Metrics()
  let stop = async () => {}
  try {
    const loaded = await loadPreflight(config, log.logger)
    const redisOptions = { ...config, url: found.url, afterTokenMs: 0, sharded: config.shardedPubSub }
    const { client: redis, access } = openStandalone(redisOptions, metrics, log.logger)
    const alone = { note: '' }
    const preflight = new Preflight({
      config,
      loaded,
      redis: access,
      redisUrl: found.url,
      metrics,
      log: log.logger,
      sockets: () => 0,
      notReadyReason: () => undefined,
      note: () => alone.note,
    })
    const listener = await listenAlone(preflight.loopback, config.listen).catch((error: Error) => {
      preflight.loopback.notListening(error.message)
    })
    alone.note = listener?.note ?? ''
    stop = async () => {
      listener?.stop()
      redis.close()
    }
    await until(() => redis.ready || log.reason !== undefined, REDIS_MS)
    told(`Redis: ${preflight.redisAddress} (${found.source})`)
    if (!redis.ready && log.reason !== undefined) told(`       cannot be reached: ${log.reason}`)
    told('')
    const report = await preflight.run(launch, 'doctor')
    if (options.json)
      console.log(
        JSON.stringify(
          {
            ...report,
            redis: {
              address: preflight.redisAddress,
              source: found.source,
              ...(!redis.ready && { reason: log.reason }),
            },
          },
          null,
          2,
        ),
      )
    else {
      const { columns = 80, isTTY } = process.stdout
      console.log(tableOf(report, { width: columns, colours: isTTY && process.stdout.hasColors() }))
    }
    if (!report.healthy) process.exitCode = 1
    await preflight.stop(RECORD_MS)
  } finally {
    await stop()
    metrics.stop()
    await found.close()
  }
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

/** A log of which only the last reason of a trouble with Redis is kept, for people. */
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
