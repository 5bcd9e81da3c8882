import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { RedisConnection, Target } from '../wire/connection.ts'
import { isReply } from '../wire/errors.ts'
import { RedisNode } from './node.ts'
import type { NodeParts } from './node-options.ts'

/** The servers, and which of them has a key or channel. */
export interface Topology {
  readonly nodes: Iterable<RedisNode>
  /** Returns the server of a key or channel. @throws RedisUnavailable while no server has it. */
  nodeOf(name: string): RedisNode
  /** Returns the server at `host:port`; undefined when it is not part of the topology. */
  nodeAt(address: string): RedisNode | undefined
  /** Whether `channel` is subscribed on this server. */
  listensAt(channel: string, node: RedisNode): boolean
  readonly feed: TopologyFeed
  /** Call it when a server says that a key has moved. Resolves when the topology knows where. */
  refresh(): Promise<void>
  /** The servers that cannot serve now, and the share of slots that they leave without a server. */
  outage(): Outage
  close(): void
}

export interface Outage {
  /** `host:port` of each server that is away. */
  readonly servers: readonly string[]
  /** From 0 (every slot has a server that is ready) to 1. */
  readonly share: number
}

/** The channels of all servers. */
export interface TopologyFeed {
  subscribe(channel: string): Promise<void>
  unsubscribe(channel: string): void
  /** Whether Redis has confirmed the channel, on the connection of now. */
  isConfirmed(channel: string): boolean
  /** How many channels are confirmed. */
  readonly channels: number
}

/** Creates a server of the topology. */
export type NodeFactory = (target: () => Promise<Target>) => RedisNode

/**
 * Time between two questions to the Sentinels, and how long a Sentinel may take to learn of a
 * fail-over.
 */
const MASTER_POLL_MS = 1000
const SENTINEL_DELAY_MS = 2000

/** One server: a plain one, or the master that Sentinels name. */
export class OneServer implements Topology {
  readonly #node: RedisNode
  readonly feed: TopologyFeed
  #closed = false
  #timer: NodeJS.Timeout | undefined

  /** @param master finds the current master; undefined: the server never moves. */
  constructor(node: RedisNode, master?: () => Promise<Target>) {
    this.#node = node
    if (master) this.#watch(master, Date.now())
    this.feed = {
      subscribe: (channel) => node.feed.subscribe(channel),
      unsubscribe: (channel) => node.feed.unsubscribe(channel),
      isConfirmed: (channel) => node.feed.isConfirmed(channel),
      get channels() {
        return node.channels
      },
    }
  }

  get nodes(): Iterable<RedisNode> {
    return [this.#node]
  }

  nodeOf(): RedisNode {
    return this.#node
  }

  nodeAt(): RedisNode | undefined {
    return undefined
  }

  listensAt(): boolean {
    return true
  }

  async refresh(): Promise<void> {}

  outage(): Outage {
    return this.#node.ready ? { servers: [], share: 0 } : { servers: [this.#node.commands.address], share: 1 }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#node.close()
  }

  /**
   * A replaced master can keep running with all its connections while agents already use the new
   * one. Poll, therefore.
   */
  #watch(master: () => Promise<Target>, sureAt: number): void {
    this.#timer = setTimeout(async () => {
      const askedAt = Date.now()
      const target = await master().catch(() => undefined)
      if (this.#closed) return
      if (target) this.#node.moveTo(target, sureAt - SENTINEL_DELAY_MS)
      this.#watch(master, target ? askedAt : sureAt)
    }, MASTER_POLL_MS)
  }
}

/** Returns a factory of servers that differ only in their address. */
export const nodeFactory =
  (parts: Omit<NodeParts<RedisNode>, 'target'>): NodeFactory =>
  (target) =>
    new RedisNode({ ...parts, target })

/** Sends commands to one server. */
export type Sender = Pick<RedisConnection, 'sendCommand' | 'sendAndRead'>

/** A command for the server that has the key. */
export type KeyCommand<T> = (client: Sender) => Promise<T>

/**
 * Runs a command on the server that has the key. @throws RedisUnavailable without a connection to
 * it.
 */
export type RunAtKey = <T>(key: string, command: KeyCommand<T>) => Promise<T>

/** Turns an error that is not a reply into RedisUnavailable: no answer arrived. */
export async function answered<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply
  } catch (error) {
    if (isReply(error) || error instanceof RedisUnavailable) throw error
    throw new RedisUnavailable('the connection was lost before the answer', { cause: error })
  }
}
