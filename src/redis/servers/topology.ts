import type { RedisConnection, Target } from '../wire/connection.ts'
import { type NodeParts, RedisNode } from './node.ts'

/** Which servers there are, and which of them a key or channel belongs to. */
export interface Topology {
  readonly nodes: Iterable<RedisNode>
  /** The server of a key or channel. @throws RedisUnavailable when nobody has it at the moment. */
  nodeOf(name: string): RedisNode
  /** The server at this address, if it is one of them. */
  nodeAt(address: string): RedisNode | undefined
  /** Whether `channel` is subscribed at this server. */
  listensAt(channel: string, node: RedisNode): boolean
  readonly feed: TopologyFeed
  /** Somebody was told that a key has moved; resolves when it is known where to. */
  refresh(): Promise<void>
  close(): void
}

/** Channels, wherever they are. */
export interface TopologyFeed {
  subscribe(channel: string): Promise<void>
  unsubscribe(channel: string): void
  /** Confirmed channels. */
  readonly channels: number
}

/** What every server of a topology is made with. */
export type NodeFactory = (target: () => Promise<Target>) => RedisNode

/** How often Sentinels are asked who is the master, and how long one of them may take to hear of it. */
const MASTER_MS = 1000
const HEARSAY_MS = 2000

/** One server: a plain one, or the master that Sentinels name. */
export class OneServer implements Topology {
  readonly #node: RedisNode
  readonly feed: TopologyFeed
  #closed = false
  #timer: NodeJS.Timeout | undefined

  /** `master` says where it is now; undefined: it never moves. */
  constructor(node: RedisNode, master?: () => Promise<Target>) {
    this.#node = node
    if (master) this.#watch(master, Date.now())
    this.feed = {
      subscribe: (channel) => node.feed.subscribe(channel),
      unsubscribe: (channel) => node.feed.unsubscribe(channel),
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

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#node.close()
  }

  /** A master that was replaced may live on for long, with all its connections, while agents have followed the Sentinels to the new one. */
  #watch(master: () => Promise<Target>, sureAt: number): void {
    this.#timer = setTimeout(async () => {
      const askedAt = Date.now()
      const target = await master().catch(() => undefined)
      if (this.#closed) return
      if (target) this.#node.moveTo(target, sureAt - HEARSAY_MS)
      this.#watch(master, target ? askedAt : sureAt)
    }, MASTER_MS)
  }
}

/** Makes servers that differ only in where they are. */
export const nodeFactory =
  (parts: Omit<NodeParts, 'target'>): NodeFactory =>
  (target) =>
    new RedisNode({ ...parts, target })

/** Where commands go. */
export type Sender = Pick<RedisConnection, 'sendCommand'>

/** A command for whichever server has the key. */
export type Command<T> = (client: Sender) => Promise<T>

/** Runs a command where the key is. @throws RedisUnavailable when there is no connection to that server. */
export type At = <T>(key: string, command: Command<T>) => Promise<T>
