import type { FreshLogins, Login } from '../../config/logins.ts'
import { redisAddressOf } from '../../config/redis-address.ts'
import type { Config } from '../../config/table.ts'
import { protect } from '../../platform/redact.ts'
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

/** A password that was not there at the start must not show in a log either. */
function protectedLogin(login: Login | undefined): Login | undefined {
  if (login?.password !== undefined) protect([login.password])
  return login
}

/** Returns the server of the URL, with what its connections need beside the address. */
export function targetOf({ url, logins, ...options }: TargetOptions): Target {
  return { ...redisAddressOf(url), secure: options, ...(logins && { login: () => protectedLogin(logins.redis()) }) }
}

/** Returns how to ask the Sentinels for the master. */
export function sentinelOptionsOf(options: TargetOptions): SentinelOptions {
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
    template: targetOf(options),
    own: {
      tls: redisSentinelTls,
      username: redisSentinelUsername,
      password: redisSentinelPassword,
      secure: options,
      ...(logins && { login: () => protectedLogin(logins.sentinel()) }),
    },
  }
}
