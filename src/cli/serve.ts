import { loadConfig } from '../config/load.ts'
import { loadChecklist } from '../doors/run/module.ts'
import { within } from '../platform/deadline.ts'
import { VERSION } from '../platform/version.ts'
import { createLogger } from '../telemetry/log.ts'
import { startRedis } from './embedded.ts'

/** For the last traces to leave the process. */
const TRACES_MS = 1000

/** Runs the gateway until it is told to stop and has drained; then ends the process with status 0. */
export async function serve(): Promise<void> {
  const { config } = loadConfig()
  const { Gateway } = await import('../gateway/gateway.ts')
  const { loadPreflight } = await import('../preflight/preflight.ts')
  const checklist = config.runChecklistModule === undefined ? undefined : await loadChecklist(config.runChecklistModule)
  const log = createLogger(config.logLevel)
  const preflight = await loadPreflight(config, log)
  const redis = await startRedis(config)
  const { otlpEndpoint } = config
  const tracing =
    otlpEndpoint === undefined ? undefined : await (await import('../telemetry/tracing.ts')).startTracing(otlpEndpoint)
  const gateway = new Gateway({ config, redisUrl: redis.url, log, tracing, preflight, ...(checklist && { checklist }) })
  // A fault that no handler caught must not take ten thousand sockets with it.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      gateway.fault()
      log.fatal({ err: error, event }, 'fault that nothing caught')
    })
  }
  const finish = async (status: number) => {
    await redis.close()
    // A collector that hangs holds up nobody's exit.
    if (tracing) await within(tracing.stop(), TRACES_MS).catch(() => {})
    log.flushSync()
    // Keep-alive connections of scrapers would hold the process; all that mattered is closed.
    process.exit(status)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => void gateway.stop().then(() => finish(0)))
  const { host } = config.listen
  try {
    const { port, adminPort } = gateway.listen()
    log.info({ event: 'listening', host, port, adminPort, version: VERSION, pid: process.pid }, 'wsproxy listens')
    if (config.production === 'production') return
    console.error(`wsproxy ${VERSION} listens on http://${host.includes(':') ? `[${host}]` : host}:${port}`)
    if (redis.embedded) console.error(`no REDIS_URL: an embedded Redis, for development, is at ${redis.url}`)
  } catch (error) {
    await gateway.stop()
    console.error((error as Error).message)
    await finish(1)
  }
}
