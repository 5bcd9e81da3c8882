import { isSessionChannel, slotKey } from '../../contract/names.ts'
import { within } from '../../platform/deadline.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import { SLOTS, slotOf } from '../pubsub/slots.ts'
import type { Target } from '../wire/connection.ts'
import { askOnce, hostAndPort } from './ask.ts'
import type { RedisNode } from './node.ts'
import type { NodeFactory, Topology, TopologyFeed } from './topology.ts'

export interface ClusterOptions {
  /** `host:port` of some nodes, to begin with. */
  readonly seeds: readonly string[]
  /** Credentials and TLS, the same on all. */
  readonly template: Target
  /** Session channels by sharded pub/sub: they follow their slot. */
  readonly sharded: boolean
  readonly newNode: NodeFactory
  readonly log: Logger
  /** The map of slots was looked at, and is followed: what had no server may have one now. */
  readonly followed: () => void
}

/** A range of slots and the address of its primary, as `CLUSTER SLOTS` tells. */
interface Range {
  readonly first: number
  readonly last: number
  readonly address: string
}

/** How often the map of slots is looked at: when all is well, and when not. */
const CALM_MS = 5000
const URGENT_MS = 250
const ASK_TIMEOUT_MS = 1000
const SLOTS_COMMAND = ['CLUSTER', 'SLOTS']

/**
 * Redis Cluster: a RedisNode a primary, and which of them has which slot. Events of a run come from the primary of its key only, and a sharded
 * channel lives at its slot; a plain session channel may be heard at any server, and stays where it is as long as that server does.
 */
export class Cluster implements Topology {
  readonly #options: ClusterOptions
  readonly #nodes = new Map<string, RedisNode>()
  readonly #slots: (RedisNode | undefined)[] = new Array(SLOTS).fill(undefined)
  readonly #placed = new Map<string, RedisNode>()
  #refreshing: Promise<boolean> | undefined
  /** When the map of slots was last asked for in its turn, and so was right; ms since the epoch. */
  #settledAt = Date.now()
  #timer: NodeJS.Timeout | undefined
  #closed = false
  readonly feed: TopologyFeed

  constructor(options: ClusterOptions) {
    this.#options = options
    const nodes = this.#nodes
    this.feed = {
      subscribe: (channel) => this.#subscribe(channel),
      unsubscribe: (channel) => this.#unsubscribe(channel),
      get channels() {
        let sum = 0
        for (const node of nodes.values()) sum += node.channels
        return sum
      },
    }
    void this.#watch()
  }

  get nodes(): Iterable<RedisNode> {
    return this.#nodes.values()
  }

  nodeOf(name: string): RedisNode {
    const node = this.#home(name)
    if (node === undefined) throw new RedisUnavailable('no server of the cluster has this slot')
    return node
  }

  nodeAt(address: string): RedisNode | undefined {
    return this.#nodes.get(address)
  }

  listensAt(channel: string, node: RedisNode): boolean {
    return this.#placed.get(channel) === node
  }

  /** A slot is said to be elsewhere. Who answers first may not know it yet, so the map is looked at again soon after. */
  async refresh(): Promise<void> {
    this.#watchIn(URGENT_MS)
    await this.#follow()
  }

