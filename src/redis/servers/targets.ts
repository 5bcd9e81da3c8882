import type { FreshLogins, Login } from '../../config/logins.ts'
import { redisAddressOf } from '../../config/redis-address.ts'
import { type Place, reachableBy, serversOf } from '../../config/redis-servers.ts'
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
      | 'redisAddressMap'
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
  const address = redisAddressOf(url)
  const tls = address.tls || serversOf('REDIS_CLUSTER_NODES', options.redisClusterNodes).tls
  return { ...address, tls, secure: options, ...(logins && { login: fresh(logins, 'redis', log) }) }
}

/** What a cluster needs to be found. */
export interface ClusterAddresses {
  /** Some nodes, asked until the first node is known. */
  readonly seeds: readonly Place[]
  /** Credentials and TLS, the same on all nodes. */
  readonly template: Target
  /** Where a node can be reached that announces this place. */
  readonly reachable: (announced: Place) => Place
}

/** Returns how to find the nodes of the cluster. */
export const clusterAddressesOf = (options: TargetOptions, log?: Logger): ClusterAddresses => ({
  seeds: serversOf('REDIS_CLUSTER_NODES', options.redisClusterNodes).places,
  template: targetOf(options, log),
  reachable: reachableBy(options.redisAddressMap),
})

/** Returns how to ask the Sentinels for the master. */
export function sentinelOptionsOf(options: TargetOptions, log?: Logger): SentinelOptions {
  const {
    redisSentinels,
    redisSentinelMaster,
    redisSentinelUsername,
    redisSentinelPassword,
    redisSentinelTls,
    redisAddressMap,
    logins,
  } = options
  const { places, tls } = serversOf('REDIS_SENTINELS', redisSentinels)
  return {
    sentinels: places,
    reachable: reachableBy(redisAddressMap),
    master: redisSentinelMaster,
    template: targetOf(options, log),
    own: {
      tls: redisSentinelTls || tls,
      username: redisSentinelUsername,
      password: redisSentinelPassword,
      secure: options,
      ...(logins && { login: fresh(logins, 'sentinel', log) }),
    },
  }
}
