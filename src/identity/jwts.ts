import type { Config } from '../config/table.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Logger } from '../telemetry/log.ts'
import { readKeyFile, watchKeyFile } from './key-file.ts'
import { KeyUrl } from './key-url.ts'
import { type KeySet, secretKeys, type VerificationKey } from './keys.ts'
import { JwtVerifier } from './verifier.ts'

type JwtConfig = Pick<
  Config,
  | 'authJwtSecret'
  | 'authJwksFile'
  | 'authJwksUrl'
  | 'authJwksMaxAgeMs'
  | 'authJwksCooldownMs'
  | 'authJwksStaleMs'
  | 'authJwtAudience'
  | 'authJwtIssuer'
  | 'authJwtRoleClaim'
  | 'authJwtSkewMs'
  | 'liveTopicRoles'
>

/** The verifier of this gateway's JWTs, and what ends the watch of its keys. */
export interface Jwts {
  readonly verifier: JwtVerifier
  /** Calls `listener` after each change of the keys. */
  readonly onChange: (listener: () => void) => void
  readonly stop: () => void
}

/**
 * Makes the verifier of the settings, and keeps its keys up to date. Those of AUTH_JWKS_URL come
 * later.
 * @throws Error that names the setting when a key is not usable.
 */
export function jwtsOf(config: JwtConfig, log: Logger): Jwts {
  const { authJwtSecret = '', authJwksFile: path, authJwtAudience, authJwtIssuer, authJwtSkewMs } = config
  const secrets = secretKeys(authJwtSecret)
  const keys = new Keys(secrets, log)
  // Before the file is read: a change in between must count as one.
  const unwatch =
    path === undefined
      ? undefined
      : watchKeyFile(
          path,
          (set) => changed('AUTH_JWKS_FILE', set),
          (error) => log.error({ event: 'jwks-not-read' }, `${reasonOf(error)}; the former keys count on`),
        )
  try {
    if (path !== undefined) keys.take('AUTH_JWKS_FILE', readKeyFile(path))
  } catch (error) {
    unwatch?.()
    throw error
  }
  const { authJwtRoleClaim: roleClaim, liveTopicRoles: topicRoles } = config
  const rules = { audiences: authJwtAudience, issuers: authJwtIssuer, skewMs: authJwtSkewMs, roleClaim, topicRoles }
  const verifier = new JwtVerifier(rules, keys.all)
  log.info({ event: 'jwt-keys', keys: keys.all.length }, 'JWTs are accepted')
  const listeners: (() => void)[] = []
  const changed = (setting: Setting, set: KeySet | undefined) => {
    if (!keys.take(setting, set)) return
    verifier.use(keys.all)
    log.info({ event: 'jwt-keys', keys: keys.all.length }, 'the keys of JWTs were read again')
    // Keys that are too old are not removed: their sockets stay.
    if (set !== undefined) for (const listener of listeners) listener()
  }
  const url = keyUrl(config, log, (set) => changed('AUTH_JWKS_URL', set))
  verifier.source = url
  url?.start()
  const stop = () => {
    unwatch?.()
    url?.stop()
  }
  return { verifier, onChange: (listener) => void listeners.push(listener), stop }
}

type Setting = 'AUTH_JWKS_FILE' | 'AUTH_JWKS_URL'

/** All keys that count now: the secrets, and those of the sets. */
class Keys {
  readonly #secrets: readonly VerificationKey[]
  readonly #sets = new Map<Setting, readonly VerificationKey[]>()
  readonly #log: Logger

  constructor(secrets: readonly VerificationKey[], log: Logger) {
    this.#secrets = secrets
    this.#log = log
  }

  get all(): VerificationKey[] {
    return [...this.#secrets, ...[...this.#sets.values()].flat()]
  }

  /** Takes the new set of a setting; undefined for no keys. Returns whether it is another one. */
  take(setting: Setting, set: KeySet | undefined): boolean {
    const keys = set?.keys ?? []
    if (namesOf(keys) === namesOf(this.#sets.get(setting) ?? [])) return false
    this.#sets.set(setting, keys)
    for (const line of set?.skipped ?? []) this.#log.warn({ event: 'jwks-key-skipped', setting }, `${setting}: ${line}`)
    return true
  }
}

const namesOf = (keys: readonly VerificationKey[]): string =>
  keys.map(({ id, fingerprint }) => JSON.stringify([id, fingerprint])).join()

/** Fetches the keys of AUTH_JWKS_URL, if set. `got` is called with undefined for no keys. */
function keyUrl(config: JwtConfig, log: Logger, got: (set: KeySet | undefined) => void): KeyUrl | undefined {
  const { authJwksUrl: url, authJwksMaxAgeMs: maxAgeMs, authJwksCooldownMs: cooldownMs } = config
  if (url === undefined) return undefined
  const failed = (error: unknown, isStale: boolean) => {
    const consequence = isStale ? 'its keys are too old, and count no more' : 'the former keys count on'
    log.error({ event: 'jwks-not-fetched', reason: reasonOf(error) }, `AUTH_JWKS_URL: no keys; ${consequence}`)
    if (isStale) got(undefined)
  }
  return new KeyUrl({ options: { url, maxAgeMs, cooldownMs, staleMs: config.authJwksStaleMs }, got, failed })
}
