import type { Config } from '../../config/table.ts'
import type { Logger } from '../../telemetry/log.ts'
import { Cluster } from './cluster.ts'
import { sentinelTarget } from './sentinel.ts'
import { clusterAddressesOf, sentinelOptionsOf, type TargetOptions, targetOf } from './targets.ts'
import { type NodeFactory, OneServer, type Topology } from './topology.ts'

type TopologyOptions = TargetOptions & Pick<Config, 'redisShardedPubsub'>

/**
 * Returns the servers that the settings name: a cluster, the master of Sentinels, or one server.
 * @param followed is called when a key that had no server may have one now.
 */
export function createTopology(
  options: TopologyOptions,
  newNode: NodeFactory,
  log: Logger,
  followed: () => void,
): Topology {
  if (options.redisClusterNodes.length > 0) {
    const sharded = options.redisShardedPubsub
    return new Cluster({ ...clusterAddressesOf(options, log), sharded, newNode, log, followed })
  }
  if (options.redisSentinels.length > 0) {
    const target = sentinelTarget(sentinelOptionsOf(options, log))
    return new OneServer(newNode(target), target)
  }
  const template = targetOf(options, log)
  return new OneServer(newNode(async () => template))
}
