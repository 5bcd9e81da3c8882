import { randomBytes } from 'node:crypto'
import type { Config } from '../config/table.ts'
import { within } from '../platform/deadline.ts'
import { reasonOf } from '../platform/reason.ts'
import { RedisUnavailable } from '../platform/unavailable.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { RedisFlow } from './flow.ts'
import { RedisHashes } from './hashes.ts'
import { knownRemedy } from './remedy.ts'
import { RedisRevoked } from './revoked.ts'
import { createTopology } from './servers/create-topology.ts'
import type { RedisNode } from './servers/node.ts'
import type { NodeOptions } from './servers/node-options.ts'
import type { TargetOptions } from './servers/targets.ts'
import {
  answered,
  type KeyCommand,
  nodeFactory,
  type RunAtKey,
  type Sender,
  type Topology,
  type TopologyFeed,
} from './servers/topology.ts'
import { RedisSessionLog } from './session-log.ts'
import { RedisTicketSecrets } from './ticket-secrets.ts'
import { RedisTokens } from './tokens.ts'
import { RedisUpstream } from './upstream.ts'
import type { CommandLink } from './upstream-frame.ts'
import { askedAt, isMoved } from './wire/errors.ts'
import type { OnMessage } from './wire/resp.ts'

export interface RedisOptions
  extends NodeOptions,
    TargetOptions,
    Pick<Config, 'authRevokedMax' | 'upstreamBufferMessages' | 'upstreamBufferBytes' | 'runMaxFields'> {
  /** What a match does to a token: 0 removes it, -1 keeps it, else it expires within so many ms. */
  readonly afterTokenMs: number
}

export interface RedisParts {
  readonly options: RedisOptions
  readonly metrics: Metrics
  readonly log: Logger
  readonly tracing?: Tracing | undefined
  readonly message: OnMessage
  /** Redis refused to subscribe this channel. */
  readonly refused: (channel: string) => void
  /** A server has become ready, with all its channels. */
  readonly ready: () => void
  /**
   * Messages of the channels that match `affects` may be lost between `from` and `to` (ms since the
   * epoch).
   */
  readonly gap: (from: number, to: number, affects: (channel: string) => boolean) => void
}

/** Without this share of its slots a cluster counts as away. */
const MOST = 0.5

/** Delay between a MOVED reply to a client frame and the refresh of the topology. */
const FOLLOW_MS = 100

/**
 * Redis as the gateway uses it, with one server or many: channels, tokens, hashes, client frames,
 * readiness.
 */
