import type { FreshLogins, Login } from '../../config/logins.ts'
import { redisAddressOf } from '../../config/redis-address.ts'
import type { Config } from '../../config/table.ts'
import { protect } from '../../platform/redact.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Target } from '../wire/connection.ts'
import type { TlsSettings } from '../wire/secure.ts'
import type { SentinelOptions } from './sentinel.ts'

/** What says how to reach Redis and as which user. */
export interface TargetOptions
  extends TlsSettings,
    Pick<
      Config,
      | 'redisSentinels'
      | 'redisSentinelMaster'
      | 'redisSentinelUsername'
      | 'redisSentinelPassword'
      | 'redisSentinelTls'
      | 'redisClusterNodes'
    > {
  /**
   * Address, credentials and database. With Sentinels or a cluster, only what all servers have in
   * common is used.
   */
  readonly url: string
  /** Undefined: the credentials never change. */
  readonly logins?: FreshLogins | undefined
}

/**
 * Returns a function that reads a login anew. A password that was not there at the start must not
 * show in a log either. A file that cannot be read is logged once, and the last login stays.
 */
function fresh(logins: FreshLogins, which: 'redis' | 'sentinel', log: Logger | undefined): () => Login | undefined {
  let said: string | undefined
  return () => {
    const login = logins[which]()
    if (login?.password !== undefined) protect([login.password])
    const { problem } = logins
    if (problem !== undefined && problem !== said)
      log?.warn({ event: 'redis-login-file', reason: problem }, 'the login of the start is used for this connection')
    said = problem
    return login
  }
}

/** Returns the server of the URL, with what its connections need beside the address. */
export function targetOf({ url, logins, ...options }: TargetOptions, log?: Logger): Target {
  return { ...redisAddressOf(url), secure: options, ...(logins && { login: fresh(logins, 'redis', log) }) }
}

/** Returns how to ask the Sentinels for the master. */
export function sentinelOptionsOf(options: TargetOptions, log?: Logger): SentinelOptions {
  const {
    redisSentinels,
    redisSentinelMaster,
    redisSentinelUsername,
    redisSentinelPassword,
    redisSentinelTls,
    logins,
  } = options
  return {
    sentinels: redisSentinels,
    master: redisSentinelMaster,
    template: targetOf(options, log),
    own: {
      tls: redisSentinelTls,
      username: redisSentinelUsername,
      password: redisSentinelPassword,
      secure: options,
      ...(logins && { login: fresh(logins, 'sentinel', log) }),
    },
  }
}
