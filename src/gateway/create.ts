import { environment } from '../config/env.ts'
import { ConfigError, loadConfig } from '../config/load.ts'
import { secretsIn } from '../config/secrets.ts'
import type { Config } from '../config/table.ts'
import type { Checklist } from '../doors/run/checklist.ts'
import { loadChecklist } from '../doors/run/module.ts'
import { protect } from '../platform/redact.ts'
import type { Check } from '../preflight/check.ts'
import { flushTelemetry } from '../telemetry/lifecycle.ts'
import { createLogger } from '../telemetry/log.ts'
import { checkCertificate } from './certificate.ts'
import { Gateway } from './gateway.ts'
import { loadParts } from './load.ts'
import type { OwnDoors } from './own-doors.ts'

/** What programs need that embed the gateway, or that have doors or checks of their own. */
export type { Batch, Source, Topic } from '../connection/bind.ts'
export type { Connection } from '../connection/connection.ts'
export type { Admission, Door } from '../connection/door.ts'
export type { Close, Refusal } from '../contract/codes.ts'
export type { Checklist, Fields } from '../doors/run/checklist.ts'
export type { PathPattern } from '../http/path.ts'
export type { Check, CheckContext, Launch, Verdict } from '../preflight/check.ts'
export type { DoorTools, OwnDoors } from './own-doors.ts'

/** What `createGateway` takes. */
export interface CreateGatewayOptions {
  /**
   * The settings, under the names of docs/reference/settings.md. Default: the environment of this
   * process, which is not read when this is given.
   */
  readonly settings?: Readonly<Record<string, string>>
  /** Gets each line of the log, which is JSON and ends with a line feed. Default: stdout. */
  readonly log?: (line: string) => void
  /** The checklist of the run door. Default: that of `RUN_CHECKLIST_MODULE`, else of WEPP runs. */
  readonly checklist?: Checklist
  /** Preflight checks beside the built-in ones and those of `PREFLIGHT_CHECKS_FOLDER`. */
  readonly checks?: readonly Check[]
  /** Makes doors beside session, run and live. Their paths come before those of session and run. */
  readonly doors?: OwnDoors
}

/** A gateway inside another program. */
export interface EmbeddedGateway {
  /** Whether Redis is ready and all channels are subscribed. Until then upgrades get 503. */
  readonly redisReady: boolean
  /**
   * Starts to listen at `LISTEN_ADDR` (port 0: any free one) and returns the ports. `adminPort` is
   * undefined without `ADMIN_PORT`. @throws Error when an address is taken, and when `listen`
   * or `stop` was called before.
   */
  listen(): { readonly port: number; readonly adminPort: number | undefined }
  /**
   * Drains and stops, within `SHUTDOWN_GRACE_PERIOD`; a second call cuts all sockets at once.
   * Resolves when everything has stopped. Never rejects.
   */
  stop(): Promise<void>
}

/**
 * Makes a gateway that connects to Redis at once and serves after `listen`. It installs no signal
 * handlers and never ends the process: the caller calls `stop`, and should log uncaught errors
 * instead of exiting, since one bug must not close all sockets.
 * Several gateways in one process are independent, except that all of them have the same
 * `REDIS_KEY_PREFIX`.
 * @throws ConfigError with all problems of the settings, checks and checklist; Error for two doors
 * of one name or path, and for a second `REDIS_KEY_PREFIX` in this process.
 */
export async function createGateway(options: CreateGatewayOptions = {}): Promise<EmbeddedGateway> {
  const settings = { ...(options.settings ?? environment()) }
  protect(secretsIn(settings))
  const loaded = loadConfig(settings)
  const { config, notices } = loaded
  const redisUrl = redisOf(config)
  checkCertificate(config)
  const { log: write } = options
  const log = createLogger(config.logLevel, write && { write })
  for (const notice of notices) log.warn({ event: 'setting' }, notice)
  if (config.workers !== 1)
    log.warn({ event: 'setting' }, 'WORKERS: only "wsproxy serve" starts workers; it is not used')
  const { runChecklistModule: module } = config
  const checklist = options.checklist ?? (module === undefined ? undefined : await loadChecklist(module))
  const parts = await loadParts(loaded, settings, log, options.checks)
  const gateway = new Gateway({ ...parts, redisUrl, ...(checklist && { checklist }) })
  try {
    if (options.doors) gateway.addDoors(options.doors)
  } catch (error) {
    // It has connected to Redis already. The second call cuts the pauses of a drain.
    void gateway.stop()
    await gateway.stop()
    throw error
  }
  // Another port would outlive the first one, or `stop`.
  let called: 'listen' | 'stop' | undefined
  return {
    get redisReady() {
      return gateway.redisReady
    },
    listen: () => {
      if (called !== undefined) throw new Error(`${called} was called before: call createGateway again`)
      const ports = gateway.listen()
      called = 'listen'
      return ports
    },
    stop: async () => {
      called = 'stop'
      await gateway.stop()
      await flushTelemetry(parts.tracing, log)
    },
  }
}

/** @throws ConfigError when no setting says where Redis is: only the command starts one. */
function redisOf({ redisUrl, redisSentinels, redisClusterNodes }: Config): string {
  if (redisUrl === undefined && redisSentinels.length + redisClusterNodes.length === 0)
    throw new ConfigError(['REDIS_URL is not set. Only "wsproxy serve" starts an embedded Redis, for development.'])
  // With Sentinels or a cluster, only the credentials and the database of this URL are used.
  return redisUrl ?? 'redis://localhost'
}
