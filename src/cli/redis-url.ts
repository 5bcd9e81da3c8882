import { startCommand } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { isConfigured, runningRedis } from './embedded.ts'
import { CommandFailed } from './failure.ts'

/**
 * Prints the URL for agents and redis-cli, with its password: REDIS_URL, or that of the embedded
 * Redis of a running gateway.
 * @throws CommandFailed without both of these, and with Sentinels or a cluster, which have no URL.
 */
export async function redisUrl(): Promise<void> {
  const { config } = loadConfig()
  if (config.redisSentinels.length + config.redisClusterNodes.length > 0)
    throw new CommandFailed('REDIS_SENTINELS or REDIS_CLUSTER_NODES is set: ask those servers for the address')
  const url = isConfigured(config) ? config.redisUrl : (await runningRedis(config))?.url
  if (url === undefined)
    throw new CommandFailed(`REDIS_URL is not set, and no gateway with an embedded Redis runs: run "${startCommand()}"`)
  // redis-cli takes an empty user name for the name of a user; `default` is the one without a name.
  console.log(url.replace(/^(rediss?:\/\/):/, '$1default:'))
}
