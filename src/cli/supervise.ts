import { randomBytes } from 'node:crypto'
import type { Loaded } from '../config/load.ts'
import { exceeded } from '../config/shares.ts'
import { settings } from '../config/table.ts'
import type { Ports } from '../contract/workers.ts'
import { VERSION } from '../platform/version.ts'
import type { Logger } from '../telemetry/log.ts'
import { Supervisor } from '../workers/supervisor.ts'
import { banner } from './banner.ts'
import { workerShares } from './divided.ts'
import { startRedis } from './embedded.ts'
import { logExposure, logOf, startEcho } from './serving.ts'
import { followSignals } from './signals.ts'

/** Longest wait for the last lines of the log, in ms. */
const LAST_LINES_MS = 1000

/** Runs `count` gateways that share the ports, until a signal drains all of them. */
export async function supervise(loaded: Loaded, count: number): Promise<void> {
  const { config, notices } = loaded
  const log = logOf(config)
  for (const notice of notices) log.warn({ event: 'setting' }, notice)
  const redis = await startRedis(config)
  let stopEcho = () => {}
  const supervisor = new Supervisor({
    count,
    begin: { redisUrl: redis.url, secret: randomBytes(16).toString('hex') },
    graceMs: config.shutdownGracePeriodMs,
    log,
    listening: (ports) => void listening(ports),
    ended: async (status) => {
      stopEcho()
      await redis.close()
      await log.flushWithin(LAST_LINES_MS)
      process.exit(status)
    },
  })
  async function listening({ port, adminPort }: Ports): Promise<void> {
    const about = { workers: count, version: VERSION, pid: process.pid }
    log.info({ event: 'listening', host: config.listenAddr.host, port, adminPort, ...about }, 'wsproxy listens')
    log.info({ event: 'worker-limits', workers: count, ...workerShares(loaded, count) }, 'what each worker may take')
    for (const key of exceeded(config, count)) {
      const { env: name } = settings[key]
      const text = `${name}=${config[key]} is less than WORKERS=${count}: each worker takes 1, so all take ${count}`
      log.warn({ event: 'worker-limit-exceeded', setting: name, limit: config[key], workers: count }, text)
    }
    logExposure(config, log)
    if (config.nodeEnv === 'production') return
    const echoes = redis.embedded !== undefined && config.demoAgent
    if (echoes) stopEcho = await startEcho(redis.url)
    const { url: redisUrl, embedded } = redis
    // A worker that cannot use its Redis says so in its own lines.
    console.error(banner(config, { port, adminPort, redisUrl, embedded, redisFailure: undefined, echoes }))
  }
  // A signal that came in the start is followed first: the supervisor then starts nothing, or rolls
  // later.
  await onSignals(supervisor, log)
  supervisor.start()
}

function onSignals(supervisor: Supervisor, log: Logger): Promise<void> {
  process.on('SIGUSR2', () =>
    log.warn(
      { event: 'heap-snapshot' },
      'this process has no sockets: send SIGUSR2 to a worker, or use "wsproxy heap"',
    ),
  )
  // A terminal that closes sends SIGHUP too.
  return followSignals((signal) => {
    if (signal === 'SIGHUP' && !process.stdout.isTTY) void supervisor.roll()
    else supervisor.stop()
  })
}
