import { environment } from '../config/env.ts'
import { exposureOf } from '../config/exposure.ts'
import type { Loaded } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { loadChecklist } from '../doors/run/module.ts'
import { checkCertificate } from '../gateway/certificate.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { GatewayOptions } from '../gateway/options.ts'
import { watchHeapGrowth } from '../platform/heap-growth.ts'
import { asError } from '../platform/reason.ts'
import { heapFolder, snapshotOnSignal } from '../telemetry/heap-snapshot.ts'
import { createLogger, type Logger } from '../telemetry/log.ts'
import { TerminalLog } from '../telemetry/terminal.ts'

/** In production SIGUSR1 opens no inspector, which runs the code of any local process. */
export function closeInspector({ nodeEnv }: Config): void {
  if (nodeEnv === 'production') process.on('SIGUSR1', () => {})
}

/**
 * The log of this process: for people on a terminal in development, else JSON lines.
 * @param worker its number, which stands in each line. Default: this process is no worker.
 */
export function logOf(config: Config, worker?: number): Logger {
  const onTerminal = config.nodeEnv !== 'production' && process.stdout.isTTY
  return createLogger(config.logLevel, onTerminal ? terminalLog(config) : undefined, worker)
}

const terminalLog = ({ logLevel }: Config): TerminalLog =>
  new TerminalLog({
    colours: process.stdout.hasColors(),
    everything: logLevel === 'debug' || logLevel === 'trace',
    write: (text) => process.stdout.write(text),
  })

/**
 * Loads all that a gateway with these settings consists of, and returns what opens it.
 * @param worker as in `logOf`. A worker leaves the notices to its supervisor.
 * @param workers how many there are of it.
 */
export async function prepare(loaded: Loaded, worker?: number, workers?: number) {
  const { config, notices } = loaded
  checkCertificate(config)
  const { Gateway } = await import('../gateway/gateway.ts')
  const { loadParts } = await import('../gateway/load.ts')
  const checklist = config.runChecklistModule === undefined ? undefined : await loadChecklist(config.runChecklistModule)
  const log = logOf(config, worker)
  if (worker === undefined) for (const notice of notices) log.warn({ event: 'setting' }, notice)
  watchHeapGrowth(workers)
  snapshotOnSignal(heapFolder(config.heapSnapshotDir), log)
  const parts = await loadParts(loaded, environment(), log)
  const open = (own: Pick<GatewayOptions, 'redisUrl' | 'sharing'>): Gateway => {
    const gateway = new Gateway({ ...parts, ...own, ...(checklist && { checklist }) })
    surviveFaults(gateway, log)
    return gateway
  }
  return { log, tracing: parts.tracing, open }
}

/** Counts and logs uncaught errors: a bug in one place must not close ten thousand sockets. */
function surviveFaults(gateway: Gateway, log: Logger): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      gateway.fault()
      log.fatal({ err: asError(error), event }, 'uncaught error')
    })
  }
}

/** Logs what the settings leave open. */
export function logExposure(config: Config, log: Logger): void {
  if (config.nodeEnv === 'production' && config.tlsCert === undefined)
    log.info({ event: 'no-tls' }, 'TLS_CERT is not set: TLS is left to the load balancer')
  const exposure = exposureOf(config)
  if (exposure !== undefined) log.info({ event: 'open-to-anybody' }, exposure)
}

/** Loaded lazily: most gateways run without it. */
export const startEcho = async (redisUrl: string): Promise<() => void> =>
  (await import('./echo-agent.ts')).startEchoAgent(redisUrl)
