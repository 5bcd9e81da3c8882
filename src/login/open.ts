import type { Config } from '../config/table.ts'
import type { LoginResult } from '../contract/reasons.ts'
import { isAtLeast, topicsOf } from '../contract/roles.ts'
import { emailOf } from '../contract/user-names.ts'
import type { Route } from '../http/routes.ts'
import { type Access, AccessTokens, derivedKeys } from '../identity/access.ts'
import type { RejectedToken } from '../identity/verifier.ts'
import { workerCount } from '../platform/cpus.ts'
import { reasonOf } from '../platform/reason.ts'
import { LoginFamilies } from '../redis/login-families.ts'
import { LoginLimits } from '../redis/login-limits.ts'
import { type AtKey, RedisUsers } from '../redis/users.ts'
import type { Logger } from '../telemetry/log.ts'
import { accessIn } from './cookies.ts'
import { Devices } from './devices.ts'
import { HashBudget, hashShare } from './hash-budget.ts'
import { Logins } from './logins.ts'
import { Passwords } from './passwords.ts'
import { loginRoutes } from './routes.ts'

/** What logins need of the gateway. */
interface LoginWiring {
  readonly at: AtKey
  readonly revoke: (sid: string, lifeMs: number) => Promise<void>
  readonly isRevoked: (access: Access) => Promise<boolean>
  readonly count: (result: LoginResult) => void
  /** Calls the function whenever Redis has become ready. */
  readonly onReady: (call: () => void) => void
}

/** Logins before they are joined to a gateway. */
export interface LoadedLogin {
  /** What an access token grants at the doors. Undefined: it is no access token of a login. */
  readonly rightsOf: (token: string) => Access | RejectedToken | undefined
  /** Whether access tokens of the key with this fingerprint count. */
  readonly knows: (signedBy: string) => boolean
  /** The access token in the cookies of a request. */
  readonly accessIn: typeof accessIn
  readonly routes: (wiring: LoginWiring) => Route[]
}

/**
 * Loads what logins need, with the native library for passwords. @throws Error where that library
 * has no binary.
 */
export async function openLogin(config: Config, log: Logger, now: () => number): Promise<LoadedLogin> {
  const { authJwtSecret = '', authAccessTtlMs, authRefreshTtlMs, authJwtSkewMs } = config
  const access = new AccessTokens(authJwtSecret, authAccessTtlMs, authJwtSkewMs)
  const passwords = await Passwords.load(new HashBudget(hashShare(workerCount(config.workers))))
  const routes = ({ at, revoke, isRevoked, count, onReady }: LoginWiring): Route[] => {
    const users = new RedisUsers(at)
    onReady(() => void firstAdmin(config, users, passwords, log))
    return loginRoutes(
      new Logins({
        access,
        passwords,
        refreshKeys: derivedKeys(authJwtSecret, 'refresh'),
        refreshTtlMs: authRefreshTtlMs,
        users,
        families: new LoginFamilies(at),
        limits: new LoginLimits(at),
        devices: new Devices(derivedKeys(authJwtSecret, 'device')),
        // No access token of the login is valid after that.
        revoke: (sid) => revoke(sid, authAccessTtlMs + authJwtSkewMs),
        isRevoked,
        count,
        log,
        now,
      }),
    )
  }
  const rightsOf = (token: string) => {
    if (!access.isOwn(token)) return undefined
    const verified = access.verify(token, now())
    if ('fault' in verified) return verified
    const { role } = verified
    const publishTopics = isAtLeast(role, 'operator') ? ['*'] : []
    return { ...verified, topics: topicsOf(role, config.liveTopicRoles), publishTopics }
  }
  return { rightsOf, knows: (signedBy) => access.knows(signedBy), accessIn, routes }
}

/** Makes the admin of the settings while there is no user at all. */
async function firstAdmin(config: Config, users: RedisUsers, passwords: Passwords, log: Logger): Promise<void> {
  const { defaultAdminEmail, defaultAdminPassword: password } = config
  if (defaultAdminEmail === undefined || password === undefined) return
  try {
    if (!(await users.isEmpty())) return
    const email = emailOf(defaultAdminEmail)!
    const hash = await passwords.hash(password)
    const user = await users.add({ email, fullName: '', role: 'admin', password: hash })
    if (user) log.info({ event: 'first-admin', user: user.id }, 'the admin of DEFAULT_ADMIN_EMAIL was made')
  } catch (error) {
    log.warn({ event: 'first-admin', reason: reasonOf(error) }, 'the admin of DEFAULT_ADMIN_EMAIL could not be made')
  }
}
