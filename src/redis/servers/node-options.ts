import type { Config } from '../../config/table.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Target } from '../wire/connection.ts'
import type { OnMessage } from '../wire/resp.ts'

export type NodeOptions = Pick<
  Config,
  | 'runDoor'
  | 'redisSetKeyspaceEvents'
  | 'runResyncIntervalMs'
  | 'redisShardedPubsub'
  | 'redisCanaryIntervalMs'
  | 'redisCanaryTimeoutMs'
  | 'redisClusterNodes'
> & {
  /** Channels that are tried on each new connection: one of each kind that needs a token. */
  readonly trials?: readonly string[]
}

/** What a server of the topology needs. `N` is the server itself. */
export interface NodeParts<N> {
  readonly options: NodeOptions
  /**
   * Where the server is. Called before each attempt to connect, since a fail-over may have moved
   * it.
   */
  readonly target: () => Promise<Target>
  readonly metrics: Metrics
  readonly log: Logger
  readonly message: OnMessage
  /** Redis refused to subscribe this channel. */
  readonly refused: (channel: string) => void
  /** `ready` may have changed. */
  readonly changed: (node: N) => void
  /** The server of the command connection has said that it is still the master. */
  readonly proved: (node: N) => void
  /** The server was found to be a replica. Called again by each attempt that finds one. */
  readonly demoted: (node: N) => void
  /** Redis said that a slot is elsewhere. Resolves when the topology knows where. */
  readonly moved: () => Promise<void>
}
