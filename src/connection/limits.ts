import { type Refusal, refusals } from '../contract/codes.ts'
import { networkOf } from '../platform/address.ts'

/**
 * The generic cell rate algorithm (ITU-T I.371). It admits the same events as a bucket of `burst`
 * tokens that gains one every `intervalMs`, and needs one number: the time at which the bucket is
 * full again.
 * @returns that time after one more event at `now`, or undefined when the event is over the limit.
 */
export function admit(fullAt: number, now: number, intervalMs: number, burst: number): number | undefined {
  const next = Math.max(fullAt, now) + intervalMs
  // The tolerance covers rounding: the sum of many intervals differs slightly from their product.
  return next - now > (burst + 1e-3) * intervalMs ? undefined : next
}

/** A rate for `admit`, from events a second. 0 a second is no limit, and then `intervalMs` is 0. */
export const rateOf = (perSecond: number, burst: number): { intervalMs: number; burst: number } => ({
  intervalMs: perSecond === 0 ? 0 : 1000 / perSecond,
  burst,
})

export interface ConnectLimitsOptions {
  readonly maxConnections: number
  /** 0: no limit. The same holds for the two rates. */
  readonly maxConnectionsPerIp: number
  /** Upgrades a second, and the burst that may come at once. */
  readonly connectRate: number
  readonly connectRatePerIp: number
}

interface Client {
  readonly ip: string
  count: number
  fullAt: number
}

/**
 * Limits the number of sockets and the rate of upgrades, in all and per address. Each place that
 * was taken is given back exactly once: when the socket is gone, or when the upgrade is refused
 * after all. An IPv6 address counts as its /64.
 */
export class ConnectLimits {
  readonly #options: ConnectLimitsOptions
  readonly #clients = new Map<string, Client>()
  #count = 0
  #fullAt = 0

  constructor(options: ConnectLimitsOptions) {
    this.#options = options
  }

  /**
   * Takes a place for a socket from `ip` at `now` (ms). Returns the refusal when no place is free.
   */
  take(ip: string, now: number): Refusal | undefined {
    const { maxConnections, maxConnectionsPerIp, connectRate, connectRatePerIp } = this.#options
    if (this.#count >= maxConnections) return refusals['at-capacity']
    const network = networkOf(ip)
    const client = this.#clients.get(network) ?? { ip, count: 0, fullAt: 0 }
    if (maxConnectionsPerIp > 0 && client.count >= maxConnectionsPerIp) return refusals['address-limit']
    const byAddress = connectRatePerIp > 0 ? admit(client.fullAt, now, 1000 / connectRatePerIp, connectRatePerIp) : now
    if (byAddress === undefined) return refusals['connect-rate']
    const inAll = connectRate > 0 ? admit(this.#fullAt, now, 1000 / connectRate, connectRate) : now
    if (inAll === undefined) return refusals['connect-rate']
    this.#fullAt = inAll
    client.fullAt = byAddress
    client.count++
    this.#count++
    this.#clients.set(network, client)
    return undefined
  }

  /**
   * Returns the string that all sockets of an address share, so that each does not keep its own
   * copy.
   */
  shared(ip: string): string {
    const known = this.#clients.get(networkOf(ip))?.ip
    return known === ip ? known : ip
  }

  /** Gives a place back. */
  give(ip: string): void {
    this.#count--
    const client = this.#clients.get(networkOf(ip))
    if (client) client.count--
  }

  /** Forgets the addresses that have no socket and whose bucket is full again. */
  sweep(now: number): void {
    for (const [ip, client] of this.#clients) if (client.count === 0 && client.fullAt <= now) this.#clients.delete(ip)
  }

  get count(): number {
    return this.#count
  }
}
