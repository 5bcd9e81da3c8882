import type { Place } from '../../config/redis-servers.ts'
import { isPlainChannel, slotKey } from '../../contract/names.ts'
import { bracketed } from '../../platform/address.ts'
import { within } from '../../platform/deadline.ts'
import { reasonOf } from '../../platform/reason.ts'
import { RedisUnavailable } from '../../platform/unavailable.ts'
import type { Logger } from '../../telemetry/log.ts'
import { endpointOf, parseSlots, SLOT_COUNT, type SlotRange, slotOf } from '../slots.ts'
import { askOnce } from './ask.ts'
import type { RedisNode } from './node.ts'
import type { ClusterAddresses } from './targets.ts'
import type { NodeFactory, Outage, Topology, TopologyFeed } from './topology.ts'

export interface ClusterOptions extends ClusterAddresses {
  /** Session channels use sharded pub/sub: they follow their slot. */
  readonly sharded: boolean
  readonly newNode: NodeFactory
  readonly log: Logger
  /** The slot map was refreshed: a key that had no server may have one now. */
  readonly followed: () => void
}

/** How often the slot map is refreshed: while every node is ready, and otherwise. */
const CALM_MS = 5000
const URGENT_MS = 250
const ASK_TIMEOUT_MS = 1000
/** Plain channels leave a server that has been away for this time. A short loss moves none. */
const AWAY_MS = 1000
const SLOTS_COMMAND = ['CLUSTER', 'SLOTS']

/**
 * Redis Cluster: one RedisNode per primary, and the map from slots to nodes. Events of a run come
 * only from the primary of its key, and a sharded channel lives on the server of its slot. A plain
 * channel can be subscribed and published on any server: it stays on its server for as long as that
 * is part of the cluster and not away.
 */
