import { ConfigError } from '../config/load.ts'
import type { Config } from '../config/table.ts'
import { revokedSid } from '../contract/names.ts'
import type { Route } from '../http/routes.ts'
import type { LoadedLogin } from '../login/open.ts'
import { reasonOf } from '../platform/reason.ts'
import type { Logger } from '../telemetry/log.ts'
import type { DoorParts } from './doors.ts'

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
    count: (result) => metrics.logins.inc({ result }),
    onReady: (call) => core.onReady.push(call),
  })
}
