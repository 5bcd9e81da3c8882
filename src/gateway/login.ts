import { ConfigError } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import type { JwtChecks } from '../connection/auth.ts'
import { refusals } from '../contract/codes.ts'
import { revokedSid } from '../contract/names.ts'
import type { CallerOf } from '../http/admin.ts'
import { fromOwnPage, ownPages } from '../http/own-page.ts'
import type { Route, Serving } from '../http/routes.ts'
import type { Jwts } from '../identity/jwts.ts'
import type { LoadedLogin } from '../login/open.ts'
import { reasonOf } from '../platform/reason.ts'
import { bearerToken } from '../platform/secrets.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Core } from './core.ts'
import type { DoorParts } from './doors.ts'
import type { GatewayOptions } from './options.ts'

/**
 * Loads the logins where AUTH_LOGIN is on: a gateway without them loads no library for passwords.
 * @param now ms since the epoch. @throws ConfigError when they cannot work here.
 */
export async function loadLogin(config: Config, log: Logger, now = Date.now): Promise<LoadedLogin | undefined> {
  if (!config.authLogin) return undefined
  const { openLogin } = await import('../login/open.ts')
  try {
    return await openLogin(config, log, now)
  } catch (error) {
    throw new ConfigError([`AUTH_LOGIN: ${reasonOf(error)}`])
  }
}

/** Joins the logins to Redis, and returns their calls. */
export function loginCalls(login: LoadedLogin | undefined, { core, metrics }: DoorParts): Route[] {
  if (login === undefined) return []
  return login.routes({
    at: (key, args) => core.redis.command(key, args),
    revoke: (sid, lifeMs) => core.redis.revoked.add(revokedSid(sid), lifeMs),
    isRevoked: (access) => core.revocations!.isRevoked(access),
    count: (result) => metrics.users.logins.inc({ result }),
    onReady: (call) => core.onReady.push(call),
  })
}

/** The checks of JWTs, which know the access tokens of logins, too. */
export function jwtChecks(jwts: Jwts | undefined, login: LoadedLogin | undefined): JwtChecks | undefined {
  const verifier = jwts?.verifier
  if (verifier === undefined || login === undefined) return verifier
  return {
    looksLikeJwt: (token) => verifier.looksLikeJwt(token),
    verify: (token) => login.rightsOf(token) ?? verifier.verify(token),
    moreKeys: () => verifier.moreKeys(),
    get isAway() {
      return verifier.isAway
    },
    knows: (signedBy) => login.knows(signedBy) || verifier.knows(signedBy),
    cookieToken: login.accessIn,
  }
}

/** Finds the user of an admin call. Undefined: neither logins nor JWTs have roles here. */
export function callerOf({ login, jwts, config }: GatewayOptions, { revocations }: Core): CallerOf | undefined {
  const verifier = config.authJwtRoleClaim === undefined ? undefined : jwts?.verifier
  if (login === undefined && verifier === undefined) return undefined
  return (headers) => {
    const token = headers.authorization ? bearerToken(headers.authorization) : login?.accessIn(headers)
    const rights = token === undefined ? undefined : (login?.rightsOf(token) ?? roleRights(verifier, token))
    if (rights === undefined) return undefined
    if ('fault' in rights) return refusals['login-required']
    if (!revocations!.set.isRead) return refusals['redis-unavailable']
    if (revocations!.set.hasJwt(rights)) return refusals['login-required']
    return { user: rights.subject ?? 'jwt', role: rights.role ?? 'viewer' }
  }
}

/** What a JWT with a role allows. Undefined: it is no JWT, so it may be ADMIN_TOKEN. */
function roleRights(
  verifier: Jwts['verifier'] | undefined,
  token: string,
): ReturnType<Jwts['verifier']['verify']> | undefined {
  if (verifier?.looksLikeJwt(token) !== true) return undefined
  const rights = verifier.verify(token)
  if (!('fault' in rights)) return rights
  // This call is refused, and the next one finds the key.
  if (rights.fault === 'unknown-key') void verifier.moreKeys()
  return rights.fault === 'malformed' ? undefined : rights
}

/** Whether a page may send the cookies of logins. Undefined: users do not log in here. */
export function ownPageOf({ login, config }: GatewayOptions): Serving['ownPage'] {
  if (login === undefined) return undefined
  const isOwn = ownPages(config.allowedOrigins)
  return (headers) => !/wsproxy_(access|refresh)=/.test(headers.cookie ?? '') || fromOwnPage(headers, isOwn)
}
