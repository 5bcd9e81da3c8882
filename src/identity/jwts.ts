import type { Config } from '../config/table.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Logger } from '../telemetry/log.ts'
import { readKeyFile, watchKeyFile } from './key-file.ts'
import { type KeySet, secretKeys } from './keys.ts'
import { JwtVerifier } from './verifier.ts'

type JwtConfig = Pick<Config, 'authJwtSecret' | 'authJwksFile' | 'authJwtAudience' | 'authJwtIssuer' | 'authJwtSkewMs'>

/** The verifier of this gateway's JWTs, and what ends the watch of its key file. */
export interface Jwts {
  readonly verifier: JwtVerifier
  readonly stop: () => void
}

/**
 * Makes the verifier of the settings, and keeps its keys up to date. @throws Error that names the
 * setting when a key is not usable.
 */
export function jwtsOf(config: JwtConfig, log: Logger): Jwts {
  const { authJwtSecret = '', authJwksFile: path, authJwtAudience, authJwtIssuer, authJwtSkewMs } = config
  const secrets = secretKeys(authJwtSecret)
  const usable = (set: KeySet) => {
    for (const line of set.skipped) log.warn({ event: 'jwks-key-skipped', path }, `AUTH_JWKS_FILE: ${line}`)
    return [...secrets, ...set.keys]
  }
  const keys = path === undefined ? secrets : usable(readKeyFile(path))
  const rules = { audiences: authJwtAudience, issuers: authJwtIssuer, skewMs: authJwtSkewMs }
  const verifier = new JwtVerifier(rules, keys)
  log.info({ event: 'jwt-keys', keys: keys.length }, 'JWTs are accepted')
  if (path === undefined) return { verifier, stop: () => {} }
  const stop = watchKeyFile(
    path,
    (set) => {
      verifier.use(usable(set))
      log.info({ event: 'jwt-keys', keys: set.keys.length + secrets.length }, 'the keys of JWTs were read again')
    },
    (error) => log.error({ event: 'jwks-not-read' }, `${reasonOf(error)}; the former keys count on`),
  )
  return { verifier, stop }
}
