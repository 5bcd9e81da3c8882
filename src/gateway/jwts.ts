import { acceptsJwts } from '../config/jwt.ts'
import { ConfigError } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import type { Jwts } from '../identity/jwts.ts'
import { reasonOf } from '../platform/reason.ts'
import type { KeySetState } from '../preflight/check.ts'
import type { Logger } from '../telemetry/log.ts'

/**
 * Loads what verifies JWTs where a key is configured: a gateway without one pays neither memory nor
 * time for it. @throws ConfigError when a key is not usable.
 */
export async function loadJwts(config: Config, log: Logger): Promise<Jwts | undefined> {
  if (!acceptsJwts(config)) return undefined
  const { jwtsOf } = await import('../identity/jwts.ts')
  try {
    return jwtsOf(config, log)
  } catch (error) {
    throw new ConfigError([reasonOf(error)])
  }
}

/** Asks AUTH_JWKS_URL once. Resolves with undefined where it is not set. */
export async function askKeySet({ authJwksUrl }: Config): Promise<KeySetState | undefined> {
  if (authJwksUrl === undefined) return undefined
  const { askKeyUrl } = await import('../identity/key-url.ts')
  return askKeyUrl(authJwksUrl)
}
