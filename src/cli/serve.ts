import { setTimeout } from 'node:timers/promises'
import { environment, startCommand } from '../config/env.ts'
import { exposureOf } from '../config/exposure.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { loadChecklist } from '../doors/run/module.ts'
import { checkCertificate } from '../gateway/certificate.ts'
import { bracketed } from '../platform/address.ts'
import { mostSockets } from '../platform/open-files.ts'
import { portOwner } from '../platform/port-owner.ts'
import { asError, reasonOf } from '../platform/reason.ts'
import { VERSION } from '../platform/version.ts'
import { heapFolder, snapshotOnSignal } from '../telemetry/heap-snapshot.ts'
import { flushTelemetry } from '../telemetry/lifecycle.ts'
import { createLogger } from '../telemetry/log.ts'
import { TerminalLog } from '../telemetry/terminal.ts'
import { banner } from './banner.ts'
import { startRedis } from './embedded.ts'

/** Each of these drains, and the second one cuts. A terminal sends SIGHUP when it closes. */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const

/** The banner waits at most so long for the first answer of Redis. */
const FIRST_ANSWER_MS = 1000

/** Runs the gateway until a signal drains it, and ends the process with status 0. */
export async function serve(): Promise<void> {
  const loaded = loadConfig()
  const { config, notices } = loaded
  // Without a listener Node opens its inspector, through which any local process runs code here.
  if (config.nodeEnv === 'production') process.on('SIGUSR1', () => {})
  checkCertificate(config)
  const { Gateway } = await import('../gateway/gateway.ts')
  const { loadParts } = await import('../gateway/load.ts')
  const checklist = config.runChecklistModule === undefined ? undefined : await loadChecklist(config.runChecklistModule)
  const onTerminal = config.nodeEnv !== 'production' && process.stdout.isTTY
  const log = createLogger(config.logLevel, onTerminal ? terminalLog(config) : undefined)
  for (const notice of notices) log.warn({ event: 'setting' }, notice)
  snapshotOnSignal(heapFolder(config.heapSnapshotDir), log)
  const parts = await loadParts(loaded, environment(), log)
  // Last: when anything before it fails, no embedded server keeps the process alive.
  const redis = await startRedis(config)
  const gateway = new Gateway({ ...parts, redisUrl: redis.url, ...(checklist && { checklist }) })
  // A bug in one place must not close ten thousand sockets: count and log the error, and go on.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      gateway.fault()
      log.fatal({ err: asError(error), event }, 'uncaught error')
    })
  }
  let stopEcho = () => {}
  const finish = async (status: number) => {
    stopEcho()
    await redis.close()
    await flushTelemetry(parts.tracing, log)
    // Keep-alive connections of scrapers would keep the process alive; all else is closed by now.
    process.exit(status)
  }
  for (const signal of STOP_SIGNALS) process.on(signal, () => void gateway.stop().then(() => finish(0)))
  const { host } = config.listenAddr
  try {
    const { port, adminPort } = gateway.listen()
    const about = { maxConnections: mostSockets(config.maxConnections), version: VERSION, pid: process.pid }
    log.info({ event: 'listening', host, port, adminPort, ...about }, 'wsproxy listens')
    if (config.nodeEnv === 'production' && config.tlsCert === undefined)
      log.info({ event: 'no-tls' }, 'TLS_CERT is not set: TLS is left to the load balancer')
    const exposure = exposureOf(config)
    if (exposure !== undefined) log.info({ event: 'open-to-anybody' }, exposure)
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
    console.error(`${reasonOf(error)}${otherPort(config)}`)
    await finish(1)
  }
}

/** Waits for the first answer of Redis: it may say that its settings are wrong. */
async function firstFailure(gateway: { readonly redisReady: boolean; readonly redisFailure: string | undefined }) {
  const until = performance.now() + FIRST_ANSWER_MS
  while (!gateway.redisReady && gateway.redisFailure === undefined && performance.now() < until) await setTimeout(20)
  return gateway.redisReady ? undefined : gateway.redisFailure
}

/** Loaded lazily: most gateways run without it. */
const startEcho = async (redisUrl: string): Promise<() => void> =>
  (await import('./echo-agent.ts')).startEchoAgent(redisUrl)

const terminalLog = ({ logLevel }: Config): TerminalLog =>
  new TerminalLog({
    colours: process.stdout.hasColors(),
    everything: logLevel === 'debug' || logLevel === 'trace',
    write: (text) => process.stdout.write(text),
  })

/** Names the process that has a port of these settings, and how to take another port. */
function otherPort({ listenAddr, adminPort }: Config): string {
  const owners = [listenAddr.port, adminPort]
    .filter((port) => port !== undefined && port !== 0)
    .map((port) => [port, portOwner(port!)] as const)
    .filter(([, owner]) => owner !== undefined && !owner.endsWith(`(pid ${process.pid})`))
    .map(([port, owner]) => `. Port ${port} belongs to ${owner}`)
  const free = `${bracketed(listenAddr.host)}:${listenAddr.port + 1}`
  return `${owners.join('')}. Stop it, or take another port: LISTEN_ADDR=${free} ${startCommand()}`
}
