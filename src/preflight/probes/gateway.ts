import { exposureOf } from '../../config/exposure.ts'
import { acceptsJwts } from '../../config/jwt.ts'
import { secretList, weakness } from '../../config/strength.ts'
import type { Config } from '../../config/table.ts'
import { availableMemory, bufferBudget } from '../../platform/memory.ts'
import { filesPerSocket, mostSockets, openFilesLimit } from '../../platform/open-files.ts'
import type { CheckedGateway } from '../check.ts'
import type { Loopback } from './loopback.ts'

/** Secrets of HS256 are those of one gateway, so their tokens need no audience. */
function jwtsOf(config: Config): CheckedGateway['jwts'] {
  if (!acceptsJwts(config)) return 'off'
  const hasSet = config.authJwksFile !== undefined || config.authJwksUrl !== undefined
  return hasSet && config.authJwtAudience.length === 0 ? 'unbound' : 'bound'
}

/** Names no secret of a gateway at which users do not log in. */
function weakSecretsOf({ authLogin, authJwtSecret, defaultAdminPassword }: Config): string[] {
  if (!authLogin) return []
  const password = defaultAdminPassword === undefined ? [] : [defaultAdminPassword]
  const isWeak = (secrets: readonly string[]) => secrets.some((each) => weakness(each) !== undefined)
  return [
    ...(isWeak(secretList(authJwtSecret)) ? ['AUTH_JWT_SECRET'] : []),
    ...(isWeak(password) ? ['DEFAULT_ADMIN_PASSWORD'] : []),
  ]
}

interface AskedParts {
  readonly config: Config
  readonly sockets: () => number
  readonly unknownProxies: () => readonly string[]
  /** A remark behind the address of the test upgrade. */
  readonly note?: (() => string) | undefined
  /** How many processes share the memory. Default: 1. */
  readonly workers?: number | undefined
}

/** What checks can ask this process. */
export function checkedGateway(
  { config, sockets, unknownProxies, note = () => '', workers = 1 }: AskedParts,
  loopback: Loopback,
): Omit<CheckedGateway, 'keySet'> {
  const { maxBufferBytes, preflightExpectedRateBytes, preflightHttpDependencies } = config
  return {
    runDoor: config.runDoor,
    isProduction: config.nodeEnv === 'production',
    exposure: exposureOf(config),
    jwts: jwtsOf(config),
    weakSecrets: weakSecretsOf(config),
    limits: {
      maxConnections: mostSockets(config),
      maxBufferBytes,
      maxBufferedBytes: bufferBudget(config.maxBufferedBytes),
      expectedBytesPerSecond: preflightExpectedRateBytes,
    },
    httpDependencies: preflightHttpDependencies,
    sockets,
    memory: () => ({ usedBytes: process.memoryUsage.rss(), limitBytes: availableMemory() / workers }),
    openFiles: openFilesLimit,
    filesPerSocket: filesPerSocket(config),
    unknownProxies,
    upgrade: async (signal) => {
      const address = await loopback.upgrade(signal)
      return note() === '' ? address : `${address} (${note()})`
    },
  }
}
