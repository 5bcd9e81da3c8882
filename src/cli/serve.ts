import { ConfigError, loadConfig } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { loadChecklist } from '../doors/run/module.ts'
import { bracketed } from '../platform/address.ts'
import { within } from '../platform/deadline.ts'
import { checkTls, tlsFiles } from '../platform/tls.ts'
import { VERSION } from '../platform/version.ts'
import { createLogger } from '../telemetry/log.ts'
import { loadPeers } from '../telemetry/peers.ts'
import { startRedis } from './embedded.ts'

/** How long the exit waits for the last traces to be sent. */
const TRACES_MS = 1000

/** Runs the gateway until SIGTERM or SIGINT, drains it, and ends the process with status 0. */
export async function serve(): Promise<void> {
  const { config, notices } = loadConfig()
  checkCertificate(config)
  const { Gateway } = await import('../gateway/gateway.ts')
  const { loadPreflight } = await import('../preflight/preflight.ts')
  const checklist = config.runChecklistModule === undefined ? undefined : await loadChecklist(config.runChecklistModule)
  const log = createLogger(config.logLevel)
  for (const notice of notices) log.warn({ event: 'setting' }, notice)
  const preflight = await loadPreflight(config, log)
  const redis = await startRedis(config)
  const { otelExporterOtlpEndpoint } = config
  const tracing =
    otelExporterOtlpEndpoint === undefined
      ? undefined
      : await loadPeers('OTEL_EXPORTER_OTLP_ENDPOINT', '@opentelemetry/', async () =>
          (await import('../telemetry/tracing.ts')).startTracing(otelExporterOtlpEndpoint),
        )
  const gateway = new Gateway({ config, redisUrl: redis.url, log, tracing, preflight, ...(checklist && { checklist }) })
  // A bug in one place must not close ten thousand sockets: count and log the error, and go on.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      gateway.fault()
      log.fatal({ err: error, event }, 'uncaught error')
    })
  }
  const finish = async (status: number) => {
    await redis.close()
    // A hanging collector must not delay the exit.
    if (tracing) await within(tracing.stop(), TRACES_MS).catch(() => {})
    log.flushSync()
    // Keep-alive connections of scrapers would keep the process alive; all else is closed by now.
    process.exit(status)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => void gateway.stop().then(() => finish(0)))
  const { host } = config.listenAddr
  try {
    const { port, adminPort } = gateway.listen()
    log.info({ event: 'listening', host, port, adminPort, version: VERSION, pid: process.pid }, 'wsproxy listens')
    if (config.nodeEnv === 'production' && config.tlsCert === undefined)
      log.info({ event: 'no-tls' }, 'TLS_CERT is not set: TLS is left to the load balancer')
    if (config.nodeEnv === 'production') return
    console.error(
      `wsproxy ${VERSION} listens on ${config.tlsCert === undefined ? 'http' : 'https'}://${bracketed(host)}:${port}`,
    )
    if (redis.embedded !== undefined)
      console.error(
        `REDIS_URL is not set: started an embedded Redis for development at redis://${redis.embedded}; ` +
          '"wsproxy redis-url" prints its URL with the password',
      )
  } catch (error) {
    await gateway.stop()
    console.error((error as Error).message)
    await finish(1)
  }
}

/** @throws ConfigError when the certificate and its key cannot be used. */
function checkCertificate(config: Config): void {
  const files = tlsFiles(config)
  try {
    if (files) checkTls(files)
  } catch (error) {
    throw new ConfigError([(error as Error).message])
  }
}