export class Cluster implements Topology {
  readonly #options: ClusterOptions
  /** By the address that the node announces, as in the slot map and in MOVED. */
  readonly #nodes = new Map<string, RedisNode>()
  readonly #slots: (RedisNode | undefined)[] = new Array(SLOT_COUNT).fill(undefined)
  /** Since when a node is not ready, in ms since the epoch. */
  readonly #awaySince = new Map<RedisNode, number>()
  /** Channel to the node where it is subscribed. */
  readonly #placed = new Map<string, RedisNode>()
  #refreshing: Promise<boolean> | undefined
  /**
   * When the last regular refresh that succeeded was sent: the slot map was right then. Ms since
   * the epoch.
   */
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
      isConfirmed: (channel) => this.#placed.get(channel)?.feed.isConfirmed(channel) ?? false,
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
    const home = this.#home(name)
    if (home?.ready) return home
    const node = this.#isPlain(name) ? (this.#readyNode(name) ?? home) : home
    if (node === undefined) throw new RedisUnavailable('no server of the cluster has this slot (see CLUSTER SLOTS)')
    return node
  }

  nodeAt(address: string): RedisNode | undefined {
    return this.#nodes.get(address)
  }

  listensAt(channel: string, node: RedisNode): boolean {
    return this.#placed.get(channel) === node
  }

  /**
   * Call it after a MOVED. The first node that answers may not know the new owner yet, so refresh
   * again soon after.
   */
  async refresh(): Promise<void> {
    this.#watchIn(URGENT_MS)
    await this.#follow()
  }

  /**
   * Refreshes the slot map and moves channels accordingly. Concurrent callers share one refresh.
   * Resolves with false, and changes nothing, when no node answers.
   */
  #follow(): Promise<boolean> {
    this.#refreshing ??= this.#refresh()
      .then(
        () => true,
        (error: Error) => {
          this.#options.log.warn(
            { event: 'cluster', reason: reasonOf(error) },
            'no node answers CLUSTER SLOTS: keeping the last slot map',
          )
          return false
        },
      )
      .finally(() => {
        this.#refreshing = undefined
      })
    return this.#refreshing
  }

  outage(): Outage {
    const served = this.#slots.filter((node) => node?.ready).length
    const away = [...this.#nodes].filter(([, node]) => !node.ready)
    return { servers: away.map(([address]) => address), share: 1 - served / SLOT_COUNT }
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
    // A plain channel stays where it is already subscribed, even when its slot has moved.
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

  #isPlain(name: string): boolean {
    return isPlainChannel(name, this.#options.sharded)
  }

  /** A node that is ready, another one for other slots. */
  #readyNode(name: string): RedisNode | undefined {
    const ready = [...this.#nodes.values()].filter((node) => node.ready)
    return ready[slotOf(name) % ready.length]
  }

  /** The node where a channel of `from` belongs now; undefined while its slot has no server. */
  #placeOf(channel: string, from: RedisNode, here: ReadonlySet<RedisNode>): RedisNode | undefined {
    const home = this.#home(channel)
    if (!this.#isPlain(channel)) return home
    const wanted = here.has(from) ? from : home
    if (wanted !== undefined && !this.#isAway(wanted)) return wanted
    return this.#readyNode(channel) ?? wanted
  }

  #isAway(node: RedisNode): boolean {
    const since = this.#awaySince.get(node)
    return since !== undefined && Date.now() - since >= AWAY_MS
  }

  #lookForAway(): void {
    const nodes = new Set(this.#nodes.values())
    for (const node of this.#awaySince.keys()) if (node.ready || !nodes.has(node)) this.#awaySince.delete(node)
    for (const node of nodes) if (!node.ready && !this.#awaySince.has(node)) this.#awaySince.set(node, Date.now())
  }

  async #refresh(): Promise<void> {
    const ranges = await this.#ask()
    if (this.#closed) return
    const { newNode, template, reachable } = this.#options
    const addresses = new Set(ranges.map(({ address }) => address))
    for (const address of addresses) {
      if (!this.#nodes.has(address))
        this.#nodes.set(
          address,
          newNode(async () => ({ ...template, ...reachable(endpointOf(address)) })),
        )
    }
    this.#slots.fill(undefined)
    for (const { first, last, address } of ranges) this.#slots.fill(this.#nodes.get(address), first, last + 1)
    for (const [address, node] of this.#nodes) {
      if (addresses.has(address)) continue
      node.abandon(this.#settledAt)
      this.#nodes.delete(address)
    }
    this.#lookForAway()
    this.#move()
    this.#options.followed()
  }

  /**
   * Moves each channel to the node where it belongs now. Messages published during the move may be
   * lost, so the new node reports a gap. While a slot has no server, its channels stay with the old
   * node, which keeps the start of their gap.
   */
  #move(): void {
    const here = new Set(this.#nodes.values())
    const moves = new Map<RedisNode, Map<RedisNode, Set<string>>>()
    for (const [channel, from] of this.#placed) {
      const to = this.#placeOf(channel, from, here)
      if (to === undefined || to === from) continue
      const targets = moves.get(from) ?? new Map<RedisNode, Set<string>>()
      moves.set(from, targets.set(to, (targets.get(to) ?? new Set()).add(channel)))
      this.#placed.set(channel, to)
    }
    for (const [from, targets] of moves) {
      // The gap also stays with the old node, for channels that do not move. Without a gap, the
      // slot has moved at some time since the map was right.
      const { gap } = from
      const reason = gap?.reason ?? 'redis_moved'
      for (const [to, channels] of targets) {
        to.adopt({ from: Math.min(gap?.from ?? Number.POSITIVE_INFINITY, this.#settledAt), reason, channels })
        for (const channel of channels) from.feed.unsubscribe(channel)
      }
    }
  }

  async #ask(): Promise<SlotRange[]> {
    const reasons: string[] = []
    for (const [address, node] of this.#nodes) {
      if (node.commands.state !== 'ready') continue
      const answer = within(node.commands.client.sendCommand<unknown>(SLOTS_COMMAND), ASK_TIMEOUT_MS)
      const ranges = await answer.then(
        (reply) => parseSlots(reply, endpointOf(address).host),
        (error: Error) => error,
      )
      if (!(ranges instanceof Error)) return ranges
      reasons.push(`${address}: ${reasonOf(ranges)}`)
    }
    for (const seed of this.#options.seeds) {
      const ranges = await this.#askSeed(seed).catch((error: Error) => error)
      if (!(ranges instanceof Error)) return ranges
      reasons.push(`${bracketed(seed.host)}:${seed.port}: ${reasonOf(ranges)}`)
    }
    throw new Error(reasons.join('; '))
  }

  async #askSeed(seed: Place): Promise<SlotRange[]> {
    return parseSlots(await askOnce({ ...this.#options.template, ...seed }, SLOTS_COMMAND), seed.host)
  }
}