  /** Asks for the map of slots and follows it. Who asks at the same time shares one answer; when nobody answers, all stays as it is. */
  #follow(): Promise<boolean> {
    this.#refreshing ??= this.#refresh()
      .then(
        () => true,
        (error: Error) => {
          this.#options.log.warn({ event: 'cluster', reason: error.message }, 'no map of the cluster')
          return false
        },
      )
      .finally(() => {
        this.#refreshing = undefined
      })
    return this.#refreshing
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const node of this.#nodes.values()) node.close()
  }

  async #watch(): Promise<void> {
    const askedAt = Date.now()
    const answered = await this.#follow()
    if (this.#closed) return
    if (answered) this.#settledAt = askedAt
    const calm = this.#nodes.size > 0 && [...this.#nodes.values()].every((node) => node.ready)
    this.#watchIn(calm ? CALM_MS : URGENT_MS)
  }

  #watchIn(ms: number): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#watch(), ms)
  }

  async #subscribe(channel: string): Promise<void> {
    const home = this.nodeOf(channel)
    // Where others of this channel listen already: a plain one stays when its slot moves.
    const node = this.#placed.get(channel) ?? home
    this.#placed.set(channel, node)
    await node.feed.subscribe(channel)
  }

  #unsubscribe(channel: string): void {
    this.#placed.get(channel)?.feed.unsubscribe(channel)
    this.#placed.delete(channel)
  }

  #home(name: string): RedisNode | undefined {
    return this.#slots[slotOf(slotKey(name))]
  }

  #follows(channel: string): boolean {
    return this.#options.sharded || !isSessionChannel(channel)
  }

  async #refresh(): Promise<void> {
    const ranges = await this.#ask()
    if (this.#closed) return
    const { newNode, template } = this.#options
    const addresses = new Set(ranges.map(({ address }) => address))
    for (const address of addresses) {
      if (!this.#nodes.has(address))
        this.#nodes.set(
          address,
          newNode(async () => ({ ...template, ...addressOf(address) })),
        )
    }
    this.#slots.fill(undefined)
    for (const { first, last, address } of ranges) this.#slots.fill(this.#nodes.get(address), first, last + 1)
    for (const [address, node] of this.#nodes) {
      if (addresses.has(address)) continue
      node.abandon(this.#settledAt)
      this.#nodes.delete(address)
    }
    this.#move()
    this.#options.followed()
  }

  /**
   * Brings each channel to where it is to be heard now. What was published on the way may be lost, and that is told. While a slot has no server,
   * its channels stay with the one that is gone, which remembers since when.
   */
  #move(): void {
    const here = new Set(this.#nodes.values())
    const moves = new Map<RedisNode, Map<RedisNode, Set<string>>>()
    for (const [channel, from] of this.#placed) {
      const to = this.#home(channel)
      if (to === undefined || to === from || !(this.#follows(channel) || !here.has(from))) continue
      const targets = moves.get(from) ?? new Map<RedisNode, Set<string>>()
      moves.set(from, targets.set(to, (targets.get(to) ?? new Set()).add(channel)))
      this.#placed.set(channel, to)
    }
    for (const [from, targets] of moves) {
      // It stays the gap of the channels that do not move. Without one, the slot was moved at some time since the map was right.
      const { gap } = from
      const reason = gap?.reason ?? 'redis_moved'
      for (const [to, channels] of targets) {
        to.adopt({ from: Math.min(gap?.from ?? Number.POSITIVE_INFINITY, this.#settledAt), reason, channels })
        for (const channel of channels) from.feed.unsubscribe(channel)
      }
    }
  }

  async #ask(): Promise<Range[]> {
    const reasons: string[] = []
    for (const [address, node] of this.#nodes) {
      if (node.commands.state !== 'ready') continue
      const answer = within(node.commands.client.sendCommand<unknown>(SLOTS_COMMAND), ASK_TIMEOUT_MS)
      const ranges = await answer.then(
        (reply) => parseSlots(reply, address),
        (error: Error) => error,
      )
      if (!(ranges instanceof Error)) return ranges
      reasons.push(`${address}: ${ranges.message}`)
    }
    for (const seed of this.#options.seeds) {
      const ranges = await this.#askSeed(seed).catch((error: Error) => error)
      if (!(ranges instanceof Error)) return ranges
      reasons.push(`${seed}: ${ranges.message}`)
    }
    throw new Error(reasons.join('; '))
  }

  async #askSeed(seed: string): Promise<Range[]> {
    return parseSlots(await askOnce({ ...this.#options.template, ...addressOf(seed) }, SLOTS_COMMAND), seed)
  }
}

/** The primary comes first in each entry; a node that does not know its own address leaves it empty, which means the one that was asked. */
function parseSlots(reply: unknown, asked: string): Range[] {
  const entries = reply as [number, number, [string | null, number, ...unknown[]]][]
  if (!Array.isArray(entries) || entries.length === 0) throw new Error('the cluster has no slots yet')
  return entries.map(([first, last, [host, port]]) => ({
    first,
    last,
    address: `${bracket(host || addressOf(asked).host)}:${port}`,
  }))
}

const bracket = (host: string): string => (host.includes(':') ? `[${host}]` : host)

const addressOf = (address: string) => hostAndPort(address, 6379)
