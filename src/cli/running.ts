import type { EffectiveSetting } from '../config/describe.ts'
import type { Config } from '../config/table.ts'
import { isLoopbackHost, localUrl } from '../platform/address.ts'
import { reasonOf } from '../platform/reason.ts'
import { announced } from './embedded-file.ts'
import { CommandFailed } from './failure.ts'

/** What a running gateway answers about itself. */
export interface RunningGateway {
  readonly version: string
  readonly pid: number
  /** The folder of its heap snapshots. */
  readonly heapSnapshots: string
  /** The address of its Redis without credentials. */
  readonly redis: string
  readonly settings: readonly Pick<EffectiveSetting, 'name' | 'value' | 'source' | 'perWorker'>[]
}

const PATIENCE_MS = 2000
const MASK = '***'

/** The address of the gateway of these settings, where operators call it. */
export const operatorAddress = ({ listenAddr: { host, port }, adminPort, tlsCert }: Config): string =>
  localUrl(host, adminPort ?? port, tlsCert !== undefined)

/**
 * Asks the gateway at LISTEN_ADDR for its settings.
 * @throws CommandFailed when no gateway answers there, or it wants another token.
 */
export async function askRunning(config: Config): Promise<RunningGateway> {
  const { askOwn } = await import('../platform/own.ts')
  const at = operatorAddress(config)
  const headers = config.adminToken === undefined ? {} : { Authorization: `Bearer ${config.adminToken}` }
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const { status, body } = await askOwn(`${at}/api/admin/config`, signal, { headers }).catch((error: Error) => {
    throw new CommandFailed(`no gateway answers at ${at} (${reasonOf(error)}); set LISTEN_ADDR to its address`)
  })
  if (status === 401 || status === 403)
    throw new CommandFailed(`the gateway at ${at} answers ${status}: set ADMIN_TOKEN to its admin token`)
  const answer = parsed(body)
  if (status === 200 && Array.isArray(answer?.settings)) return answer as unknown as RunningGateway
  throw new CommandFailed(`what answers at ${at} is no gateway of this version: ${status}`)
}

function parsed(body: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(body) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** The Redis of a running gateway, and how the user recognises it. */
export interface RunningRedis {
  readonly url: string
  readonly source: string
  readonly keyPrefix: string
}

/**
 * Returns the Redis of the gateway at LISTEN_ADDR, when both are on loopback. Undefined when no
 * gateway answers there, or it keeps its settings to itself.
 * @throws CommandFailed when its Redis has a password, which the gateway does not give away.
 */
export async function redisOfRunning(config: Config): Promise<RunningRedis | undefined> {
  const running = await askRunning(config).catch(() => undefined)
  if (running === undefined) return undefined
  const settingOf = (name: string) => running.settings.find((each) => each.name === name)?.value ?? ''
  const keyPrefix = settingOf('REDIS_KEY_PREFIX')
  const embedded = announced(0).find((url) => running.redis === `redis://${new URL(url).host}`)
  if (embedded !== undefined) return { url: embedded, keyPrefix, source: 'the embedded Redis of the running gateway' }
  const url = settingOf('REDIS_URL')
  if (!URL.canParse(url) || !isLoopbackHost(new URL(url).hostname)) return undefined
  const at = operatorAddress(config)
  if (url.includes(MASK))
    throw new CommandFailed(`the gateway at ${at} uses ${running.redis} with a password: set REDIS_URL`)
  return { url, keyPrefix, source: `the Redis of the gateway at ${at}` }
}
