import { setTimeout } from 'node:timers/promises'
import { loadConfig } from '../config/load.ts'
import { workerCount } from '../platform/cpus.ts'
import { mostSockets } from '../platform/open-files.ts'
import { VERSION } from '../platform/version.ts'
import { flushTelemetry } from '../telemetry/lifecycle.ts'
import { banner } from './banner.ts'
import { startRedis } from './embedded.ts'
import { startFailure } from './listen-failure.ts'
import { closeInspector, logExposure, prepare, startEcho } from './serving.ts'
import { followSignals } from './signals.ts'

/** The banner waits at most so long for the first answer of Redis. */
const FIRST_ANSWER_MS = 1000

/** Runs the gateway until a signal drains it, and ends the process with status 0. */
export async function serve(): Promise<void> {
  const loaded = loadConfig()
  const { config } = loaded
  closeInspector(config)
  const workers = workerCount(config.workers)
  if (workers > 1) return (await import('./supervise.ts')).supervise(loaded, workers)
  const { log, tracing, open } = await prepare(loaded)
  // Last: when anything before it fails, no embedded server keeps the process alive.
  const redis = await startRedis(config)
  const gateway = open({ redisUrl: redis.url })
  let stopEcho = () => {}
  const finish = async (status: number) => {
    stopEcho()
    await redis.close()
    await flushTelemetry(tracing, log)
    // Keep-alive connections of scrapers would keep the process alive; all else is closed by now.
    process.exit(status)
  }
  let isStopping = false
  // Each signal drains, and the second one cuts. A terminal sends SIGHUP when it closes.
  await followSignals(() => {
    isStopping = true
    void gateway.stop().then(() => finish(0))
  })
  if (isStopping) return
  const { host } = config.listenAddr
  try {
    const { port, adminPort } = gateway.listen()
    const about = { maxConnections: mostSockets(config), version: VERSION, pid: process.pid }
    log.info({ event: 'listening', host, port, adminPort, ...about }, 'wsproxy listens')
    logExposure(config, log)
    if (config.nodeEnv === 'production') return
    const echoes = redis.embedded !== undefined && config.demoAgent
    if (echoes) stopEcho = await startEcho(redis.url)
    const redisFailure = await firstFailure(gateway)
    const { url: redisUrl, embedded } = redis
    console.error(banner(config, { port, adminPort, redisUrl, embedded, redisFailure, echoes }))
  } catch (error) {
    // Nothing was served, so there is no drain to report.
    log.level = 'silent'
    await gateway.stop()
    console.error(await startFailure(error, config))
    await finish(1)
  }
}

/** Waits for the first answer of Redis: it may say that its settings are wrong. */
async function firstFailure(gateway: { readonly redisReady: boolean; readonly redisFailure: string | undefined }) {
  const until = performance.now() + FIRST_ANSWER_MS
  while (!gateway.redisReady && gateway.redisFailure === undefined && performance.now() < until) await setTimeout(20)
  return gateway.redisReady ? undefined : gateway.redisFailure
}
