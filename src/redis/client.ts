import { randomBytes } from 'node:crypto'
import { within } from '../platform/deadline.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { RedisFlow } from './flow.ts'
import { RedisHashes } from './hashes.ts'
import { Cluster } from './servers/cluster.ts'
import type { Link } from './servers/link.ts'
import type { NodeOptions, RedisNode } from './servers/node.ts'
import { sentinelTarget } from './servers/sentinel.ts'
import {
  type At,
  type Command,
  type NodeFactory,
  nodeFactory,
  OneServer,
  type Sender,
  type Topology,
  type TopologyFeed,
} from './servers/topology.ts'
import { RedisTokens } from './tokens.ts'
import { RedisUpstream } from './upstream.ts'
import type { Target } from './wire/connection.ts'
import { askedAt, isMoved, isReply } from './wire/errors.ts'
import type { OnMessage } from './wire/resp.ts'

export interface RedisOptions extends NodeOptions {
  /** Address, credentials and database; with Sentinels or a cluster, what is the same on all servers. */
  readonly url: string
  /** `host:port` each; empty: there are none. */
  readonly sentinels: readonly string[]
  readonly sentinelMaster: string
  readonly sentinelPassword: string | undefined
  /** `host:port` of some nodes; empty: it is no cluster. */
  readonly clusterNodes: readonly string[]
  /** What success does to a token: removes it (0), leaves it alone (-1), or shortens its life to so many ms. */
  readonly afterTokenMs: number
  readonly upstreamBufferMessages: number
  readonly upstreamBufferBytes: number
}

export interface RedisParts {
  readonly options: RedisOptions
  readonly metrics: Metrics
  readonly log: Logger
  readonly tracing?: Tracing | undefined
  readonly message: OnMessage
  /** Redis does not let us listen to this channel. */
  readonly refused: (channel: string) => void
  /** A server is there (again), with all its channels. */
  readonly ready: () => void
  /** Messages of the channels that `affects` may have been lost between `from` and `to` (ms since the epoch); they are subscribed again. */
  readonly gap: (from: number, to: number, affects: (channel: string) => boolean) => void
}

/** How soon the map of slots is looked at when a server says that a channel is not its own. */
const FOLLOW_MS = 100

/** Redis as the gateway sees it, one server or many: channels, tokens, hashes, a way up, and whether it is there. */
export class RedisClient {
  readonly feed: TopologyFeed
  readonly tokens: RedisTokens
  readonly hashes: RedisHashes
  readonly upstream: RedisUpstream
  readonly flow: RedisFlow
  readonly #parts: RedisParts
  readonly #topology: Topology
  #ping: Promise<number> | undefined
  #following: NodeJS.Timeout | undefined

  constructor(parts: RedisParts) {
    const { options, metrics, log, message, refused } = parts
    this.#parts = parts
    metrics.redisUp.set(0)
    const newNode = nodeFactory({
      options,
      metrics,
      log,
      message,
      refused,
      changed: (node) => this.#changed(node),
      moved: () => this.#topology.refresh(),
    })
    this.#topology = createTopology(options, newNode, log, () => this.upstream.release())
    this.feed = this.#topology.feed
    const at: At = (key, command) => this.#at(key, command)
    this.tokens = new RedisTokens(at, options.afterTokenMs, randomBytes(16).toString('hex'))
    this.hashes = new RedisHashes(at)
    this.flow = new RedisFlow(at, options.sharded, metrics)
    this.upstream = new RedisUpstream({
      link: (channel) => this.#linkFor(channel),
      sharded: options.sharded,
      moved: () => this.#follow(),
      metrics,
      tracing: parts.tracing,
      maxMessages: options.upstreamBufferMessages,
      maxBytes: options.upstreamBufferBytes,
    })
  }

  /** Every server is there, with all its channels. */
  get ready(): boolean {
    const nodes = [...this.#topology.nodes]
    return nodes.length > 0 && nodes.every((node) => node.ready && !node.adopting)
  }

  /** Whether the server of this channel or key is there. */
  readyFor(name: string): boolean {
    return this.#nodeFor(name)?.ready ?? false
  }

  /** The slowest round trip of a PING to all servers in ms; undefined when one did not answer in time. Who asks at the same time shares one. */
  async ping(deadlineMs: number): Promise<number | undefined> {
    if (!this.ready) return undefined
    this.#ping ??= this.#measure().finally(() => {
      this.#ping = undefined
    })
    return within(this.#ping, deadlineMs).catch(() => undefined)
  }