export class RedisClient {
  readonly at: RunAtKey = (key, command) => this.#at(key, command)
  readonly feed: TopologyFeed
  readonly tokens: RedisTokens
  readonly hashes: RedisHashes
  readonly sessionLog: RedisSessionLog
  readonly ticketSecrets: RedisTicketSecrets
  readonly revoked: RedisRevoked
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
      proved: (node) => this.upstream.proved(node.commands),
      demoted: (node) => this.upstream.demoted(node.commands),
      moved: () => this.#topology.refresh(),
    })
    this.#topology = createTopology(options, newNode, log, () => this.upstream.release())
    this.feed = this.#topology.feed
    const { at } = this
    this.tokens = new RedisTokens(at, options.afterTokenMs, randomBytes(16).toString('hex'), log)
    this.hashes = new RedisHashes(at, options.runMaxFields)
    this.sessionLog = new RedisSessionLog(at)
    this.ticketSecrets = new RedisTicketSecrets(at)
    this.revoked = new RedisRevoked(at, options.authRevokedMax)
    this.flow = new RedisFlow(at, options.redisShardedPubsub, metrics)
    this.upstream = new RedisUpstream({
      link: (channel) => this.#linkFor(channel),
      sharded: options.redisShardedPubsub,
      moved: () => this.#follow(),
      metrics,
      tracing: parts.tracing,
      maxMessages: options.upstreamBufferMessages,
      maxBytes: options.upstreamBufferBytes,
    })
  }

  /** Every server is ready, with all its channels. */
  get ready(): boolean {
    const nodes = [...this.#topology.nodes]
    return nodes.length > 0 && nodes.every((node) => node.ready && !node.adopting)
  }

  /**
   * Why upgrades are refused; undefined when every server is ready. `partial` names the servers
   * that are away while most slots of a cluster are served.
   */
  get outage(): 'redis-unavailable' | { readonly partial: string } | undefined {
    if (this.ready) return undefined
    const { servers, share } = this.#topology.outage()
    if (share >= MOST) return 'redis-unavailable'
    const which = servers.length > 0 ? servers.join(', ') : 'no server'
    return { partial: `${which} of the cluster away, and ${Math.round(share * 1000) / 10} % of its slots not served` }
  }

  /** Why a server cannot be reached, with what mends it; undefined where no attempt has failed. */
  get failure(): string | undefined {
    const [failed] = [...this.#topology.nodes].flatMap((node) => node.commands.failure ?? [])
    return failed && [reasonOf(failed), knownRemedy(reasonOf(failed))].filter(Boolean).join('. ')
  }

  /** Whether the server of this channel or key is ready. */
  readyFor(name: string): boolean {
    return this.#nodeFor(name)?.ready ?? false
  }

  /** Whether Redis may refuse to subscribe this channel: it has lately refused one of its kind. */
  suspects(channel: string): boolean {
    return this.#nodeFor(channel)?.feed.suspects(channel) === true
  }

  /** Returns the channels that the Redis user may not subscribe. @throws RedisUnavailable */
  async forbidden(channels: readonly string[]): Promise<string[]> {
    return (await Promise.all(channels.map((each) => this.#topology.nodeOf(each).forbidden([each])))).flat()
  }

  /**
   * Returns the slowest round trip of the servers that are ready in ms; undefined when one does not
   * answer in time, or most are away. It answers without a wait from the PINGs of the last second,
   * and sends the next one, so that a server that has stopped is known to the next caller.
   */
  async ping(deadlineMs: number): Promise<number | undefined> {
    if (this.outage === 'redis-unavailable') return undefined
    const known = this.#roundTripMs(deadlineMs)
    this.#ping ??= this.#measure().finally(() => {
      this.#ping = undefined
    })
    if (known === undefined) return within(this.#ping, deadlineMs).catch(() => undefined)
    this.#ping.catch(() => {})
    return known
  }

  /**
   * Runs a command on the server that has `key`. @throws RedisUnavailable without an answer; Redis'
   * own error.
   */
  async command(key: string, args: readonly string[]): Promise<unknown> {
    return answered(this.#at(key, (client) => client.sendCommand(args)))
  }

  /** Runs a command on every server that has keys. @throws as `command`, also if only one fails. */
  async everyNode(args: readonly string[]): Promise<unknown[]> {
    const nodes = [...this.#topology.nodes]
    if (nodes.length === 0) throw new RedisUnavailable('no server of the cluster is known yet')
    return Promise.all(nodes.map(async (node) => answered(node.commands.client.sendCommand(args))))
  }

  /** Returns for each server the flags that the probe of keyspace events missed (KeyspaceFlags). */
  keyspaceMissing(): Promise<(string | undefined)[]> {
    return Promise.all(Array.from(this.#topology.nodes, (node) => node.keyspaceMissing()))
  }

  /**
   * Publishes a message to other gateway instances; returns the number of subscribers. @throws
   * RedisUnavailable; Redis' own error.
   */
  async publish(channel: string, message: string): Promise<number> {
    return answered(this.#at(channel, (client) => client.sendCommand<number>(['PUBLISH', channel, message])))
  }

  close(): void {
    clearTimeout(this.#following)
    this.#topology.close()
  }

  /** The slowest known round trip; undefined where one is not known to be in time. */
  #roundTripMs(deadlineMs: number): number | undefined {
    const known = this.#readyLinks().map((link) => link.roundTripMs(deadlineMs))
    if (known.length === 0 || known.some((each) => each === undefined)) return undefined
    return Math.max(...(known as number[]))
  }

  #readyLinks() {
    return [...this.#topology.nodes].filter((node) => node.ready).map((node) => node.commands)
  }

  async #measure(): Promise<number> {
    const startedAt = performance.now()
    await Promise.all(this.#readyLinks().map((link) => link.ping()))
    return Math.round((performance.now() - startedAt) * 1000) / 1000
  }

  /**
   * Runs a command on the server that has the key. Repeats it once when the key has moved or is
   * being moved.
   */
  async #at<T>(key: string, command: KeyCommand<T>): Promise<T> {
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

  /**
   * Refreshes the topology, which releases held client frames. At most once per FOLLOW_MS: the
   * answer may not change.
   */
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

  /**
   * The link for client frames, while the whole server is ready: also its channels, so that an
   * answer can come back.
   */
  #linkFor(channel: string): CommandLink | undefined {
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
      // The new server of a channel that has moved reports its gap.
      const affects = (channel: string) =>
        (channels?.has(channel) ?? true) && this.#topology.listensAt(channel, node) && node.feed.isConfirmed(channel)
      const to = Date.now()
      gap(Math.min(lost.from, to), to, affects)
    }
    this.upstream.release()
    if (node.ready) ready()
  }
}

/** Sends ASKING before every command: the server that a slot is being moved to requires it. */
function asking(client: Sender): Sender {
  const ask = () => client.sendCommand(['ASKING']).catch(() => {}) // The command fails as well then.
  return {
    sendCommand: (args) => {
      ask()
      return client.sendCommand(args)
    },
    sendAndRead: (args, read) => {
      ask()
      return client.sendAndRead(args, read)
    },
  }
}