  /** Any command, where `key` is, for what is asked rarely. @throws RedisUnavailable when there is no connection or it is lost before the answer; Redis' own error. */
  async command(key: string, args: readonly string[]): Promise<unknown> {
    return answered(this.#at(key, (client) => client.sendCommand(args)))
  }

  /** The same command on every server that has keys. @throws as `command`, also when only one does not answer. */
  async everyNode(args: readonly string[]): Promise<unknown[]> {
    const nodes = [...this.#topology.nodes]
    if (nodes.length === 0) throw new RedisUnavailable('no server is known yet')
    return Promise.all(nodes.map(async (node) => answered(node.commands.client.sendCommand(args))))
  }

  /** Publishes to other instances of the gateway. Resolves with the number of subscribers. @throws RedisUnavailable, or Redis' own error. */
  async publish(channel: string, message: string): Promise<number> {
    return this.#at(channel, (client) => client.sendCommand<number>(['PUBLISH', channel, message]))
  }

  close(): void {
    clearTimeout(this.#following)
    this.#topology.close()
  }

  async #measure(): Promise<number> {
    const startedAt = performance.now()
    await Promise.all(Array.from(this.#topology.nodes, (node) => node.commands.client.ping()))
    return Math.round((performance.now() - startedAt) * 1000) / 1000
  }

  /** Runs a command where the key is; once more when it has just moved, or is moving. */
  async #at<T>(key: string, command: Command<T>): Promise<T> {
    try {
      return await command(this.#topology.nodeOf(key).commands.client)
    } catch (error) {
      const moving = askedAt(error)
      const node = moving === undefined ? undefined : this.#topology.nodeAt(moving)
      if (node) return command(asking(node.commands.client))
      if (!isMoved(error)) throw error
      await this.#topology.refresh()
      return command(this.#topology.nodeOf(key).commands.client)
    }
  }

  /** Looks where the slots are, whereupon what waited for that is sent; not more often than this, since an answer may stay what it was. */
  #follow(): void {
    this.#following ??= setTimeout(async () => {
      this.#following = undefined
      await this.#topology.refresh()
    }, FOLLOW_MS)
  }

  #nodeFor(name: string): RedisNode | undefined {
    try {
      return this.#topology.nodeOf(name)
    } catch {
      return undefined
    }
  }

  /** Where client frames go, while that server is there as a whole: its channels as well, so that an answer finds its way back. */
  #linkFor(channel: string): Link | undefined {
    const node = this.#nodeFor(channel)
    return node?.ready ? node.commands : undefined
  }

  #changed(node: RedisNode): void {
    const { metrics, gap, ready } = this.#parts
    metrics.redisUp.set(this.ready ? 1 : 0)
    const lost = node.ready ? node.takeGap() : undefined
    if (lost) {
      metrics.gap(lost.reason)
      const { channels } = lost
      // A channel that has gone on to another server is told of there.
      const affects = (channel: string) =>
        (channels?.has(channel) ?? true) && this.#topology.listensAt(channel, node) && node.feed.isConfirmed(channel)
      const to = Date.now()
      gap(Math.min(lost.from, to), to, affects)
    }
    this.upstream.release()
    if (node.ready) ready()
  }
}

/** What is no answer of Redis says that there is none. */
async function answered(reply: Promise<unknown>): Promise<unknown> {
  try {
    return await reply
  } catch (error) {
    if (isReply(error) || error instanceof RedisUnavailable) throw error
    throw new RedisUnavailable('lost before the answer', { cause: error })
  }
}

function createTopology(options: RedisOptions, newNode: NodeFactory, log: Logger, followed: () => void): Topology {
  const template = parseTarget(options.url)
  if (options.clusterNodes.length > 0) {
    return new Cluster({ seeds: options.clusterNodes, template, sharded: options.sharded, newNode, log, followed })
  }
  const { sentinels, sentinelMaster: master, sentinelPassword: password } = options
  if (sentinels.length > 0) {
    const target = sentinelTarget({ sentinels, master, template, password })
    return new OneServer(newNode(target), target)
  }
  return new OneServer(newNode(async () => template))
}

/** A sender whose every command is preceded by ASKING, which the server that a slot moves to demands. */
const asking = (client: Sender): Sender => ({
  sendCommand: ((...command: Parameters<Sender['sendCommand']>) => {
    client.sendCommand(['ASKING']).catch(() => {}) // the command itself fails as well then
    return client.sendCommand(...command)
  }) as Sender['sendCommand'],
})

const DEFAULT_PORT = 6379

/** What a `redis://` or `rediss://` address says (IANA: the redis URI scheme). */
export function parseTarget(url: string): Target {
  const { protocol, hostname, port, username, password, pathname } = new URL(url)
  return {
    host: hostname.replace(/^\[|\]$/g, '') || 'localhost',
    port: Number(port || DEFAULT_PORT),
    tls: protocol === 'rediss:',
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || undefined,
    database: Number(pathname.slice(1)),
  }
}
